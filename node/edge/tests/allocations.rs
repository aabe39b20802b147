//! The request path of HTTP/1 allocates nothing, that of HTTP/2 little: a counting allocator over a running data plane, a client
//! and an upstream that allocate nothing either.

#[path = "allocations/multiplexed.rs"]
mod multiplexed;
#[path = "allocations/plane.rs"]
mod plane;

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Mutex, PoisonError},
};

use plane::{PATIENCE, serve, snapshot, upstream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests that are counted, in windows of so many: a window may meet a tick of the clock or of the upstreams' keeper (100 ms), the
/// quietest one does not, and is short enough for that where other programs have the processors.
const REQUESTS: usize = 5_000;
const WINDOW: usize = 20;

/// Allocations of the quietest window of requests over HTTP/1; every answer but the first has all of `parts`, and that one the first
/// of them.
fn fewest(gateway: SocketAddr, path: &str, line: &str, parts: &[&str]) -> usize {
    let request = format!(
        "GET /dev/{path} HTTP/1.1\r\nHost: api1.execute-api.local\r\nUser-Agent: test\r\nAccept: */*\r\n\
         Accept-Encoding: gzip\r\n{line}\r\nX-Request-Id: 1\r\n\r\n"
    );
    let mut client = TcpStream::connect(gateway).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 64 * 1024];
    let mut ask = |parts: &[&str]| {
        client.write_all(request.as_bytes()).unwrap();
        let count = answer(&mut client, &mut buffer);
        let text = std::str::from_utf8(&buffer[..count]).unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    ask(&parts[..1]);
    quietest(WINDOW, 1, || ask(parts))
}

/// Reads one whole answer, which may come in pieces.
fn answer(client: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let mut count = 0;
    loop {
        count += client.read(&mut buffer[count..]).unwrap();
        let text = std::str::from_utf8(&buffer[..count]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let named = |line: &&str| line.len() > 16 && line[..16].eq_ignore_ascii_case("content-length: ");
        let length: usize = head.lines().find(named).unwrap()[16..].parse().unwrap();
        if body.len() >= length {
            return count;
        }
    }
}

/// Allocations of the quietest window of so many requests, when `ask` asks so many times at once.
fn quietest(window: usize, at_once: usize, mut ask: impl FnMut()) -> usize {
    let rounds = window / at_once;
    // Pools, buffers and the log find their sizes.
    (0..REQUESTS / at_once).for_each(|_| ask());
    let count = || {
        let region = Region::new(ALLOCATOR);
        (0..rounds).for_each(|_| ask());
        let change = region.change();
        change.allocations + change.reallocations
    };
    std::iter::repeat_with(count).take(REQUESTS / window).min().unwrap()
}

/// One test at a time: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// What `measure` finds at a new gateway.
fn alone(measure: impl FnOnce(SocketAddr) -> usize) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    measure(serve(snapshot(upstream()), Some(&folder.path().join("access.log"))))
}

fn allocates_nothing(path: &str, header: &str, parts: &[&str]) {
    // Tokens and cookies make heads of several kilobytes.
    for token in ["x", &"x".repeat(3_000)] {
        let line = format!("{header}: Bearer {token}");
        let count = alone(|gateway| fewest(gateway, path, &line, parts));
        assert_eq!(count, 0, "{path}, a token of {} bytes", token.len());
    }
}

#[test]
fn a_proxied_request_allocates_nothing() {
    allocates_nothing("proxied/7", "Authorization", &["HTTP/1.1 200 OK\r\n"]);
}

#[test]
fn a_local_answer_allocates_nothing() {
    allocates_nothing("local", "Authorization", &["HTTP/1.1 200 OK\r\n"]);
}

#[test]
fn a_rejected_request_allocates_nothing() {
    allocates_nothing("rejected", "Authorization", &["HTTP/1.1 403 Forbidden\r\n"]);
    allocates_nothing("nowhere", "Authorization", &["HTTP/1.1 403 Forbidden\r\n"]);
}

/// What an answer has that comes from the cache.
const HIT: [&str; 2] = ["HTTP/1.1 200 OK\r\n", "\r\nAge: "];

#[test]
fn an_answer_from_the_cache_allocates_nothing() {
    // Whoever shows credentials has answers of its own, so these are another header's.
    for path in ["cached/small", "cached/large"] {
        allocates_nothing(path, "Token", &HIT);
    }
}

#[test]
fn an_answer_from_the_cache_as_http_defines_it_allocates_nothing() {
    allocates_nothing("kept/small", "Token", &HIT);
}
