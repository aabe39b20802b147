//! Stored answers that memory has no room for, and those of a process before: they come from disk instead of the upstream.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tempfile::TempDir;
use tidegate_edge::{DiskOptions, Options};
use tidegate_proto::compiled::caches::{CacheModeV1, PurgeV1, StageCacheV1};

use crate::{
    cache::{cached, method, stage},
    room::{Answer, Room, Upstream, eventually, read_request},
};

const BODY_BYTES: usize = 200_000;

/// A node with one cached resource and a disk, which may be started anew.
struct Node {
    folder: TempDir,
    upstream: Upstream,
    calls: Arc<AtomicUsize>,
    own: StageCacheV1,
    room: Option<Room>,
}

impl Node {
    /// The upstream numbers its answers, which depend on the language.
    fn new(mode: CacheModeV1, body_bytes: usize) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let upstream = Upstream::scripted(move |stream, _| {
            while let Some(request) = read_request(stream) {
                let mut body = format!("answer {} ", count.fetch_add(1, SeqCst) + 1);
                let vary = if request.contains("/vary") { "Vary: X-Tongue\r\n" } else { "" };
                body.extend(std::iter::repeat_n('x', body_bytes));
                let head = format!(
                    "HTTP/1.1 200 OK\r\n{vary}Cache-Control: max-age=600\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all(head.as_bytes()).is_err() || stream.write_all(body.as_bytes()).is_err() {
                    return;
                }
            }
        });
        // What is asked for is less than the least that a store has room for.
        let own = StageCacheV1 { bytes_max: 1, ..stage(method(mode)) };
        let mut node = Self { folder: tempfile::tempdir().unwrap(), upstream, calls, own, room: None };
        node.start();
        node
    }

    fn start(&mut self) {
        let folder = self.folder.path().join("cache");
        let disk = DiskOptions { folder, bytes_max: 1 << 28, read_timeout_ms: 10_000, key: [9; 32] };
        let options = Options { shards: 1, cache_disk: Some(disk), ..Options::default() };
        self.room = Some(Room::with(options, cached(1, &self.upstream, self.own.clone())));
    }

    /// Ends the process in order, and begins another one that knows of so many answers.
    fn restart(&mut self, records: u64) {
        self.room = None;
        let state = self.folder.path().join("cache/state");
        eventually("the process has ended", || std::fs::read_to_string(&state).unwrap() == "closed");
        self.start();
        eventually("all is known", || self.figure("cache_disk_records") >= records);
    }

    fn ask(&self, head: &str) -> Answer {
        let answer = self.room.as_ref().unwrap().ask(head, "");
        assert_eq!(answer.status(), 200, "{head}");
        answer
    }

    /// The number of the answer that a request gets.
    fn number(&self, head: &str) -> usize {
        let answer = self.ask(head);
        answer.body().split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    fn figure(&self, name: &str) -> u64 {
        let text = self.room.as_ref().unwrap().registry.render();
        let lines = text.lines().filter_map(|line| line.strip_prefix("tidegate_")?.split_once(' '));
        let mut found = lines.filter(|(known, _)| known.strip_suffix("_total").unwrap_or(known) == name);
        found.next().and_then(|(_, value)| value.parse::<f64>().ok()).unwrap_or_default() as u64
    }
}

#[test]
fn what_memory_has_no_room_for_comes_back_from_disk() {
    const ANSWERS: usize = 80;
    let node = Node::new(CacheModeV1::Aws, BODY_BYTES);
    for nth in 1..=ANSWERS {
        // The second time it is of use.
        assert_eq!(
            [node.number(&format!("GET /dev/{nth}")), node.number(&format!("GET /dev/{nth}"))],
            [nth; 2]
        );
    }
    eventually("some are on disk", || node.figure("cache_disk_records") > ANSWERS as u64 / 3);
    let mut again = 0;
    for nth in 1..=ANSWERS {
        let calls = node.calls();
        let number = node.number(&format!("GET /dev/{nth}"));
        let is_called = node.calls() > calls;
        assert!(number == nth || is_called, "{number} instead of {nth}");
        again += usize::from(is_called);
    }
    // What is asked for while it waits for being written is not there.
    let waiting = 2 + node.figure("cache_disk_dropped");
    assert!(again as u64 <= waiting, "{again} calls, {waiting} were on their way");
    assert!(node.figure("cache_disk_hits") > 0 && node.figure("cache_disk_damaged") == 0);
}

#[test]
fn answers_outlive_the_process() {
    for mode in [CacheModeV1::Aws, CacheModeV1::Http] {
        let mut node = Node::new(mode, 10);
        for head in ["GET /dev/a", "GET /dev/vary\nX-Tongue: de", "GET /dev/vary\nX-Tongue: en"] {
            node.ask(head);
        }
        for round in 0..3 {
            node.restart(3);
            for (head, expect) in [
                ("GET /dev/vary\nX-Tongue: en", 3),
                ("GET /dev/a", 1),
                ("GET /dev/vary\nX-Tongue: de", 2),
                ("GET /dev/a", 1),
            ] {
                assert_eq!(node.number(head), expect, "{mode:?} {round} {head}");
            }
            assert!(node.ask("GET /dev/a").header("age").is_some());
            assert_eq!(node.figure("cache_disk_hits"), 3, "{mode:?} {round}");
        }
        assert_eq!(node.calls(), 3);
    }
}

#[test]
fn what_was_flushed_purged_or_replaced_does_not_come_back() {
    let mut node = Node::new(CacheModeV1::Aws, 10);
    let heads = ["GET /dev/a", "GET /dev/b", "GET /dev/vary\nX-Tongue: de"];
    let numbers = |node: &Node| heads.map(|head| node.number(head));
    assert_eq!(numbers(&node), [1, 2, 3]);
    node.restart(3);
    assert_eq!(node.number("GET /dev/a\nCache-Control: max-age=0"), 1, "who may not replace it does not");
    let purge = PurgeV1 { sequence: 1, prefix: "/b".into(), ..PurgeV1::default() };
    node.own = StageCacheV1 { sequence: 1, purges: vec![purge], ..node.own.clone() };
    node.restart(3);
    assert_eq!(numbers(&node), [1, 4, 3]);
    node.restart(3);
    assert_eq!(numbers(&node), [1, 4, 3], "the new one is stored in its place");
    node.own.epoch = 1;
    node.restart(3);
    assert_eq!(numbers(&node), [5, 6, 7]);
    // Of another cache nothing is kept once there is another configuration.
    let room = node.room.as_ref().unwrap();
    room.handle.publish(Arc::new(cached(2, &node.upstream, node.own.clone())));
    eventually("the old ones are let go", || node.figure("cache_disk_records") == 0);
}

#[test]
fn what_a_request_made_invalid_does_not_come_back() {
    let mut node = Node::new(CacheModeV1::Http, 10);
    let heads = ["GET /dev/a", "GET /dev/b", "GET /dev/vary\nX-Tongue: de", "GET /dev/vary\nX-Tongue: en"];
    let numbers = |node: &Node| heads.map(|head| node.number(head));
    assert_eq!(numbers(&node), [1, 2, 3, 4]);
    node.restart(4);
    // They are on disk only.
    node.ask("DELETE /dev/a");
    node.ask("DELETE /dev/vary");
    for round in 0..2 {
        assert_eq!(numbers(&node), [7, 2, 8, 9], "{round}");
        node.restart(4);
    }
}
