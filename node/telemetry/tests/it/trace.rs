//! Spans against a fake collector: who sends them is named, and a collector that is gone or refuses disturbs nobody.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_telemetry::trace::propagation::TraceParent;
use tidegate_telemetry::trace::{Options, adopt, current, prepare};

const DEADLINE: Duration = Duration::from_secs(10);

/// Answers every POST with `status` and hands over what was posted.
fn collector(status: &'static str) -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let request = read_request(&mut stream.as_ref().unwrap());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.unwrap().write_all(answer.as_bytes()).unwrap();
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

fn read_request(stream: &mut &TcpStream) -> (String, Vec<u8>) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let count = stream.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "request is cut short");
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        if bytes.len() >= end + 4 + length {
            return (head, bytes[end + 4..].to_vec());
        }
    }
}

fn options(endpoint: String) -> Options {
    Options {
        log_filter: "off".to_owned(),
        otlp_endpoint: Some(endpoint),
        service_instance: "node-7".to_owned(),
        region: "eu-test-1".to_owned(),
        az: "eu-test-1b".to_owned(),
        ..Options::default()
    }
}

/// Protobuf keeps strings as they are, so looking for them needs no schema.
fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn spans_reach_a_collector_with_their_sender_named() {
    let (endpoint, posted) = collector("200 OK");
    let (dispatch, guard) = prepare(&options(endpoint)).unwrap();
    let parent = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("GET /pets", http.route = "/pets");
        adopt(&span, &parent);
        let here = current(&span).unwrap();
        assert_eq!((here.trace_id, here.is_sampled), (parent.trace_id, true));
        assert_ne!(here.parent_id, parent.parent_id);
        drop(tracing::debug_span!("too detailed to export"));
    });
    // Dropping sends what is waiting.
    let started = Instant::now();
    drop(guard);
    assert!(started.elapsed() < DEADLINE);
    let (head, body) = posted.recv_timeout(DEADLINE).unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    for text in [
        "GET /pets",
        "http.route",
        "service.name",
        "tidegate",
        "service.instance.id",
        "node-7",
        "cloud.region",
        "eu-test-1",
        "cloud.availability_zone",
        "eu-test-1b",
    ] {
        assert!(holds(&body, text), "{text} is missing");
    }
    let trace_id = parent.trace_id.to_be_bytes();
    assert!(body.windows(16).any(|window| window == trace_id), "the caller's trace goes on");
    assert!(!holds(&body, "too detailed"));
}

#[test]
fn a_refusing_or_absent_collector_is_counted() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (refusing, _posted) = collector("400 Bad Request");
    for endpoint in [gone, refusing] {
        let (dispatch, guard) = prepare(&options(endpoint.clone())).unwrap();
        let counters = tracing::dispatcher::with_default(&dispatch, || {
            drop(tracing::info_span!("lost"));
            guard.flush();
            guard.export_counters()
        });
        assert_eq!(counters.accepted, 0, "{endpoint}");
        assert!(counters.failed >= 1, "{endpoint}");
    }
}

#[test]
fn the_log_filter_can_be_changed_and_is_checked() {
    let (_dispatch, guard) =
        prepare(&Options { log_filter: "off".to_owned(), ..Options::default() }).unwrap();
    guard.set_log_filter("debug,hyper=off").unwrap();
    assert!(guard.set_log_filter("a=b=c").unwrap_err().to_string().contains("log_filter"));
    let broken = Options {
        otlp_filter: "x=y=z".to_owned(),
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..Options::default()
    };
    assert!(prepare(&broken).unwrap_err().to_string().contains("otlp_filter"));
}
