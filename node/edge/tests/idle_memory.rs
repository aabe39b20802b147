//! An idle connection is small: what a keep-alive connection holds once its request has been answered. Apart from the other tests
//! that count, because what those leave behind is freed while this one looks.

#[path = "allocations/plane.rs"]
mod plane;

use std::{
    alloc::System,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use plane::{PATIENCE, serve, snapshot, upstream};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What one idle connection may hold on the heap, its share of tables included.
const IDLE_BYTES_MAX: isize = 1_450;
const CONNECTIONS: usize = 256;
/// Time for buffers that are no longer needed to be freed.
const SETTLE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"GET /dev/proxied/7 HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n";

/// A connection that has had one answer.
fn answered(gateway: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(gateway).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(REQUEST).unwrap();
    let mut buffer = [0; 4096];
    let count = client.read(&mut buffer).unwrap();
    assert!(
        buffer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        String::from_utf8_lossy(&buffer[..count])
    );
    client
}

fn live_bytes() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
}

#[test]
fn an_idle_connection_holds_little() {
    let gateway = serve(snapshot(upstream()), None);
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    // Tables grow by doubling: after this many they have their size for as many again.
    clients.extend((0..=CONNECTIONS).map(|_| answered(gateway)));
    let before = live_bytes();
    clients.extend((1..CONNECTIONS).map(|_| answered(gateway)));
    let deadline = Instant::now() + SETTLE;
    let each = loop {
        let each = (live_bytes() - before) / CONNECTIONS.cast_signed();
        if each <= IDLE_BYTES_MAX || Instant::now() > deadline {
            break each;
        }
        thread::sleep(Duration::from_millis(50));
    };
    println!("{each} bytes for each of {} idle connections", clients.len());
    assert!((256..=IDLE_BYTES_MAX).contains(&each), "{each} bytes for each idle connection");
}
