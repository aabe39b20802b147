//! Every case of the corpus through a socket, in one piece and byte by byte.

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
