//! Upstreams that fail, and clients that leave.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_edge::Options;

use crate::room::{Room, Upstream, eventually, integration, mock, proxy, read_request, snapshot};

const INTERNAL: &str = r#"{"message":"Internal server error"}"#;
const NETWORK: &str = r#"{"message":"Network error communicating with endpoint"}"#;

#[test]
fn failures_by_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hang_up = Upstream::scripted(|stream, _| _ = read_request(stream));
    let nonsense = Upstream::answering("this is not HTTP\r\n\r\nConnection: close");
    let switching =
        Upstream::answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    let silent = Upstream::scripted(|stream, _| {
        read_request(stream);
        let _ = stream.read(&mut [0]);
    });
    let mut slow = proxy(silent.address, "/");
    slow.timeout_in_millis = 80;
    let room = Room::serve(&[
        ("/refused", "GET", proxy(closed, "/")),
        ("/unknown", "GET", integration("HTTP_PROXY", "http://no-such-host.invalid/")),
        ("/hang-up", "ANY", proxy(hang_up.address, "/")),
        ("/nonsense", "GET", proxy(nonsense.address, "/")),
        ("/switching", "GET", proxy(switching.address, "/")),
        ("/slow", "GET", slow),
        ("/no-tls", "GET", integration("HTTP_PROXY", &format!("https://{}/", nonsense.address))),
        ("/nowhere/{host}", "GET", integration("HTTP_PROXY", "http://{host}/")),
    ]);
    for (path, status, body) in [
        ("/refused", 504, NETWORK),
        ("/unknown", 504, NETWORK),
        ("/hang-up", 504, NETWORK),
        ("/nonsense", 502, INTERNAL),
        ("/switching", 502, INTERNAL),
        ("/no-tls", 504, NETWORK),
        ("/nowhere/a%20b", 500, INTERNAL),
    ] {
        let answer = room.ask(&format!("GET /dev{path}"), "");
        assert_eq!((answer.status(), answer.body()), (status, body), "{path}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("InternalServerErrorException"), "{path}");
    }
    let started = Instant::now();
    let answer = room.ask("GET /dev/slow", "");
    assert_eq!((answer.status(), answer.body()), (504, r#"{"message":"Endpoint request timed out"}"#));
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[test]
fn connections_are_reused_and_a_stale_one_is_replaced_unnoticed() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let upstream = Upstream::scripted(move |stream, _| {
        count.fetch_add(1, SeqCst);
        // Two answers, then the connection is closed after the next request was read: what a client cannot foresee.
        for _ in 0..2 {
            if read_request(stream).is_none()
                || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err()
            {
                return;
            }
        }
        read_request(stream);
    });
    let room = Room::with(
        Options { shards: 1, ..Default::default() },
        snapshot(1, &[("/", "ANY", proxy(upstream.address, "/"))]),
    );
    let codes: Vec<u16> = (0..8).map(|_| room.ask("GET /dev", "").status()).collect();
    assert_eq!(codes, [200; 8]);
    assert_eq!(connections.load(SeqCst), 4);
    // A POST must not be sent twice.
    assert_eq!(room.ask("POST /dev\nContent-Length: 1", "x").status(), 504);
}

#[test]
fn a_client_that_leaves_cancels_the_call() {
    let upstream = Upstream::scripted(|stream, seen| {
        if let Some(request) = read_request(stream) {
            let _ = seen.send(request);
            let ended = stream.read(&mut [0]).is_ok_and(|count| count == 0);
            let _ = seen.send(format!("ended {ended}"));
        }
    });
    let room = Room::serve(&[("/", "GET", proxy(upstream.address, "/"))]);
    let mut client = room.connect();
    client.send("GET /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
    upstream.seen();
    drop(client);
    assert_eq!(upstream.seen(), "ended true");
}

#[test]
fn draining_lets_requests_finish() {
    let upstream = Upstream::scripted(|stream, seen| {
        if let Some(request) = read_request(stream) {
            let _ = seen.send(request);
            thread::sleep(Duration::from_millis(100));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        }
    });
    let room = Room::serve(&[("/", "GET", proxy(upstream.address, "/"))]);
    let mut client = room.connect();
    client.send("GET /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
    upstream.seen();
    room.handle.drain();
    assert!(!room.handle.is_ready());
    assert_eq!(client.read_to_end().body(), "done");
    eventually("connections end", || room.handle.connections() == 0);
}

#[test]
fn an_idle_connection_gets_one_more_request() {
    let mut options = Options { shards: 1, ..Options::default() };
    options.listener.drain_idle_ms = 1_500;
    let room = Room::with(options, snapshot(1, &[("/", "GET", mock("done"))]));
    let head = "GET /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n";
    let (mut busy, mut idle) = (room.connect(), room.connect());
    for client in [&mut busy, &mut idle] {
        client.send(head);
        assert_eq!(client.read_until("done").header("connection"), None);
    }
    room.handle.drain();
    eventually("an answer says that the connection ends", || {
        busy.send(head);
        let answer = busy.read_until("done");
        assert_eq!(answer.status(), 200);
        answer.header("connection") == Some("close")
    });
    assert_eq!(busy.read_to_end().0, "");
    eventually("only the other one is left", || room.handle.connections() == 1);
    eventually("connections end", || room.handle.connections() == 0);
}
