//! What earlier processes left, found out after the start while requests are served already. Owns that of a key only the newest record
//! counts, and that nothing counts whose newer records may have been lost.

use std::{
    io::{BufReader, Read, Seek, SeekFrom},
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::SyncSender},
    time::{Duration, Instant},
};

use tidegate_proto::limits::{
    CACHE_DISK_RECORD_BYTES_MAX, CACHE_DISK_SCAN_MS_MAX, CACHE_DISK_SEGMENT_RECORDS_MAX,
};

use super::{
    Shared,
    index::{Location, Place},
    record::{HEAD_BYTES, Head, Kind},
    segment::{START_BYTES, Segment},
    writer::Job,
};

/// Bytes that are read at a time: small answers are read past, large ones are skipped.
const BUFFER_BYTES: usize = 128 * 1024;
/// How far clocks may differ that were not set back, in milliseconds.
const CLOCK_SLACK_MS: u64 = 1_000;
/// The time is looked at every so many records.
const LOOK_EVERY: usize = 1_024;

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The last record was not written to its end: the process was killed.
    Torn,
    /// What follows cannot be read, or there is no time.
    Lost,
}

/// Looks through all files, newest first: what a newer one says of a key holds.
pub(super) fn run(shared: &Shared, segments: &[Arc<Segment>], writer: &SyncSender<Job>) {
    let begun = Instant::now();
    let until = begun + Duration::from_millis(CACHE_DISK_SCAN_MS_MAX);
    let newest_ms = shared.clock.wall_ms() + CLOCK_SLACK_MS;
    for segment in segments {
        if shared.is_ending.load(Relaxed) {
            return;
        }
        let is_full = shared.index.len() >= shared.records_max;
        let (heads, end) = if is_full { (Vec::new(), End::Lost) } else { read(segment, until) };
        if heads.iter().any(|(_, head)| head.written_ms > newest_ms) {
            tracing::warn!("the clock was set back: no answer on disk can be told its age");
            segments.first().inspect(|newest| shared.shelf.drop_to(newest.number));
            break;
        }
        if end == End::Lost {
            if !is_full {
                tracing::warn!(
                    number = segment.number,
                    "a file of the cache is damaged or was not read in time"
                );
                shared.counters.damaged.increment();
            }
            // Newer records of the same keys may be among what is lost.
            shared.shelf.drop_to(segment.number);
            break;
        }
        learn(shared, segment, &heads);
    }
    shared.forget_dropped();
    shared.index.complete();
    shared.note_figures();
    // Stages may have gone meanwhile.
    let _ = writer.try_send(Job::Wake);
    let (records, took_ms) = (shared.index.len(), begun.elapsed().as_millis());
    tracing::info!(records, took_ms, "answers on disk are known");
}

fn learn(shared: &Shared, segment: &Segment, heads: &[(u32, Head)]) {
    for (offset, head) in heads.iter().rev() {
        let at = |is_example| {
            let bytes = HEAD_BYTES as u32 + head.bytes;
            Place::At(Location { segment: segment.number, offset: *offset, bytes, is_example })
        };
        let names = match head.kind {
            Kind::Mark => [Some((head.name, Place::Gone)), None],
            Kind::Answer => [Some((head.name, at(false))), head.stem.map(|stem| (stem, at(true)))],
        };
        for (name, place) in names.into_iter().flatten() {
            shared.index.learn(name, head.scope, place);
        }
    }
}

/// All heads of a file; a torn tail is cut.
fn read(segment: &Segment, until: Instant) -> (Vec<(u32, Head)>, End) {
    let mut heads = Vec::new();
    let bytes = segment.bytes();
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, &segment.file);
    let mut at = START_BYTES as u64;
    if reader.seek(SeekFrom::Start(at)).is_err() {
        return (heads, End::Lost);
    }
    let end = loop {
        let left = bytes.saturating_sub(at);
        if left < HEAD_BYTES as u64 {
            break if left == 0 { End::Whole } else { End::Torn };
        }
        let mut head = [0; HEAD_BYTES];
        let is_late = heads.len() % LOOK_EVERY == 0 && Instant::now() > until;
        if is_late || reader.read_exact(&mut head).is_err() {
            break End::Lost;
        }
        let (Some(head), Ok(offset)) = (Head::read(&head), u32::try_from(at)) else { break End::Lost };
        if head.bytes as usize > CACHE_DISK_RECORD_BYTES_MAX || heads.len() >= CACHE_DISK_SEGMENT_RECORDS_MAX
        {
            break End::Lost;
        }
        if u64::from(head.bytes) > left - HEAD_BYTES as u64 {
            break End::Torn;
        }
        if reader.seek_relative(head.bytes.into()).is_err() {
            break End::Lost;
        }
        at += HEAD_BYTES as u64 + u64::from(head.bytes);
        heads.push((offset, head));
    };
    if end == End::Torn && segment.cut(at).is_err() {
        return (heads, End::Lost);
    }
    (heads, end)
}
