//! The thread that writes: answers that leave the memory, and marks of what was made invalid. Owns that a mark that cannot be written
//! costs everything on disk rather than that an invalid answer comes back.

use std::{
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_proto::limits::{
    CACHE_DISK_PAUSE_MS, CACHE_DISK_RECORD_BYTES_MAX, CACHE_DISK_SEGMENT_RECORDS_MAX,
};
use tokio::sync::oneshot;

use super::{
    super::entry::Entry,
    Shared, form,
    index::Location,
    keys::Name,
    record::{self, HEAD_BYTES, Head, Kind, TAG_BYTES},
    scan,
    segment::{START_BYTES, Segment},
    session::Session,
};

/// Of what the disk may hold, the last words of a process take at most so many quarters: the first of them are the most wanted.
const LAST_QUARTERS: u64 = 3;

/// Something to do.
#[derive(Debug)]
pub(super) enum Job {
    Write(Writing),
    /// There are marks to write, or other stages.
    Wake,
    /// Write what is in memory, and end.
    Close(Closing),
}

/// An answer to write.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) name: Name,
    pub(super) stem: Option<Name>,
    pub(super) scope: u64,
    /// Tells it from other answers of its key.
    pub(super) token: u64,
    pub(super) entry: Arc<Entry>,
}

/// The end.
#[derive(Debug)]
pub(super) struct Closing {
    /// The most wanted first.
    pub(super) answers: Vec<Writing>,
    pub(super) until: Instant,
    pub(super) told: oneshot::Sender<()>,
}

/// Why nothing was written.
enum Refused {
    /// It does not fit.
    TooLarge,
    /// The disk failed, now or a moment ago.
    Disk,
}

struct Writer {
    shared: Arc<Shared>,
    /// The file that is written.
    active: Option<Arc<Segment>>,
    /// Records in it.
    count: usize,
    /// The disk failed; until then nothing is tried.
    paused_until: Option<Instant>,
}

/// Writes until nobody has anything to write any more.
pub(super) fn run(shared: Arc<Shared>, jobs: &Receiver<Job>, writer: SyncSender<Job>) {
    let Some(session) = Session::begin(&shared) else {
        shared.index.complete();
        return;
    };
    let (scanning, segments) = (Arc::clone(&shared), shared.shelf.newest_first());
    let scanner = thread::Builder::new().name("disk-scan".into());
    let scanner = scanner.spawn(move || scan::run(&scanning, &segments, &writer));
    let mut writer = Writer { shared, active: None, count: 0, paused_until: None };
    let mut scanner = match scanner {
        Ok(scanner) => Some(scanner),
        Err(error) => {
            tracing::warn!(%error, "answers on disk are not looked for");
            writer.wipe();
            None
        }
    };
    while let Ok(job) = jobs.recv() {
        writer.tend();
        match job {
            Job::Write(writing) => {
                writer.shared.note_taken(&writing.entry);
                if writing.is_wanted(&writer.shared) {
                    writer.write(&writing);
                } else {
                    writing.abandon(&writer.shared);
                }
            }
            Job::Wake => {}
            Job::Close(closing) => {
                writer.shared.is_ending.store(true, Relaxed);
                // It must not touch files that may be another process's by then.
                scanner.take().map(thread::JoinHandle::join);
                writer.close(&closing);
                writer.tend();
                session.end(&writer.shared);
                // Whoever waits may have given up.
                let _ = closing.told.send(());
                return;
            }
        }
        writer.shared.note_figures();
    }
}

impl Writer {
    /// Writes marks, and lets go of stages that are no more.
    fn tend(&mut self) {
        let (marks, written_ms) = (self.shared.take_marks(), self.now_ms());
        let is_written = marks.is_some_and(|marks| {
            marks.into_iter().all(|name| {
                let head = Head { kind: Kind::Mark, bytes: 0, name, stem: None, scope: 0, written_ms };
                self.append(HEAD_BYTES, |_, _| Some(head.write().to_vec())).is_ok()
            })
        });
        if !is_written {
            self.wipe();
        }
        if let Some(live) = self.shared.take_live() {
            self.shared.index.retain(|_, scope| live.contains(&scope));
        }
    }

    /// Writes an answer; whether it is wanted is known.
    fn write(&mut self, writing: &Writing) {
        let Writing { name, stem, scope, token, entry } = writing;
        let result = form::write(entry, &self.shared.clock).ok_or(Refused::TooLarge).and_then(|plain| {
            let head = Head {
                kind: Kind::Answer,
                bytes: 0,
                name: *name,
                stem: *stem,
                scope: *scope,
                written_ms: self.now_ms(),
            };
            let bytes = plain.len() + TAG_BYTES;
            self.append(bytes, |segment, offset| record::seal(&segment.key, offset, head, plain))
        });
        let index = &self.shared.index;
        match result {
            Ok(location) => {
                index.settle(*name, *token, location);
                let example = Location { is_example: true, ..location };
                stem.inspect(|stem| index.settle_example(*stem, *token, example));
            }
            Err(_) => {
                writing.abandon(&self.shared);
                self.shared.counters.dropped.increment();
            }
        }
    }

    /// Writes a record of so many bytes, which is made for its place.
    fn append(
        &mut self,
        bytes: usize,
        make: impl FnOnce(&Segment, u32) -> Option<Vec<u8>>,
    ) -> Result<Location, Refused> {
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return Err(Refused::Disk);
        }
        let is_too_large = bytes > CACHE_DISK_RECORD_BYTES_MAX
            || (START_BYTES + bytes) as u64 > self.shared.shelf.segment_bytes();
        if is_too_large {
            return Err(Refused::TooLarge);
        }
        let segment = self.room(bytes as u64).map_err(|error| self.pause(&error))?;
        let (place, count) = (u32::try_from(segment.bytes()), u32::try_from(bytes));
        let (Ok(offset), Ok(count)) = (place, count) else { return Err(Refused::TooLarge) };
        let record =
            make(&segment, offset).filter(|record| record.len() == bytes).ok_or(Refused::TooLarge)?;
        segment.append(&record).map_err(|error| self.pause(&error))?;
        (self.paused_until, self.count) = (None, self.count + 1);
        Ok(Location { segment: segment.number, offset, bytes: count, is_example: false })
    }

    /// The file that has room for so many bytes.
    fn room(&mut self, bytes: u64) -> std::io::Result<Arc<Segment>> {
        let shelf = &self.shared.shelf;
        let has_place = self.count < CACHE_DISK_SEGMENT_RECORDS_MAX;
        let has_room = |active: &Arc<Segment>| active.bytes() + bytes <= shelf.segment_bytes();
        let active = self.active.take().filter(|active| has_place && has_room(active));
        let start = if active.is_some() { 0 } else { START_BYTES as u64 };
        let mut has_dropped = shelf.make_room(bytes + start);
        if self.shared.index.len() > self.shared.records_max {
            shelf.drop_oldest();
            has_dropped = true;
        }
        if has_dropped {
            self.shared.forget_dropped();
        }
        let active = active.filter(|active| shelf.find(active.number).is_some());
        let active = match active {
            Some(active) => active,
            None => {
                self.count = 0;
                shelf.add(&self.shared.keys)?
            }
        };
        self.active = Some(Arc::clone(&active));
        Ok(active)
    }

    /// Tries nothing for a while, and then with another file: in this one the place may have been written.
    fn pause(&mut self, error: &std::io::Error) -> Refused {
        tracing::warn!(%error, "no answers are written to disk for a while");
        self.active = None;
        self.paused_until = Some(Instant::now() + Duration::from_millis(CACHE_DISK_PAUSE_MS));
        Refused::Disk
    }

    /// Drops everything.
    fn wipe(&mut self) {
        tracing::warn!("what was made invalid cannot be marked on disk: all answers on it are dropped");
        self.active = None;
        while self.shared.shelf.oldest().is_some() {
            self.shared.shelf.drop_oldest();
        }
        self.shared.index.retain(|_, _| false);
        // There is nothing left that could come back.
        self.shared.index.complete();
    }

    /// Writes what is wanted most while there is time.
    fn close(&mut self, closing: &Closing) {
        let bytes_max = self.shared.shelf.bytes_max() / 4 * LAST_QUARTERS;
        let mut bytes = 0;
        for writing in &closing.answers {
            bytes += writing.entry.body.len() as u64;
            if Instant::now() > closing.until || bytes > bytes_max {
                self.shared.counters.dropped.increment();
                continue;
            }
            if writing.entry.is_gone() || writing.is_of_the_past() {
                continue;
            }
            writing.wait(&self.shared);
            self.write(writing);
        }
        self.shared.note_figures();
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.wall_ms()
    }
}

impl Writing {
    /// Notes that it will be written.
    pub(super) fn wait(&self, shared: &Shared) {
        shared.index.wait(self.name, self.scope, self.token);
        self.stem.inspect(|stem| shared.index.wait_for_example(*stem, self.scope, self.token));
    }

    /// Whether it was not replaced or made invalid since, on its own or with all variants. What becomes so from now on is marked behind it.
    fn is_wanted(&self, shared: &Shared) -> bool {
        shared.index.is_waiting(self.name, self.token)
            && self.stem.is_none_or(|stem| shared.index.find(stem).is_some())
            && !self.is_of_the_past()
    }

    /// Whether it was made invalid with all variants.
    fn is_of_the_past(&self) -> bool {
        self.entry.variants().is_some_and(|variants| variants.is_gone())
    }

    /// Notes that it is not written.
    pub(super) fn abandon(&self, shared: &Shared) {
        shared.index.abandon(self.name, self.token);
        self.stem.inspect(|stem| shared.index.abandon(*stem, self.token));
    }
}
