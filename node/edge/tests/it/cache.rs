//! Stored answers: when they are given, who calls, and what is never stored. Each on both lines.

#[path = "held.rs"]
mod held;

use std::{
    io::Write,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tidegate_edge::Options;
use tidegate_gateway::{Caches, Snapshot};
use tidegate_proto::compiled::caches::{
    CacheModeV1, CachesV1, KeyParameterV1, MethodCacheV1, PurgeV1, RefreshV1, StageCacheV1,
};

use crate::room::{Answer, Client, Room, Upstream, eventually, proxy, read_request, snapshot};

/// A region's node with one cached resource, and how often its upstream was called.
struct Cached {
    room: Room,
    upstream: Upstream,
    calls: Arc<AtomicUsize>,
}

pub(crate) fn method(mode: CacheModeV1) -> MethodCacheV1 {
    MethodCacheV1 {
        path: "/{proxy+}".into(),
        verb: "ANY".into(),
        mode,
        ttl_s: 300,
        namespace: "n".into(),
        parameters: vec![KeyParameterV1::Query("q".into()), KeyParameterV1::Header("x-lang".into())],
        refresh: RefreshV1::SignedOrWarned,
        ..MethodCacheV1::default()
    }
}

pub(crate) fn stage(method: MethodCacheV1) -> StageCacheV1 {
    StageCacheV1 {
        api: "api1".into(),
        stage: "dev".into(),
        bytes_max: 500_000_000,
        methods: vec![method],
        ..StageCacheV1::default()
    }
}

pub(crate) fn cached(revision: u64, upstream: &Upstream, own: StageCacheV1) -> Snapshot {
    let snapshot = snapshot(revision, &[("/{proxy+}", "ANY", proxy(upstream.address, "/{proxy}"))]);
    let compiled = Arc::new(CachesV1 { stages: vec![own] });
    let caches = Caches::build(compiled, snapshot.stages());
    snapshot.with_caches(Arc::new(caches))
}

impl Cached {
    /// `answer` makes the answer to a request, of which it gets the number and the text.
    fn new(
        direct: bool,
        own: StageCacheV1,
        answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let upstream = Upstream::scripted(move |stream, seen| {
            while let Some(request) = read_request(stream) {
                let bytes = answer(count.fetch_add(1, SeqCst) + 1, &request);
                let _ = seen.send(request);
                let ends = !bytes.starts_with(b"HTTP")
                    || bytes.windows(19).any(|text| text == b"Connection: close\r\n");
                if stream.write_all(&bytes).is_err() || ends {
                    return;
                }
            }
        });
        let options = Options { shards: 2, direct, ..Options::default() };
        let room = Room::with(options, cached(1, &upstream, own));
        Self { room, upstream, calls }
    }

    fn ask(&self, head: &str) -> Answer {
        self.room.ask(head, "")
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

fn text(number: usize, fields: &str) -> Vec<u8> {
    let body = format!("answer {number}");
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Sends requests one after the other, and says for each the number of the answer that it got.
fn answers(cached: &Cached, heads: &[&str]) -> Vec<usize> {
    let number = |head: &&str| {
        let answer = cached.ask(head);
        assert_eq!(answer.status(), 200, "{head} {answer:?}");
        answer.body().strip_prefix("answer ").and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    heads.iter().map(number).collect()
}

#[test]
fn what_is_in_the_key_makes_another_answer_and_nothing_else_does() {
    for direct in [true, false] {
        let cached =
            Cached::new(direct, stage(method(CacheModeV1::Aws)), |number, _| text(number, "ETag: \"e\"\r\n"));
        let heads = [
            "GET /dev/a",
            "GET /dev/a",
            "GET /dev/a?z=1\nX-Other: 1",
            "GET /dev/a?q=1",
            "GET /dev/a?z&q=1",
            "GET /dev/a\nX-Lang: de",
            "GET /dev/a\nx-lang: de\nAccept: text/plain",
            "GET /dev/a/",
            "GET /dev/A",
            "GET /dev/%61",
            "HEAD /dev/none\nX-Lang: de",
        ];
        let heads = &heads[..heads.len() - 1];
        assert_eq!(answers(&cached, heads), [1, 1, 1, 2, 2, 3, 3, 4, 5, 6], "direct {direct}");
        let hit = cached.ask("GET /dev/a");
        assert_eq!(hit.header("age"), Some("0"), "{hit:?}");
        assert!(hit.header("x-amzn-requestid").is_some() && hit.header("date").is_some(), "{hit:?}");
        let unchanged = cached.ask("GET /dev/a\nIf-None-Match: \"e\"");
        assert_eq!((unchanged.status(), unchanged.body()), (304, ""), "{unchanged:?}");
        assert_eq!(cached.calls(), 6);
    }
}

#[test]
fn answers_that_are_somebodys_own_are_not_shared() {
    for direct in [true, false] {
        let own = stage(method(CacheModeV1::Aws));
        let cached = Cached::new(direct, own, |number, request| {
            text(number, if request.contains("/cookie") { "Set-Cookie: a=b\r\n" } else { "" })
        });
        for head in [
            "GET /dev/a\nAuthorization: Bearer x",
            "GET /dev/b\nCookie: a=b",
            "GET /dev/cookie",
            "POST /dev/c",
            "HEAD /dev/d",
            "GET /dev/e\nX-Forwarded-Host: evil",
        ] {
            let before = cached.calls();
            (0..2).for_each(|_| _ = cached.ask(head));
            assert_eq!(cached.calls(), before + 2, "{head}");
        }
        // What came with a header that no key holds was not stored, and what is stored is given whoever asks.
        assert_eq!(answers(&cached, &["GET /dev/e", "GET /dev/e\nX-Forwarded-Host: evil"]), [13, 13]);
    }
}

#[test]
fn one_call_answers_all_who_wait() {
    const CLIENTS: usize = 100;
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Aws)), |number, _| {
            thread::sleep(Duration::from_millis(300));
            text(number, "")
        });
        let (address, barrier) = (cached.room.address, Arc::new(Barrier::new(CLIENTS)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || {
                    let mut client = Client::connect(address);
                    barrier.wait();
                    client.send(
                        "GET /dev/a HTTP/1.1\r\nHost: api1.execute-api.local\r\nConnection: close\r\n\r\n",
                    );
                    client.read_to_end().body().to_owned()
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), "answer 1");
        }
        assert_eq!(cached.calls(), 1, "direct {direct}");
    }
}

#[test]
fn who_asked_first_may_leave() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Aws)), |number, _| {
            thread::sleep(Duration::from_millis(300));
            text(number, "")
        });
        let mut first = cached.room.connect();
        first.send("GET /dev/a HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
        eventually("the upstream is called", || cached.calls() == 1);
        drop(first);
        assert_eq!(answers(&cached, &["GET /dev/a"]), [1]);
        assert_eq!(cached.calls(), 1);
    }
}

#[test]
fn a_connection_of_the_short_line_stays_there() {
    let cached = Cached::new(true, stage(method(CacheModeV1::Aws)), |number, _| text(number, ""));
    let mut client = cached.room.connect();
    for (path, expect) in
        [("a", "answer 1"), ("b", "answer 2"), ("a", "answer 1"), ("c", "answer 3"), ("a", "answer 1")]
    {
        client.send(&format!("GET /dev/{path} HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n"));
        let answer = client.read_until(expect);
        assert_eq!((answer.status(), answer.body()), (200, expect), "{path}");
    }
}

#[test]
fn a_flush_and_a_purge_take_effect_with_the_snapshot() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Aws)), |number, _| {
            text(number, "Cache-Tag: red, round\r\n")
        });
        let heads = ["GET /dev/x/a", "GET /dev/y/b"];
        assert_eq!(answers(&cached, &heads), [1, 2]);
        let publish = |revision, own| {
            cached.room.handle.publish(Arc::new(self::cached(revision, &cached.upstream, own)));
        };
        let purge = |sequence, prefix: &str, tag: &str| {
            let purge = PurgeV1 { sequence, prefix: prefix.into(), tag: tag.into(), ..PurgeV1::default() };
            StageCacheV1 { sequence, purges: vec![purge], ..stage(method(CacheModeV1::Aws)) }
        };
        publish(2, purge(1, "/x/", ""));
        assert_eq!(answers(&cached, &heads), [3, 2]);
        publish(3, purge(2, "", "blue"));
        assert_eq!(answers(&cached, &heads), [3, 2]);
        publish(4, purge(3, "", "round"));
        assert_eq!(answers(&cached, &heads), [4, 5]);
        publish(5, StageCacheV1 { epoch: 1, ..stage(method(CacheModeV1::Aws)) });
        assert_eq!(answers(&cached, &heads), [6, 7]);
        assert_eq!(answers(&cached, &heads), [6, 7]);
    }
}

#[test]
fn what_is_not_whole_is_not_stored() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Aws)), |number, request| {
            let long = "x".repeat(1_500_000);
            match request.split(' ').nth(1) {
                Some("/long") => {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1500000\r\n\r\n{long}").into_bytes()
                }
                Some("/chunks") => format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16e360\r\n{long}\r\n0\r\n\r\n"
                )
                .into_bytes(),
                Some("/cut") => {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort".to_vec()
                }
                Some("/open") => {
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nanswer {number}").into_bytes()
                }
                _ => text(number, ""),
            }
        });
        for (path, length) in [("long", 1_500_000), ("chunks", 1_500_000), ("open", 8)] {
            let before = cached.calls();
            for _ in 0..2 {
                let answer = cached.ask(&format!("GET /dev/{path}"));
                let is_chunked = answer.header("transfer-encoding").is_some();
                let length = if is_chunked { length.min(answer.body().len()) } else { length };
                assert_eq!(answer.status(), 200, "{path}");
                assert!(answer.body().len() >= length, "{path} {}", answer.body().len());
            }
            assert_eq!(cached.calls(), before + 2, "{path}");
        }
        for _ in 0..2 {
            assert_eq!(cached.ask("GET /dev/cut").status(), 502);
        }
    }
}

#[test]
fn who_may_have_an_answer_replaced() {
    for (refresh, status, warning, expect) in [
        (RefreshV1::Anyone, 200, false, "answer 2"),
        (RefreshV1::SignedOrRefused, 403, false, ""),
        (RefreshV1::SignedOrWarned, 200, true, "answer 1"),
        (RefreshV1::SignedOrIgnored, 200, false, "answer 1"),
    ] {
        let own = stage(MethodCacheV1 { refresh, ..method(CacheModeV1::Aws) });
        let cached = Cached::new(true, own, |number, _| text(number, ""));
        assert_eq!(answers(&cached, &["GET /dev/a"]), [1]);
        let answer = cached.ask("GET /dev/a\nCache-Control: max-age=0");
        assert_eq!(answer.status(), status, "{refresh:?} {answer:?}");
        assert_eq!(answer.header("warning").is_some(), warning, "{refresh:?} {answer:?}");
        assert!(answer.body().contains(expect), "{refresh:?} {answer:?}");
    }
}

#[test]
fn http_says_what_is_fresh_and_what_changes_make_stale() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Http)), |number, request| {
            let fields = match request.split(' ').nth(1).unwrap_or_default() {
                "/vary" => "Cache-Control: max-age=60\r\nVary: X-Kind\r\n",
                "/no" => "Cache-Control: no-store\r\n",
                "/tag" if request.to_lowercase().contains("if-none-match: \"t\"") => {
                    return b"HTTP/1.1 304 Not Modified\r\nETag: \"t\"\r\nX-New: 1\r\n\r\n".to_vec();
                }
                "/tag" => "Cache-Control: no-cache\r\nETag: \"t\"\r\n",
                "/post" => "Location: /fresh\r\n",
                _ => "Cache-Control: max-age=60\r\n",
            };
            text(number, fields)
        });
        let heads = ["GET /dev/fresh", "GET /dev/fresh", "GET /dev/no", "GET /dev/no", "GET /dev/fresh"];
        assert_eq!(answers(&cached, &heads), [1, 1, 2, 3, 1]);
        let heads = ["GET /dev/vary\nX-Kind: a", "GET /dev/vary\nX-Kind: b", "GET /dev/vary\nX-Kind:  a"];
        assert_eq!(answers(&cached, &heads), [4, 5, 4]);
        assert_eq!(answers(&cached, &["GET /dev/tag", "GET /dev/tag"]), [6, 6]);
        assert_eq!(cached.ask("GET /dev/tag").header("x-new"), Some("1"));
        let part = cached.ask("GET /dev/fresh\nRange: bytes=0-2");
        assert_eq!((part.status(), part.body()), (206, "ans"), "{part:?}");
        assert_eq!(part.header("content-range"), Some("bytes 0-2/8"));
        let head = cached.ask("HEAD /dev/fresh");
        assert_eq!((head.status(), head.body(), head.header("content-length")), (200, "", Some("8")));
        let told = cached.ask("GET /dev/fresh\nx-tidegate-cache-status: 1");
        assert!(
            told.header("cache-status").is_some_and(|told| told.starts_with("tidegate; hit; ttl=")),
            "{told:?}"
        );
        let before = cached.calls();
        assert_eq!(cached.room.ask("POST /dev/post\nContent-Length: 2", "hi").status(), 200);
        let again: Vec<usize> = answers(&cached, &["GET /dev/fresh"]);
        assert_eq!(again, [before + 2], "what Location names was taken out");
    }
}

#[test]
fn a_stale_answer_outlives_an_upstream_that_fails() {
    const FRESH: &str = "Cache-Control: max-age=0, stale-if-error=60\r\nETag: \"a\"\r\n";
    const FAILING: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    for direct in [true, false] {
        let mood = Arc::new(AtomicUsize::new(0));
        let feels = Arc::clone(&mood);
        let cached =
            Cached::new(direct, stage(method(CacheModeV1::Http)), move |_, _| match feels.load(SeqCst) {
                0 => text(1, FRESH),
                1 => FAILING.to_vec(),
                2 => Vec::new(),
                _ => text(2, ""),
            });
        for (now, expect) in [(0, 1), (1, 1), (2, 1), (1, 1), (3, 2)] {
            mood.store(now, SeqCst);
            assert_eq!(answers(&cached, &["GET /dev/a"]), [expect], "direct {direct}, mood {now}");
        }
    }
}

#[test]
fn what_may_be_stale_for_a_while_is_given_at_once_and_made_again_behind() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Http)), |number, _| {
            if number > 1 {
                thread::sleep(Duration::from_millis(200));
            }
            text(number, "Cache-Control: max-age=0, stale-while-revalidate=60\r\n")
        });
        assert_eq!(answers(&cached, &["GET /dev/a", "GET /dev/a", "GET /dev/a"]), [1, 1, 1]);
        eventually("one call is made behind all", || cached.calls() == 2);
        eventually("the answer is made again", || answers(&cached, &["GET /dev/a"]) != [1]);
    }
}

#[test]
fn parts_are_stored_and_put_together() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(CacheModeV1::Http)), |_, request| {
            let request = request.to_lowercase();
            let range = request.lines().find_map(|line| line.strip_prefix("range: bytes="));
            let (first, last) = match range.and_then(|range| range.split_once('-')) {
                Some((first, last)) => (first.parse().unwrap_or(0), last.parse().unwrap_or(9)),
                None => (0, 9),
            };
            let part = &"0123456789"[first..=last];
            let status = match range {
                Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/10"),
                None => "200 OK".to_owned(),
            };
            let length = part.len();
            let fields = "Cache-Control: max-age=60\r\nETag: \"e\"\r\n";
            format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{part}").into_bytes()
        });
        for (range, status, body, calls) in [
            ("\nRange: bytes=0-3", 206, "0123", 1),
            ("\nRange: bytes=1-2", 206, "12", 1),
            ("\nRange: bytes=4-5", 206, "45", 2),
            ("\nRange: bytes=2-5", 206, "2345", 2),
            ("", 200, "0123456789", 3),
            ("\nRange: bytes=-2", 206, "89", 3),
            ("", 200, "0123456789", 3),
        ] {
            let answer = cached.ask(&format!("GET /dev/a{range}"));
            assert_eq!(
                (answer.status(), answer.body(), cached.calls()),
                (status, body, calls),
                "{range:?} {answer:?}"
            );
        }
        let asked = cached.upstream.all();
        assert!(asked[2].to_lowercase().contains("range: bytes=6-"), "{asked:?}");
    }
}
