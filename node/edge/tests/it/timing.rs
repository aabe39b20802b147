//! What a request costs the shard's thread; printed, because a shared machine cannot judge it.

use std::{
    fs,
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tidegate_edge::Options;

use crate::room::{Client, Room, Upstream, mock, proxy, snapshot};

#[test]
fn cpu_per_request_is_printed() {
    const CLIENTS: usize = 16;
    let upstream = Upstream::scripted(|stream, _| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let methods = [("/local/{id}", "GET", mock("ok")), ("/up/{id}", "GET", proxy(upstream.address, "/{id}"))];
    let room = Room::with(Options { shards: 1, ..Options::default() }, snapshot(1, &methods));
    let seconds = if cfg!(debug_assertions) { 0.1 } else { 1.0 };
    for (path, end) in [("up", "\r\n\r\nok"), ("local", "\r\n\r\nok"), ("none", "Token\"}")] {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let before = shard_cpu_ns();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (stop, answered, address) = (Arc::clone(&stop), Arc::clone(&answered), room.address);
                let request = format!(
                    "GET /dev/{path}/7 HTTP/1.1\r\nHost: api1.execute-api.local\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"
                );
                thread::spawn(move || {
                    let mut client = Client::connect(address);
                    while !stop.load(SeqCst) {
                        client.send(&request);
                        client.read_whole(end);
                        answered.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
        let (count, cpu) = (answered.load(SeqCst), shard_cpu_ns().saturating_sub(before));
        assert!(count > 0, "{path}");
        eprintln!("{path}: {count} requests, {:.2} us of the shard each", cpu as f64 / count as f64 / 1e3);
    }
}

/// Time on a processor of all threads named `shard-0`. Source: Linux, `schedstat`, first field, in nanoseconds.
fn shard_cpu_ns() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let named =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "shard-0"));
    let times = named.filter_map(|task| fs::read_to_string(task.join("schedstat")).ok());
    times.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}
