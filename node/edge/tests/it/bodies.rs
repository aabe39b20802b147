//! Bodies: streaming both ways, limits, expectations, upstream framing.

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use crate::room::{Room, Upstream, eventually, proxy, read_request};

#[test]
fn a_large_answer_streams_at_the_pace_of_its_reader() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 1_600;
    // Two hops of socket buffers, which the system grows to at most 10 MiB each, and nothing else may hold bytes.
    const HELD_MAX: usize = 40 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::scripted(move |stream, _| {
        if read_request(stream).is_none() {
            return;
        }
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", CHUNK * CHUNKS);
        for _ in 0..CHUNKS {
            if stream.write_all(&[b'x'; CHUNK]).is_err() {
                return;
            }
            count.fetch_add(CHUNK, SeqCst);
        }
    });
    let room = Room::serve(&[("/", "GET", proxy(upstream.address, "/"))]);
    let mut client = room.connect();
    client.send("GET /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\nConnection: close\r\n\r\n");
    let head = client.read_until("\r\n\r\n");
    assert_eq!(head.header("content-length"), Some((CHUNK * CHUNKS).to_string().as_str()));
    let (mut last, mut still) = (0, 0);
    eventually("the upstream is held back", || {
        let now = written.load(SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        still > 40
    });
    assert!(last > 0 && last < HELD_MAX, "{last} bytes were taken in while nobody read");
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), CHUNK * CHUNKS);
}

#[test]
fn a_chunked_request_streams_and_the_answer_comes_chunked() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
    );
    let room = Room::serve(&[("/", "POST", proxy(upstream.address, "/"))]);
    let answer = room.ask("POST /dev\nTransfer-Encoding: chunked", "2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n");
    let seen = upstream.seen();
    assert!(
        seen.contains("Transfer-Encoding: chunked\r\n") && seen.contains("hi") && seen.contains(" yo"),
        "{seen}"
    );
    assert_eq!((answer.status(), answer.header("transfer-encoding")), (200, Some("chunked")));
    assert!(answer.body().contains("abc") && answer.body().ends_with("0\r\n\r\n"), "{answer:?}");
    assert!(!answer.0.contains("X-Trailer"));
}

#[test]
fn too_large_requests_are_refused() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let room = Room::serve(&[("/", "POST", proxy(upstream.address, "/"))]);
    let announced = room.ask("POST /dev\nContent-Length: 10485761", "");
    assert_eq!((announced.status(), announced.body()), (413, r#"{"message":"Request Too Long"}"#));
    assert!(!upstream.was_called());

    let mut client = room.connect();
    client.send("POST /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..170 {
        if client.0.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(client.read_to_end().status(), 413);
}

#[test]
fn an_expectation_is_met_before_the_body() {
    let upstream = Upstream::answering("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    let room = Room::serve(&[("/", "POST", proxy(upstream.address, "/"))]);
    let mut client = room.connect();
    client.send("POST /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    assert_eq!(client.read_until("\r\n\r\n").status(), 100);
    client.send("body");
    let answer = client.read_to_end();
    assert_eq!((answer.status(), answer.body()), (201, "ok"));
    assert!(!upstream.seen().contains("expect"));
}

#[test]
fn a_slow_client_is_not_the_upstreams_fault() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut quick = proxy(upstream.address, "/");
    quick.timeout_in_millis = 500;
    let room = Room::serve(&[("/", "POST", quick)]);
    let mut client = room.connect();
    client.send("POST /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\nContent-Length: 4\r\nConnection: close\r\n\r\n");
    let started = Instant::now();
    for (byte, pause_ms) in [("s", 400), ("l", 600), ("o", 800), ("w", 1_000)] {
        eventually("a pause", || started.elapsed() > Duration::from_millis(pause_ms));
        client.send(byte);
    }
    assert_eq!(client.read_to_end().body(), "ok");
}

#[test]
fn bodiless_answers() {
    for (upstream_answer, verb, status, length) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "GET", 204, None),
        ("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", "GET", 304, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\n", "HEAD", 200, Some("512")),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 200, Some("0")),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "GET",
            200,
            Some("0"),
        ),
    ] {
        let upstream = Upstream::answering(upstream_answer);
        let room = Room::serve(&[("/", "ANY", proxy(upstream.address, "/"))]);
        let answer = room.ask(&format!("{verb} /dev"), "");
        assert_eq!((answer.status(), answer.body()), (status, ""), "{upstream_answer}");
        assert_eq!(answer.header("content-length"), length, "{upstream_answer}");
    }
}

#[test]
fn a_body_that_breaks_off_breaks_the_answer_off() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf");
    let room = Room::serve(&[("/", "GET", proxy(upstream.address, "/"))]);
    let answer = room.ask("GET /dev", "");
    assert_eq!((answer.status(), answer.body(), answer.header("content-length")), (200, "half", Some("9")));
}

#[test]
fn a_stalled_body_is_cut() {
    let upstream = Upstream::scripted(|stream, _| {
        if read_request(stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            let _ = stream.read(&mut [0]);
        }
    });
    let mut slow = proxy(upstream.address, "/");
    slow.timeout_in_millis = 100;
    let room = Room::serve(&[("/", "GET", slow)]);
    let mut client = room.connect();
    client.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.send("GET /dev HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
    assert_eq!(client.read_to_end().body(), "half");
}
