//! The second tier of stored answers: files on the disk of this node, which outlive the process. Owns which answers go there and which
//! come back; must never make a shard wait for the disk longer than a moment, nor hand out anything that was made invalid.
//!
//! Answers that leave the memory are written behind each other into files, the oldest of which goes when there is no room. Where they
//! are is known in memory, by names that say nothing about the keys. All that is written is sealed, whether the stage asks for it or
//! not: settings change while records stay, and sealing costs less than writing.

mod clock;
mod form;
mod index;
mod keys;
mod reader;
mod record;
mod scan;
mod segment;
mod session;
mod shelf;
mod tier;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    io,
    os::unix::fs::DirBuilderExt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_proto::limits::{
    CACHE_DISK_CLOSE_MS_MAX, CACHE_DISK_MARKS_MAX, CACHE_DISK_READS_MAX, CACHE_DISK_RECORDS_MAX,
    CACHE_DISK_WRITES_MAX,
};
use tidegate_telemetry::metrics::{Counter, Gauge, Registry};
use tokio::{sync::oneshot, time::timeout};

use super::Entry;
use crate::DiskOptions;
use clock::Clock;
use index::{Index, Place};
use keys::{Keys, Name};
use reader::Reading;
use shelf::Shelf;
use writer::{Closing, Job};

pub(crate) use tier::Tier;

const READERS: usize = 2;

/// The answers on disk.
#[derive(Debug)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
    writer: SyncSender<Job>,
    readers: Vec<SyncSender<Reading>>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    index: Index,
    /// How long a request waits.
    patience: Duration,
    /// Places that are known at a time, at most.
    records_max: usize,
    shelf: Shelf,
    keys: Keys,
    clock: Clock,
    /// Names whose records are to be marked invalid.
    marks: Mutex<Marks>,
    /// Scopes of the stages there are, when they changed.
    live: Mutex<Option<HashSet<u64>>>,
    /// Whether the process ends.
    is_ending: AtomicBool,
    /// Bytes that wait for being written.
    waiting_bytes: AtomicU64,
    tokens: AtomicU64,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Marks {
    names: Vec<Name>,
    /// There were too many.
    is_overfull: bool,
}

#[derive(Debug)]
struct Counters {
    bytes: Gauge,
    records: Gauge,
    hits: Counter,
    late: Counter,
    dropped: Counter,
    damaged: Counter,
}

impl Disk {
    /// Opens the folder. What earlier processes left in it is found out in the background.
    ///
    /// # Errors
    /// The folder cannot be made, or a thread not be started.
    pub(crate) fn open(options: &DiskOptions, origin: Instant, registry: &Registry) -> io::Result<Arc<Self>> {
        Self::open_at(options, Clock::new(origin), CACHE_DISK_RECORDS_MAX, registry)
    }

    fn open_at(
        options: &DiskOptions,
        clock: Clock,
        records_max: usize,
        registry: &Registry,
    ) -> io::Result<Arc<Self>> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let shared = Arc::new(Shared {
            index: Index::default(),
            patience: Duration::from_millis(options.read_timeout_ms),
            records_max,
            shelf: Shelf::new(options.folder.clone(), options.bytes_max),
            keys: Keys::new(&options.key).map_err(io::Error::other)?,
            clock,
            marks: Mutex::default(),
            live: Mutex::default(),
            is_ending: AtomicBool::new(false),
            waiting_bytes: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            counters: Counters::new(registry),
        });
        let mut readers = Vec::with_capacity(READERS);
        for nth in 0..READERS {
            let (reader, asked) = sync_channel(CACHE_DISK_READS_MAX);
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("disk-read-{nth}"))
                .spawn(move || reader::run(&shared, &asked))?;
            readers.push(reader);
        }
        let (writer, jobs) = sync_channel(CACHE_DISK_WRITES_MAX);
        let (writing, waking) = (Arc::clone(&shared), writer.clone());
        thread::Builder::new()
            .name("disk-write".into())
            .spawn(move || writer::run(writing, &jobs, waking))?;
        Ok(Arc::new(Self { shared, writer, readers }))
    }

    /// The part of it that is a stage's.
    pub(crate) fn tier(self: &Arc<Self>, scope: &[u8]) -> Tier {
        Tier::new(Arc::clone(self), self.shared.keys.scope(scope))
    }

    /// Lets go of answers of other stages than those that have these scopes.
    pub(crate) fn keep_scopes<'s>(&self, scopes: impl Iterator<Item = &'s [u8]>) {
        let live = scopes.map(|scope| self.shared.keys.scope(scope)).collect();
        lock(&self.shared.live).replace(live);
        self.wake();
    }

    /// Writes as many of these answers as there is time for, and ends.
    pub(crate) async fn close(&self, mut answers: Vec<(Tier, Arc<Entry>)>) {
        answers.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.hits()));
        let now_ns = self.shared.clock.now_ns();
        let answers = answers.iter().filter_map(|(tier, entry)| tier.writing(entry, now_ns)).collect();
        let time = Duration::from_millis(CACHE_DISK_CLOSE_MS_MAX);
        let (told, seen) = oneshot::channel();
        let mut job = Job::Close(Closing { answers, until: Instant::now() + time, told });
        let end = async {
            while let Err(TrySendError::Full(back)) = self.writer.try_send(job) {
                job = back;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // It ends without a word only if it could not begin.
            let _ = seen.await;
        };
        if timeout(time + Duration::from_secs(1), end).await.is_err() {
            tracing::warn!("not all answers were written to disk in time");
        }
    }

    /// Has the writer look for what there is to do.
    fn wake(&self) {
        // It looks after each job, so a full queue will do.
        let _ = self.writer.try_send(Job::Wake);
    }
}

impl Shared {
    /// Notes that what a name stands for on disk is invalid.
    fn mark(&self, name: Name, writer: &SyncSender<Job>) {
        let is_first = {
            let mut marks = lock(&self.marks);
            marks.is_overfull |= marks.names.len() >= CACHE_DISK_MARKS_MAX;
            if !marks.is_overfull {
                marks.names.push(name);
            }
            marks.names.len() <= 1
        };
        if is_first {
            let _ = writer.try_send(Job::Wake);
        }
    }

    /// The marks to write; `None` if there were too many, or too much was forgotten before all was known.
    fn take_marks(&self) -> Option<Vec<Name>> {
        let Marks { names, is_overfull } = std::mem::take(&mut *lock(&self.marks));
        let is_lost = !self.index.is_whole() && self.index.len() > 2 * self.records_max;
        (!is_overfull && !is_lost).then_some(names)
    }

    fn take_live(&self) -> Option<HashSet<u64>> {
        // While files are still being looked through, there is more to let go of afterwards.
        if self.index.is_whole() { lock(&self.live).take() } else { None }
    }

    /// Lets go of what was in files that are no more.
    fn forget_dropped(&self) {
        let oldest = self.shelf.oldest();
        let is_there = |segment| oldest.is_some_and(|oldest| segment >= oldest);
        self.index.retain(|place, _| match place {
            Place::At(location) => is_there(location.segment),
            Place::Waiting(_) => true,
            Place::Gone => false,
        });
    }

    fn note_taken(&self, entry: &Entry) {
        self.waiting_bytes.fetch_sub(entry.weight(), Relaxed);
    }

    fn note_figures(&self) {
        self.counters.bytes.set(self.shelf.bytes() as f64);
        self.counters.records.set(self.index.len() as f64);
    }
}

impl Counters {
    fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        Self {
            bytes: registry.gauge("cache_disk_bytes", "Bytes of answers on disk", &[]),
            records: registry.gauge("cache_disk_records", "Answers on disk that can be found", &[]),
            hits: counter("cache_disk_hits", "Answers that came back from disk"),
            late: counter("cache_disk_late", "Answers on disk that were not read in time"),
            dropped: counter(
                "cache_disk_dropped",
                "Answers that were not written to disk for want of time or room",
            ),
            damaged: counter(
                "cache_disk_damaged",
                "Answers and files on disk that could not be read as written",
            ),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
