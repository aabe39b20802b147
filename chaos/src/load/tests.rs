//! Open-loop clients against small servers of their own.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use super::*;
use crate::clock::Span;

/// Answers `ok` after `delay`, `times` times per connection, then closes it without an answer.
async fn server(delay: Duration, times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 1_024];
                for _ in 0..times {
                    if !stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        return;
                    }
                    sleep(delay).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
                let _ = stream.read(&mut head).await;
            });
        }
    });
    address
}

async fn run(address: SocketAddr, answer: &'static str, reconnects: bool, lasts: Duration) -> Stream {
    let target = Target { address, path: "/".into(), answer: answer.into(), reconnects };
    let (stop, stopped) = watch::channel(false);
    let mut stream = Stream::start(target, Clock::start(), 200, stopped);
    sleep(lasts).await;
    stop.send_replace(true);
    stream.finish().await;
    stream
}

#[test]
fn requests_are_due_evenly() {
    let schedule = Schedule::new(500, 300);
    for (index, due_us) in [(0, 500), (1, 3_833), (3, 10_500), (300, 1_000_500)] {
        assert_eq!(schedule.due_us(index), due_us);
    }
    for (at_us, due) in [(0, 0), (500, 0), (501, 1), (3_833, 1), (3_834, 2), (1_000_500, 300)] {
        assert_eq!(schedule.due_before(at_us), due, "before {at_us}");
    }
}

#[tokio::test]
async fn what_is_due_is_sent_though_the_sender_was_late() {
    let target = Target {
        address: server(Duration::ZERO, 1_000).await,
        path: "/".into(),
        answer: "ok".into(),
        reconnects: false,
    };
    let (stop, stopped) = watch::channel(false);
    let mut stream = Stream::start(target, Clock::start(), 200, stopped);
    // Nothing else runs on this thread meanwhile.
    std::thread::sleep(Duration::from_millis(100));
    stop.send_replace(true);
    stream.finish().await;
    let tally = stream.tally();
    assert!(tally.due() >= 20 && tally.total() == tally.due(), "{} of {}", tally.total(), tally.due());
}

#[tokio::test]
async fn a_slow_server_does_not_slow_the_clients() {
    let stream =
        run(server(Duration::from_millis(150), 1_000).await, "ok", false, Duration::from_millis(400)).await;
    let tally = stream.tally();
    assert!(
        tally.due() >= 60 && tally.total().abs_diff(tally.due()) <= 1,
        "{} of {}",
        tally.total(),
        tally.due()
    );
    assert_eq!(tally.failed(&[]), 0);
    assert!(tally.latency_ms(0.5) >= 150.0, "{}", tally.latency_ms(0.5));
}

#[tokio::test]
async fn lost_connections_are_retried_once_and_only_where_asked() {
    let lasts = Duration::from_millis(300);
    let patient = run(server(Duration::ZERO, 2).await, "ok", true, lasts).await;
    assert_eq!(patient.tally().failed(&[]), 0, "{:?}", patient.tally().failures(&[]).next());
    let strict = run(server(Duration::ZERO, 0).await, "ok", true, lasts).await;
    {
        let tally = strict.tally();
        assert!(tally.ok == 0 && tally.failed(&[]) == tally.total() && tally.retries == tally.total());
    }
    let plain = run(server(Duration::ZERO, 0).await, "ok", false, lasts).await;
    assert!(plain.tally().retries == 0 && plain.tally().failed(&[]) > 0);
}

#[tokio::test]
async fn a_wrong_body_is_a_failure_and_can_be_excused() {
    let stream = run(server(Duration::ZERO, 1_000).await, "no", true, Duration::from_millis(100)).await;
    let tally = stream.tally();
    assert!(tally.failed(&[]) > 0);
    assert_eq!(tally.failures(&[]).next().unwrap().reason, "200 with a wrong body");
    assert_eq!(tally.failed(&[Span { from_us: 0, to_us: u64::MAX }]), 0);
}
