//! Floods over HTTP/2: each is ended after a bounded number of frames, is counted, and leaves others alone; busy is no flood.

use tidegate_listener::{Http2Options, Options};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::frames::*;
use crate::harness::{Running, options, start, until};
use crate::tls_client::start_tls;

/// Small bounds, and one concurrent stream more than they have resets.
fn bounded() -> Options {
    let http2 = Http2Options {
        pings_max: 50,
        settings_max: 50,
        priorities_max: 50,
        resets_max: 50,
        window_updates_max: 50,
        fragments_max: 50,
        flood_window_ms: 60_000,
        ..Http2Options::default()
    };
    Options { http2, ..options() }
}

/// A bucket that is not empty passes its burst, and time may bring a few more.
const FRAMES: u32 = 120;

/// Frames repeated for one number each.
fn many(one: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..FRAMES).flat_map(one).collect()
}

/// Streams of a client, in order.
fn id(number: u32) -> u32 {
    2 * number + 1
}

fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let calm = || get(1, "/");
    let held = || post(1, "/slow");
    let unfinished = frame(HEADERS, 0, 1, &[]);
    vec![
        ("ping", many(|_| frame(PING, 0, 0, &[0; 8]))),
        ("unasked pong", many(|_| frame(PING, ACK, 0, &[0; 8]))),
        ("settings", many(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]))),
        ("goaway", many(|_| frame(GOAWAY, 0, 0, &[0; 8]))),
        ("priority", many(|n| frame(PRIORITY, 0, id(n), &[0, 0, 0, 0, 1]))),
        ("unknown", many(|_| frame(0xfa, 0, 0, &[]))),
        ("window of the connection", many(|_| window_update(0, 1))),
        ("window of a stream", [held(), many(|_| window_update(1, 1))].concat()),
        ("window of a finished stream", [calm(), many(|_| window_update(1, 1))].concat()),
        ("reset of a finished stream", [calm(), many(|_| reset(1))].concat()),
        ("rapid reset", many(|n| [get(id(n), "/"), reset(id(n))].concat())),
        ("empty data", [held(), many(|_| frame(DATA, 0, 1, &[]))].concat()),
        ("padded empty data", [held(), many(|_| frame(DATA, 8, 1, &[3, 0, 0, 0]))].concat()),
        ("continuation", [unfinished, many(|_| frame(CONTINUATION, 0, 1, &[]))].concat()),
        ("empty headers", many(|n| frame(HEADERS, END_HEADERS, id(n), &[]))),
        ("trailers without an end", [held(), many(|_| frame(HEADERS, END_HEADERS, 1, &[]))].concat()),
        ("made to reset", many(|n| [post(id(n), "/slow"), window_update(id(n), 0x7fff_ffff)].concat())),
        ("too many streams", (0..100 + FRAMES).flat_map(|n| post(id(n), "/slow")).collect()),
    ]
}

/// Runs one flood and checks what every flood must come to.
async fn suffer<S>(running: &Running, mut raw: Raw<S>, name: &str, frames: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let before = running.handle.counters();
    let entered = running.entered();
    raw.send(frames).await;
    assert_eq!(raw.end().await, Some(ENHANCE_YOUR_CALM), "{name}");
    drop(raw);
    until(name, || running.handle.counters().http2_floods > before.http2_floods).await;
    until(name, || running.handle.connections() == 1).await;
    assert_eq!(running.handle.counters().http2_floods, before.http2_floods + 1, "{name}");
    assert!(running.entered() - entered <= 101, "{name}: {} requests came in", running.entered() - entered);
}

#[tokio::test]
async fn every_flood_is_ended_and_others_are_served() {
    let running = start(bounded());
    let mut other = Raw::plain(running.address).await;
    let mut stream = 1;
    assert_eq!(other.ask(stream, &get(stream, "/")).await.status(), 200);
    for (name, frames) in floods() {
        suffer(&running, Raw::plain(running.address).await, name, &frames).await;
        stream += 2;
        assert_eq!(other.ask(stream, &get(stream, "/")).await.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn an_encrypted_flood_is_ended_too() {
    let running = start_tls(bounded(), &settings());
    let mut other = Raw::encrypted(running.address).await;
    assert_eq!(other.ask(1, &get(1, "/")).await.status(), 200);
    for (name, frames) in floods().into_iter().filter(|(name, _)| ["ping", "rapid reset"].contains(name)) {
        suffer(&running, Raw::encrypted(running.address).await, name, &frames).await;
    }
    assert_eq!(other.ask(3, &get(3, "/")).await.status(), 200);
}

#[tokio::test]
async fn resets_of_accepted_streams_are_bounded() {
    let running = start(bounded());
    let mut raw = Raw::plain(running.address).await;
    for number in 0..FRAMES {
        let stream = id(number);
        raw.send(&get(stream, "/slow")).await;
        let seen = running.entered();
        until("the request is inside, or the end has come", || {
            running.entered() > seen
                || running.entered() > number as usize
                || running.handle.counters().http2_floods > 0
        })
        .await;
        raw.send(&reset(stream)).await;
    }
    assert_eq!(raw.end().await, Some(ENHANCE_YOUR_CALM));
    assert!(running.entered() <= 60, "{} requests came in", running.entered());
    assert_eq!(running.handle.counters().http2_floods, 1);
}

/// Answers are what explains resets, window updates and the rest, so any number of requests may come with them.
#[tokio::test]
async fn a_busy_client_is_never_cut() {
    const BATCH: u32 = 40;
    let running = start(bounded());
    let mut raw = Raw::plain(running.address).await;
    for batch in 0..50 {
        let streams: Vec<u32> = (0..BATCH).map(|n| id(batch * BATCH + n)).collect();
        let mut bytes = Vec::new();
        for &stream in &streams {
            bytes.extend(frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1]));
            bytes.extend(get(stream, "/x"));
            bytes.extend(window_update(stream, 1_000));
        }
        raw.send(&bytes).await;
        for _ in &streams {
            raw.until(Frame::is_end).await;
        }
        bytes.clear();
        for &stream in streams.iter().step_by(2) {
            bytes.extend([window_update(0, 10), reset(stream)].concat());
        }
        bytes.extend([frame(PING, 0, 0, &[7; 8]), frame(PING, 0, 0, &[8; 8])].concat());
        if batch % 10 == 0 {
            bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]));
        }
        raw.send(&bytes).await;
    }
    let counters = running.handle.counters();
    assert_eq!((counters.requests, counters.http2_floods), (50 * u64::from(BATCH), 0));
}
