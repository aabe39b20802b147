//! The service on a real socket: bind, answer, bound bodies, drain.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use tidegate_proto::limits::CONTROL_BODY_BYTES_MAX;

use super::rig::{Memory, Noted, found, request, root};
use crate::{Handle, Options, Service};

/// Runs a service while `use_it` talks to it, then drains it.
fn with_service(use_it: impl FnOnce(SocketAddr, &Handle)) {
    let store = Arc::new(Memory::default());
    found(&store);
    let service = Service::new(Options::default(), store, Arc::new(Noted::default())).unwrap();
    let handle = service.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = std::thread::spawn(move || runtime.block_on(service.run(std::future::pending())));
    use_it(handle.local_address(), &handle);
    handle.drain();
    serving.join().unwrap().unwrap();
}

/// Sends bytes and reads until the server closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn signed(method: &str, target: &str, body: &str) -> Vec<u8> {
    let request = request("apigateway", root(), now_s(), method, target, body.into());
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    format!("{head}\r\n{body}").into_bytes()
}

#[test]
fn calls_are_answered_on_the_port() {
    with_service(|address, _| {
        let created = exchange(address, &signed("POST", "/restapis", r#"{"name":"pets"}"#));
        assert!(created.starts_with("HTTP/1.1 201 Created\r\n"), "{created}");
        assert!(created.contains("content-type: application/json\r\n"), "{created}");
        let listed = exchange(address, &signed("GET", "/restapis?limit=5", ""));
        assert!(listed.contains("\"name\":\"pets\""), "{listed}");
        let unsigned = exchange(address, b"GET /restapis HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert!(unsigned.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{unsigned}");
    });
}

#[test]
fn bodies_are_bounded_and_read_for_known_callers_only() {
    with_service(|address, _| {
        let large = " ".repeat(CONTROL_BODY_BYTES_MAX + 1);
        let answer = exchange(address, &signed("POST", "/restapis", &large));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        let head = "PUT /_tidegate/cluster/checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9999999\r\n\r\n";
        let answer = exchange(address, head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "answered without waiting for the body: {answer}");
    });
}

#[test]
fn a_taken_port_and_a_broken_option_are_named() {
    with_service(|address, _| {
        let start = |options: Options| {
            let fault = Service::new(options, Arc::new(Memory::default()), Arc::new(Noted::default()));
            fault.err().map(|fault| fault.to_string()).unwrap_or_default()
        };
        let taken = start(Options { listen: address, ..Options::default() });
        assert!(taken.contains(&address.to_string()), "{taken}");
        let broken = start(Options { account_id: "x".into(), ..Options::default() });
        assert_eq!(broken, "option account_id is 'x', must be 12 digits");
    });
}
