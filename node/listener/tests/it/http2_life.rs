//! How HTTP/2 connections end in peace: draining, idleness, peers that say nothing, read nothing or answer nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tidegate_listener::{Body, Connection, Options, Service};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::frames::*;
use crate::harness::{Running, options, start, until, within};
use crate::tls_client::{Client, start_tls};

/// Answers PING and SETTINGS as a decent client does, to the end of the connection; GOAWAY codes and answers seen.
async fn behave<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>) -> (Vec<u32>, Vec<u32>) {
    let (mut codes, mut answered) = (Vec::new(), Vec::new());
    while let Some(seen) = raw.next().await {
        match seen.kind {
            PING if seen.flags & ACK == 0 => raw.send(&frame(PING, ACK, 0, &seen.payload)).await,
            SETTINGS if seen.flags & ACK == 0 => raw.send(&frame(SETTINGS, ACK, 0, &[])).await,
            GOAWAY => codes.push(seen.code()),
            _ if seen.is_end() => answered.push(seen.stream),
            _ => {}
        }
    }
    (codes, answered)
}

async fn drain<S: AsyncRead + AsyncWrite + Unpin>(mut running: Running, mut raw: Raw<S>) {
    raw.send(&get(1, "/slow")).await;
    until("the slow request is inside", || running.entered() == 1).await;
    running.begin_stop();
    let goaway = raw.until(|frame| frame.kind == GOAWAY).await;
    assert_eq!((goaway.code(), &goaway.payload[..4]), (0, &[0x7f, 0xff, 0xff, 0xff][..]));
    running.record.gate.add_permits(1);
    // The first GOAWAY came before its PING, which the server waits for.
    let (codes, answered) = behave(&mut raw).await;
    assert_eq!((codes, answered), (vec![0], vec![1]));
    let handle = running.handle.clone();
    running.stopped().await;
    assert_eq!((handle.connections(), handle.counters().cut, handle.counters().http2_floods), (0, 0, 0));
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight() {
    let running = start(options());
    let raw = Raw::plain(running.address).await;
    drain(running, raw).await;
    let running = start_tls(options(), &settings());
    let raw = Raw::encrypted(running.address).await;
    drain(running, raw).await;
}

async fn idle<S: AsyncRead + AsyncWrite + Unpin>(running: &Running, mut raw: Raw<S>) {
    assert_eq!(raw.ask(1, &get(1, "/")).await.status(), 200);
    assert_eq!(behave(&mut raw).await.0, [0, 0]);
    drop(raw);
    until("the connection is gone", || running.handle.connections() == 0).await;
    assert_eq!(running.handle.counters().idle_closes, 1);
}

fn impatient() -> Options {
    Options { keep_alive_timeout_ms: 40, header_read_timeout_ms: 60, write_stall_timeout_ms: 60, ..options() }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = start(impatient());
    idle(&running, Raw::plain(running.address).await).await;
    let running = start_tls(impatient(), &settings());
    idle(&running, Raw::encrypted(running.address).await).await;
}

#[tokio::test]
async fn an_idle_peer_that_does_not_answer_is_closed_too() {
    let running = start(impatient());
    let mut raw = Raw::plain(running.address).await;
    assert_eq!(raw.ask(1, &get(1, "/")).await.status(), 200);
    assert_eq!(raw.end().await, Some(0));
    until("the connection is gone", || running.handle.connections() == 0).await;
}

#[tokio::test]
async fn a_peer_without_a_preface_is_closed() {
    let running = start_tls(impatient(), &settings());
    let client = Client::with(&[&rustls::version::TLS13], &[b"h2"], |_| ());
    let mut silent = client.connect(running.address, "a.test").await.unwrap();
    let read = within(silent.0.read(&mut [0; 16])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    until("the connection is gone", || running.handle.connections() == 0).await;
    assert_eq!(running.handle.counters().idle_closes, 1);
}

async fn stall<S: AsyncRead + AsyncWrite + Unpin>(running: &Running, mut raw: Raw<S>) {
    const WIDE: u32 = 0x7fff_ffff;
    let wide = frame(SETTINGS, 0, 0, &[&[0, 4], &WIDE.to_be_bytes()[..]].concat());
    raw.send(&[wide, window_update(0, WIDE - 65_535), get(1, "/big")].concat()).await;
    until("the peer is given up", || running.handle.counters().write_stalls == 1).await;
    until("the connection is gone", || running.handle.connections() == 0).await;
    drop(raw);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let running = start(impatient());
    stall(&running, Raw::plain(running.address).await).await;
    let running = start_tls(impatient(), &settings());
    stall(&running, Raw::encrypted(running.address).await).await;
}

/// An answer without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 4_096])))))
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let service = Service::new(impatient()).unwrap();
    let (address, handle) = (service.local_address(), service.handle());
    let handler = |_: Request<Body>, _: Connection| async { Response::new(Endless) };
    let running = tokio::spawn(service.run(handler, std::future::pending()));
    let mut raw = Raw::plain(address).await;
    // It goes on reading and answering, and grants no window.
    raw.send(&get(1, "/")).await;
    behave(&mut raw).await;
    until("the connection is gone", || handle.connections() == 0).await;
    assert_eq!((handle.counters().requests, handle.counters().write_stalls), (1, 1));
    running.abort();
}
