//! Draining: requests in flight finish, idle connections close, nothing new begins, the deadline holds.

use crate::harness::{options, replies, reply, send, start, until, within};
use tidegate_listener::Options;
use tokio::net::TcpStream;

const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_request_in_flight_finishes_and_idle_connections_close() {
    let mut running = start(options());
    let mut silent = send(running.address, b"").await;
    let mut idle = send(running.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(reply(&mut idle).await.status, 200);
    let mut busy = send(running.address, SLOW).await;
    until("the slow request is inside", || running.entered() == 2).await;
    until("all are accepted", || running.handle.connections() == 3).await;

    running.begin_stop();
    assert!(replies(&mut idle).await.is_empty());
    assert!(replies(&mut silent).await.is_empty());
    assert!(running.handle.is_draining());
    until("the port is closed", || std::net::TcpStream::connect(running.address).is_err()).await;

    running.record.gate.add_permits(1);
    let answers = replies(&mut busy).await;
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].status, answers[0].body.as_str()), (200, "GET /slow 0"));
    assert!(answers[0].head.contains("connection: close"), "{answers:?}");
    running.stopped().await;
}

#[tokio::test]
async fn the_handle_drains_too() {
    let running = start(options());
    let mut idle = send(running.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(reply(&mut idle).await.status, 200);
    running.handle.drain();
    assert!(replies(&mut idle).await.is_empty());
    running.stopped().await;
}

#[tokio::test]
async fn the_deadline_cuts_what_is_left() {
    let mut running = start(Options { drain_timeout_ms: 50, ..options() });
    let mut busy = send(running.address, SLOW).await;
    until("the slow request is inside", || running.entered() == 1).await;
    running.begin_stop();
    assert!(replies(&mut busy).await.is_empty());
    let handle = running.handle.clone();
    running.stopped().await;
    assert_eq!((handle.connections(), handle.counters().cut), (0, 1));
}

#[tokio::test]
async fn nothing_new_is_accepted_while_draining() {
    let mut running = start(options());
    let mut busy = send(running.address, SLOW).await;
    until("the slow request is inside", || running.entered() == 1).await;
    running.begin_stop();
    until("connects are refused", || std::net::TcpStream::connect(running.address).is_err()).await;
    assert!(within(TcpStream::connect(running.address)).await.is_err());
    running.record.gate.add_permits(1);
    assert_eq!(replies(&mut busy).await.len(), 1);
    running.stopped().await;
}
