//! Limits: connections, slow heads, stalled bodies, idle connections, taken ports.

use crate::harness::{options, replies, reply, send, start, until, within};
use tidegate_listener::{Error, Options, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_connection_over_the_limit_is_answered_503() {
    let running = start(Options { connections_max: 2, ..options() });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = send(running.address, GET).await;
        assert_eq!(reply(&mut stream).await.status, 200);
        held.push(stream);
    }
    let mut refused = send(running.address, b"").await;
    let answers = replies(&mut refused).await;
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].status, answers[0].body.as_str()), (503, r#"{"message":"Service Unavailable"}"#));
    assert_eq!(running.handle.counters().refused_over_limit, 1);

    held.pop();
    until("the place is free again", || running.handle.connections() == 1).await;
    let mut again = send(running.address, GET).await;
    assert_eq!(reply(&mut again).await.status, 200);
    assert_eq!(running.handle.counters().accepted, 3);
}

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let running = start(Options { header_read_timeout_ms: 60, ..options() });
    for start_of_head in ["GET / HTTP/1.1\r\nHost: a\r\nX:", "PRI * HTTP/2"] {
        let mut stream = send(running.address, start_of_head.as_bytes()).await;
        let answers = replies(&mut stream).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [408], "{start_of_head}");
    }
    assert_eq!(running.handle.counters().timeouts, 2);
    assert_eq!(running.entered(), 0);
}

#[tokio::test]
async fn a_slow_second_head_is_answered_408() {
    let running = start(Options { header_read_timeout_ms: 60, ..options() });
    let mut stream = send(running.address, GET).await;
    assert_eq!(reply(&mut stream).await.status, 200);
    stream.write_all(b"GET /again HTTP/1.1\r\n").await.unwrap();
    let answers = replies(&mut stream).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [408]);
}

#[tokio::test]
async fn silence_is_closed_without_a_word() {
    let running = start(Options { header_read_timeout_ms: 60, keep_alive_timeout_ms: 60, ..options() });
    let mut silent = send(running.address, b"").await;
    assert!(replies(&mut silent).await.is_empty());
    let mut idle = send(running.address, GET).await;
    assert_eq!(reply(&mut idle).await.status, 200);
    assert!(replies(&mut idle).await.is_empty());
    assert_eq!(running.handle.counters().idle_closes, 2);
}

#[tokio::test]
async fn a_stalled_body_is_answered_408() {
    let running = start(Options { body_stall_timeout_ms: 60, ..options() });
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\nab");
        let mut stream = send(running.address, bytes.as_bytes()).await;
        let answers = replies(&mut stream).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [408], "{framing}");
    }
    assert!(running.served().is_empty());
}

#[tokio::test]
async fn a_peer_that_leaves_ends_its_request() {
    let running = start(options());
    let stream = send(running.address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the handler is waiting", || running.entered() == 1).await;
    drop(stream);
    until("the connection is gone", || running.handle.connections() == 0).await;
    assert!(running.served().is_empty());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = Service::new(options()).unwrap();
    let address = first.local_address();
    let error = Service::new(Options { address, ..options() }).unwrap_err();
    assert!(matches!(error, Error::Bind { .. }));
    assert!(error.to_string().contains(&format!("port {}", address.port())), "{error}");
}

#[tokio::test]
async fn shards_share_a_port() {
    let first = Service::new(Options { reuse_port: true, ..options() }).unwrap();
    let address = first.local_address();
    let second = Service::new(Options { reuse_port: true, address, ..options() }).unwrap();
    assert_eq!(second.local_address(), address);
}

#[tokio::test]
async fn the_rest_of_an_unread_body_is_never_a_request() {
    let running = start(options());
    let head = "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n";
    let mut stream = send(running.address, head.as_bytes()).await;
    assert_eq!(reply(&mut stream).await.status, 200);
    let _ = stream.write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(replies(&mut stream).await.is_empty());
    assert_eq!(running.served(), ["POST /early -"]);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_ended() {
    let running = start(Options { write_stall_timeout_ms: 60, ..options() });
    let stream = send(running.address, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the write has stalled", || running.handle.counters().write_stalls == 1).await;
    until("the connection is gone", || running.handle.connections() == 0).await;
    drop(stream);
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let running = start(Options { connections_per_peer_max: Some(1), ..options() });
    let mut first = send(running.address, GET).await;
    assert_eq!(reply(&mut first).await.status, 200);
    let mut second = send(running.address, b"").await;
    assert_eq!(replies(&mut second).await[0].status, 503);
    drop(first);
    until("the place is free again", || running.handle.connections() == 0).await;
    let mut third = send(running.address, GET).await;
    assert_eq!(reply(&mut third).await.status, 200);
}

#[tokio::test]
async fn a_body_may_wait_for_100_continue() {
    let running = start(options());
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut stream = send(running.address, head.as_bytes()).await;
    assert_eq!(reply(&mut stream).await.status, 100);
    stream.write_all(b"hi").await.unwrap();
    assert_eq!(reply(&mut stream).await.body, "POST / 2");
}

#[tokio::test]
async fn a_refused_head_request_gets_no_body() {
    let running = start(options());
    let mut stream = send(running.address, b"HEAD / HTTP/1.1\r\n\r\n").await;
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}
