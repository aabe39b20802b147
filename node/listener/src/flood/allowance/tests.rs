//! Buckets under a paused clock: what a burst may be, what time brings back, what answers explain.

use super::*;

fn allowance() -> Allowance {
    Allowance::new(&Http2Options {
        flood_window_ms: 1_000,
        pings_max: 10,
        settings_max: 10,
        priorities_max: 10,
        resets_max: 10,
        window_updates_max: 10,
        fragments_max: 10,
        ..Http2Options::default()
    })
}

fn frame(kind: u8, flags: u8, length: u32, stream: u32) -> Frame {
    Frame::of(kind, flags, length, stream)
}

/// How often this frame passes, up to 1,000 times.
fn passes(allowance: &mut Allowance, frame: Frame) -> usize {
    (0..1_000).take_while(|_| allowance.charge(frame).is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn costly_frames_are_bounded_and_others_are_not() {
    let free = 1_000;
    for (name, kind, flags, length, stream, expect) in [
        ("data", kind::DATA, 0, 1, 1, free),
        ("last data", kind::DATA, 1, 0, 1, free),
        ("empty data", kind::DATA, 0, 0, 1, 10),
        ("headers", kind::HEADERS, 5, 9, 1, 11),
        ("priority", 2, 0, 5, 1, 10),
        ("reset", kind::RST_STREAM, 0, 4, 1, 10),
        ("settings", kind::SETTINGS, 0, 0, 0, 10),
        ("push", kind::PUSH_PROMISE, 4, 9, 1, 10),
        ("ping", kind::PING, 0, 8, 0, 10),
        ("pong", kind::PING, 1, 8, 0, 10),
        ("goaway", kind::GOAWAY, 0, 8, 0, 10),
        ("window", kind::WINDOW_UPDATE, 0, 4, 0, 10),
        ("continuation", kind::CONTINUATION, 0, 1, 1, 10),
        ("unknown", 0xfe, 0, 0, 0, 10),
    ] {
        let passed = passes(&mut allowance(), frame(kind, flags, length, stream));
        assert_eq!(passed, expect, "{name}");
    }
    let mut allowance = allowance();
    for stream in (1..2_000).step_by(2) {
        allowance.charge(frame(kind::HEADERS, 5, 9, stream)).unwrap();
    }
    assert_eq!(allowance.newest_stream(), 1_999);
}

#[tokio::test(start_paused = true)]
async fn time_brings_back_one_burst_per_window() {
    let (mut allowance, ping) = (allowance(), frame(kind::PING, 0, 8, 0));
    assert_eq!(passes(&mut allowance, ping), 10);
    for (ms, expect) in [(99, 0), (1, 1), (250, 2), (50, 1), (10_000, 10), (0, 0)] {
        tokio::time::advance(Duration::from_millis(ms)).await;
        assert_eq!(passes(&mut allowance, ping), expect, "{ms} ms later");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_explain_what_clients_do_with_them() {
    let mut allowance = allowance();
    let (data, last) = (frame(kind::DATA, 0, 16_384, 1), frame(kind::DATA, 1, 0, 1));
    let window = frame(kind::WINDOW_UPDATE, 0, 4, 1);
    passes(&mut allowance, window);
    allowance.note_sent(data).unwrap();
    assert_eq!(passes(&mut allowance, window), 10);
    (0..50).for_each(|_| allowance.note_sent(data).unwrap());
    assert_eq!(passes(&mut allowance, window), 500);
    passes(&mut allowance, frame(kind::RST_STREAM, 0, 4, 1));
    allowance.note_sent(last).unwrap();
    assert_eq!(passes(&mut allowance, frame(kind::RST_STREAM, 0, 4, 1)), 1);
    passes(&mut allowance, frame(kind::PING, 1, 8, 0));
    allowance.note_sent(frame(kind::PING, 0, 8, 0)).unwrap();
    assert_eq!(passes(&mut allowance, frame(kind::PING, 1, 8, 0)), 1);
}

#[tokio::test(start_paused = true)]
async fn our_own_resets_are_bounded_too() {
    let mut allowance = allowance();
    let reset = frame(kind::RST_STREAM, 0, 4, 1);
    let passed = (0..100).take_while(|_| allowance.note_sent(reset).is_ok()).count();
    assert_eq!(passed, 10);
    assert_eq!(allowance.note_sent(reset), Err(Flood::ResetSent));
}
