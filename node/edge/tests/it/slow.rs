//! Peers that are slow, silent or gone, on both ways through the data plane: each ends in its time, and holds no more memory
//! than sockets do.

use std::{
    io::{Read, Write},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tidegate_edge::Options;
use tidegate_proto::document::Integration;

use crate::room::{Client, Room, Upstream, eventually, proxy, read_request, snapshot};

/// The bound under test, in milliseconds; all others are far longer than a test.
const SHORT_MS: u64 = 150;
/// What a deadline may be late by on a busy machine.
const LATE: Duration = Duration::from_millis(1_500);
const HEAD: &str = "HTTP/1.1\r\nHost: api1.execute-api.local\r\n";

/// Runs `check` in a room with the fast path and in one without, their options changed by `shorten`.
fn both(shorten: impl Fn(&mut tidegate_listener::Options), integration: &Integration, check: impl Fn(&Room)) {
    for direct in [true, false] {
        let mut options = Options { shards: 1, direct, ..Options::default() };
        shorten(&mut options.listener);
        check(&Room::with(options, snapshot(1, &[("/", "ANY", integration.clone())])));
    }
}

/// Runs until the end of `work` and checks that it took the bound, and not much longer.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    let least = Duration::from_millis(SHORT_MS - 20);
    assert!(took >= least && took <= least + LATE, "{what} took {took:?}");
    done
}

fn counted(room: &Room, read: impl Fn(&tidegate_listener::CounterValues) -> u64) -> u64 {
    room.handle.listener_counters().map(|values| read(&values)).sum()
}

#[test]
fn a_head_that_trickles_in_is_answered_408_in_its_time() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let shorten = |options: &mut tidegate_listener::Options| options.header_read_timeout_ms = SHORT_MS;
    both(shorten, &proxy(upstream.address, "/"), |room| {
        let mut client = room.connect();
        client.0.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let answer = timed("the head", || {
            client.send(&format!("GET /dev {HEAD}X-Slow: "));
            let mut answer = Vec::new();
            // A byte after every silence of ten milliseconds, so that the connection is never quiet for long.
            loop {
                match client.0.read_to_end(&mut answer) {
                    Ok(_) => break,
                    Err(_) => _ = client.0.write_all(b"x"),
                }
            }
            String::from_utf8_lossy(&answer).into_owned()
        });
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("}"), "{answer}");
        assert!(!upstream.was_called());
        eventually("the connection ends", || room.handle.connections() == 0);
    });
}

#[test]
fn a_connection_without_a_request_ends_in_its_time() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let shorten = |options: &mut tidegate_listener::Options| options.keep_alive_timeout_ms = SHORT_MS;
    both(shorten, &proxy(upstream.address, "/"), |room| {
        let mut client = room.connect();
        client.send(&format!("GET /dev {HEAD}\r\n"));
        client.read_whole("\r\n\r\nok");
        let rest = timed("idleness", || client.read_to_end());
        assert_eq!(rest.0, "");
        eventually("it is counted", || counted(room, |values| values.idle_closes) == 1);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    const CHUNK: usize = 64 * 1024;
    // Two hops of socket buffers, which the system grows to at most 10 MiB each, and nothing else may hold bytes.
    const HELD_MAX: usize = 40 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::scripted(move |stream, seen| {
        let _ = read_request(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
        while stream.write_all(&[b'x'; CHUNK]).is_ok() {
            count.fetch_add(CHUNK, SeqCst);
        }
        let _ = seen.send("cut".into());
    });
    let shorten = |options: &mut tidegate_listener::Options| options.write_stall_timeout_ms = SHORT_MS;
    both(shorten, &proxy(upstream.address, "/"), |room| {
        written.store(0, SeqCst);
        let mut client = room.connect();
        client.send(&format!("GET /dev {HEAD}\r\n"));
        assert_eq!(upstream.seen(), "cut");
        assert!(written.load(SeqCst) < HELD_MAX, "{} bytes were taken in", written.load(SeqCst));
        eventually("the connection ends", || room.handle.connections() == 0);
        drop(client);
    });
}

#[test]
fn an_upstream_that_never_answers_is_a_504_in_its_time() {
    let upstream = Upstream::scripted(|stream, seen| {
        let _ = read_request(stream);
        let ended = stream.read(&mut [0]).is_ok_and(|count| count == 0);
        let _ = seen.send(format!("ended {ended}"));
    });
    let mut impatient = proxy(upstream.address, "/");
    impatient.timeout_in_millis = SHORT_MS as u32;
    both(
        |_| {},
        &impatient,
        |room| {
            for (request, body) in [("GET /dev", ""), ("POST /dev\nContent-Length: 3", "abc")] {
                let answer = timed(request, || room.ask(request, body));
                assert_eq!(
                    (answer.status(), answer.body()),
                    (504, r#"{"message":"Endpoint request timed out"}"#)
                );
                assert_eq!(upstream.seen(), "ended true");
            }
        },
    );
}

#[test]
fn an_upstream_that_does_not_accept_is_a_504_in_its_time() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The queue takes as many as it likes; from then on the system lets others wait.
    let patience = Duration::from_millis(50);
    let queued: Vec<_> = std::iter::repeat_with(|| std::net::TcpStream::connect_timeout(&address, patience))
        .take_while(Result::is_ok)
        .collect();
    assert!(!queued.is_empty());
    let mut impatient = proxy(address, "/");
    impatient.timeout_in_millis = SHORT_MS as u32;
    both(
        |_| {},
        &impatient,
        |room| {
            let began = Instant::now();
            let answer = room.ask("GET /dev", "");
            assert_eq!(
                (answer.status(), answer.body()),
                (504, r#"{"message":"Endpoint request timed out"}"#)
            );
            // Connecting alone may take a second.
            assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
        },
    );
}

#[test]
fn an_upstream_that_stops_inside_a_body_is_cut_in_its_time() {
    let upstream = Upstream::scripted(|stream, seen| {
        let _ = read_request(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        let ended = stream.read(&mut [0]).is_ok_and(|count| count == 0);
        let _ = seen.send(format!("ended {ended}"));
    });
    let mut impatient = proxy(upstream.address, "/");
    impatient.timeout_in_millis = SHORT_MS as u32;
    both(
        |_| {},
        &impatient,
        |room| {
            let answer = timed("the body", || room.ask("GET /dev", ""));
            assert_eq!((answer.status(), answer.body()), (200, "half"));
            assert_eq!(upstream.seen(), "ended true");
        },
    );
}

#[test]
fn a_body_that_stops_coming_is_answered_408_in_its_time() {
    let upstream = Upstream::scripted(|stream, seen| {
        let is_whole = read_request(stream).is_some();
        let _ = seen.send(format!("whole {is_whole}"));
    });
    let shorten = |options: &mut tidegate_listener::Options| options.body_stall_timeout_ms = SHORT_MS;
    both(shorten, &proxy(upstream.address, "/"), |room| {
        for (framing, part) in
            [("Content-Length: 9", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")]
        {
            let mut client = room.connect();
            client.send(&format!("POST /dev {HEAD}{framing}\r\n\r\n{part}"));
            let answer = timed(framing, || client.read_to_end());
            assert_eq!(answer.status(), 408, "{framing}");
            assert_eq!(upstream.seen(), "whole false");
        }
    });
}

#[test]
fn an_upstream_that_does_not_read_ends_the_call() {
    let body = "x".repeat(9 << 20);
    let done = Arc::new(Barrier::new(2));
    let until = Arc::clone(&done);
    let upstream = Upstream::scripted(move |_, _| _ = until.wait());
    let mut impatient = proxy(upstream.address, "/");
    impatient.timeout_in_millis = SHORT_MS as u32;
    let shorten = |options: &mut tidegate_listener::Options| options.body_stall_timeout_ms = SHORT_MS;
    both(shorten, &impatient, |room| {
        let mut client = room.connect();
        let mut sender = Client(client.0.try_clone().unwrap());
        let text = format!("POST /dev {HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
        let sending = std::thread::spawn(move || _ = sender.0.write_all(text.as_bytes()));
        let answer = timed("the upload", || client.read_to_end());
        assert_eq!(answer.status(), 504);
        done.wait();
        sending.join().unwrap();
    });
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    let upstream = Upstream::scripted(|stream, seen| {
        let mut block = [0; 4_096];
        let _ = stream.read(&mut block);
        let _ = seen.send("called".into());
        while stream.read(&mut block).is_ok_and(|count| count > 0) {}
        let _ = seen.send("ended".into());
    });
    both(
        |_| {},
        &proxy(upstream.address, "/"),
        |room| {
            for request in ["GET", "POST", "POST upload", "POST chunks"] {
                let (verb, framing) = match request {
                    "POST upload" => ("POST", "Content-Length: 99\r\n\r\nhalf"),
                    "POST chunks" => ("POST", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
                    "POST" => ("POST", "Content-Length: 4\r\n\r\nfull"),
                    verb => (verb, "\r\n"),
                };
                let mut client = room.connect();
                client.send(&format!("{verb} /dev {HEAD}{framing}"));
                assert_eq!(upstream.seen(), "called", "{request}");
                drop(client);
                assert_eq!(upstream.seen(), "ended", "{request}");
            }
            eventually("connections end", || room.handle.connections() == 0);
        },
    );
}
