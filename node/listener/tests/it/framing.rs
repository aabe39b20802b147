//! Every case of the corpus through a socket, in one piece and byte by byte.

use tokio::io::AsyncWriteExt;

use crate::corpus::{Case, cases};
use crate::harness::{drip, options, replies, send, start};

const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn check(case: &Case, is_dripping: bool) {
    let name = format!("{} ({})", case.name, if is_dripping { "byte by byte" } else { "at once" });
    let running = start(options());
    let bytes = [&case.bytes, PROBE.as_bytes()].concat();
    let mut stream =
        if is_dripping { drip(running.address, &bytes).await } else { send(running.address, &bytes).await };
    let answers = replies(&mut stream).await;
    drop(stream);

    let mut statuses = case.statuses.clone();
    let mut entered = case.entered;
    if case.lives {
        statuses.push(200);
        entered += 1;
    }
    let seen: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(seen, statuses, "{name}: {answers:?}");
    assert_eq!(running.entered(), entered, "{name}: handler calls");
    let served = running.served();
    assert_eq!(served.contains(&"GET /probe 0".to_owned()), case.lives, "{name}: probe");
    assert!(!served.iter().any(|line| line.contains("smuggled")), "{name}: {served:?}");
    for answer in answers.iter().filter(|answer| answer.status >= 400) {
        assert!(answer.head.contains("connection: close"), "{name}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{name}: {answer:?}");
        assert!(answer.body.starts_with(r#"{"message":"#), "{name}: {answer:?}");
    }
    assert_eq!(running.handle.counters().desynchronised, 0, "{name}");
    running.stopped().await;
}

#[tokio::test]
async fn the_corpus_at_once() {
    let cases = cases();
    assert!(cases.len() >= 120, "{}", cases.len());
    for case in &cases {
        check(case, false).await;
    }
}

#[tokio::test]
async fn the_corpus_byte_by_byte() {
    for case in &cases() {
        check(case, true).await;
    }
}

/// Several good requests and at most one refused, in pieces of random size: the answers may not depend on the cuts.
#[tokio::test]
async fn cuts_do_not_matter() {
    let cases = cases();
    let good: Vec<_> = cases.iter().filter(|case| case.lives).collect();
    let closing: Vec<_> = cases.iter().filter(|case| !case.lives).collect();
    let mut random = Random(0x7469_6465);
    for round in 0..150 {
        let mut bytes = Vec::new();
        let mut statuses = Vec::new();
        let mut names = Vec::new();
        let count = random.below(4);
        let chosen = (0..count).map(|_| good[random.below(good.len())]).collect::<Vec<_>>();
        let last = closing[random.below(closing.len())];
        for case in chosen.into_iter().chain([last]) {
            bytes.extend_from_slice(&case.bytes);
            statuses.extend_from_slice(&case.statuses);
            names.push(case.name);
        }
        bytes.extend_from_slice(PROBE.as_bytes());
        let running = start(options());
        let mut stream = send(running.address, b"").await;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + random.below(200)));
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
            rest = after;
        }
        let seen: Vec<u16> = replies(&mut stream).await.iter().map(|answer| answer.status).collect();
        assert_eq!(seen, statuses, "round {round}: {names:?}");
        assert!(!running.served().iter().any(|line| line.contains("probe") || line.contains("smuggled")));
        assert_eq!(running.handle.counters().desynchronised, 0, "round {round}: {names:?}");
        drop(stream);
        running.stopped().await;
    }
}

/// A small generator (xorshift), so that a failing round can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
