//! Moves log lines from request threads to a file or stdout.
//!
//! Each thread renders into a buffer of its own, guarded by a lock that is only ever *tried*: a busy buffer means trying the
//! next one, and a full one means dropping the line and counting it. A thread of its own swaps buffers and writes them, so it
//! holds a lock for a few instructions, and a disk that stalls makes nobody else wait. Lines of different threads may be
//! written out of order.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;
use tokio::sync::oneshot;
use tokio::time;

use super::format::Format;
use super::variable::Facts;
use crate::limits::{
    LINE_BYTES_MAX, LOG_KEPT_BYTES, LOG_SHUTDOWN_TIMEOUT_MS, LOG_SLOT_BYTES_MAX, LOG_WAKE_BYTES, SLOTS,
};
use crate::metrics::Registry;
use crate::slot;

/// Where lines go.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Destination {
    /// Standard output.
    #[default]
    Stdout,
    /// A file, appended to; made with mode 0640 when missing.
    File(PathBuf),
}

/// Settings of the access log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where lines go.
    pub destination: Destination,
    /// How long a line may wait to be written.
    pub flush_interval_ms: u64,
    /// Unwritten bytes of one thread at most; further lines are dropped.
    pub slot_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { destination: Destination::Stdout, flush_interval_ms: 200, slot_bytes_max: LOG_SLOT_BYTES_MAX }
    }
}

/// Why the access log cannot start.
#[derive(Debug, ThisError)]
pub enum Error {
    /// An option breaks its rule.
    #[error("option {field} is {value}, must be {rule}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// The file cannot be opened.
    #[error("cannot open access log {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the access log has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CounterValues {
    /// Lines handed to the operating system.
    pub written: u64,
    /// Lines dropped because a buffer was full, a line too long, or writing failed.
    pub dropped: u64,
    /// Failed writes and openings.
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Slot {
    bytes: Vec<u8>,
    lines: u64,
}

impl Slot {
    /// Empties it; what was mostly unused becomes half as large.
    fn reset(&mut self) {
        let room = self.bytes.capacity();
        if self.bytes.len() < room / 4 {
            self.bytes.clear();
            self.bytes.shrink_to((room / 2).max(LOG_KEPT_BYTES));
        }
        self.bytes.clear();
        self.lines = 0;
    }
}

#[derive(Debug)]
struct Shared {
    slots: [Mutex<Slot>; SLOTS],
    slot_bytes_max: usize,
    /// The thread that writes, once it runs.
    writer: OnceLock<Thread>,
    must_reopen: AtomicBool,
    must_stop: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

impl Shared {
    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// Ends the writing thread when it goes.
struct Stop {
    shared: Arc<Shared>,
    writer: Thread,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.shared.must_stop.store(true, Release);
        self.writer.unpark();
    }
}

/// The background writer.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    flush_interval: Duration,
    output: Output,
}

/// Writes lines; cheap to clone, never waits.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

impl Service {
    /// Checks the options and opens the file.
    ///
    /// # Errors
    /// [`Error::Option`] for a broken rule, [`Error::Open`] when the file cannot be appended to.
    pub fn new(options: Options) -> Result<Self, Error> {
        let broken = |field, value: String, rule| Err(Error::Option { field, value, rule });
        if !(1..=60_000).contains(&options.flush_interval_ms) {
            return broken("flush_interval_ms", options.flush_interval_ms.to_string(), "from 1 to 60000");
        }
        if !(LINE_BYTES_MAX..=1 << 30).contains(&options.slot_bytes_max) {
            return broken("slot_bytes_max", options.slot_bytes_max.to_string(), "from 65536 to 1073741824");
        }
        let output = match options.destination {
            Destination::Stdout => Output::Stdout(io::stdout()),
            Destination::File(path) => match open(&path) {
                Ok(file) => Output::File { path, file: Some(file) },
                Err(source) => return Err(Error::Open { path, source }),
            },
        };
        let shared = Arc::new(Shared {
            slots: std::array::from_fn(|_| Mutex::default()),
            slot_bytes_max: options.slot_bytes_max,
            writer: OnceLock::new(),
            must_reopen: AtomicBool::new(false),
            must_stop: AtomicBool::new(false),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        Ok(Self { shared, flush_interval: Duration::from_millis(options.flush_interval_ms), output })
    }

    /// A handle to write with.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Writes until `shutdown` resolves, and then everything that is left, as far as the disk takes it within five seconds.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = Arc::clone(&self.shared);
        let (done, ended) = oneshot::channel();
        let writing = thread::Builder::new().name("access-log".into()).spawn(move || {
            self.write();
            let _ = done.send(());
        });
        let writer = match writing {
            Ok(writer) => writer.thread().clone(),
            Err(error) => return tracing::error!(%error, "the access log has no thread: lines are dropped"),
        };
        let stop = Stop { shared, writer };
        // It is set once: a service runs once.
        let _ = stop.shared.writer.set(stop.writer.clone());
        shutdown.await;
        drop(stop);
        if time::timeout(Duration::from_millis(LOG_SHUTDOWN_TIMEOUT_MS), ended).await.is_err() {
            tracing::error!("the access log did not take its last lines in time");
        }
    }

    fn write(mut self) {
        let mut batches: [Slot; SLOTS] = std::array::from_fn(|_| Slot::default());
        loop {
            thread::park_timeout(self.flush_interval);
            // Asked before, so that what is there at the end is written.
            let is_last = self.shared.must_stop.load(Acquire);
            self.flush(&mut batches);
            if is_last {
                return;
            }
        }
    }

    /// Each slot has a buffer to swap with, so that both keep the size that its thread needs, and little once it needs less.
    fn flush(&mut self, batches: &mut [Slot; SLOTS]) {
        if self.shared.must_reopen.swap(false, Relaxed)
            && let Err(error) = self.output.reopen()
        {
            self.failed(&error, 0);
        }
        for place in 0..SLOTS {
            let (Some(slot), Some(batch)) = (self.shared.slots.get(place), batches.get_mut(place)) else {
                continue;
            };
            batch.reset();
            std::mem::swap(batch, &mut slot.lock().unwrap_or_else(PoisonError::into_inner));
            if batch.bytes.is_empty() {
                continue;
            }
            match self.output.write(&batch.bytes) {
                Ok(()) => {
                    self.shared.written.fetch_add(batch.lines, Relaxed);
                }
                Err(error) => self.failed(&error, batch.lines),
            }
        }
    }

    fn failed(&self, error: &io::Error, lines: u64) {
        self.shared.dropped.fetch_add(lines, Relaxed);
        if self.shared.errors.fetch_add(1, Relaxed).is_power_of_two() {
            tracing::error!(%error, lines, "access log cannot be written");
        }
    }
}

impl Handle {
    /// Renders one line; it is written within the flush interval, or dropped and counted. Never waits.
    pub fn write(&self, format: &Format, facts: &impl Facts) {
        let first = slot::index();
        for step in 0..SLOTS {
            let Some(slot) = self.0.slots.get((first + step) % SLOTS) else { continue };
            let mut slot = match slot.try_lock() {
                Ok(slot) => slot,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            let before = slot.bytes.len();
            format.render(facts, &mut slot.bytes);
            slot.bytes.push(b'\n');
            let after = slot.bytes.len();
            if after - before > LINE_BYTES_MAX || after > self.0.slot_bytes_max {
                slot.bytes.truncate(before);
                break;
            }
            slot.lines += 1;
            drop(slot);
            let enough = LOG_WAKE_BYTES.min(self.0.slot_bytes_max / 2);
            if before < enough && enough <= after {
                self.0.wake();
            }
            return;
        }
        self.0.dropped.fetch_add(1, Relaxed);
    }

    /// Opens the file again before the next write, after it was moved away.
    pub fn reopen(&self) {
        self.0.must_reopen.store(true, Relaxed);
        self.0.wake();
    }

    /// What has been counted.
    pub fn counters(&self) -> CounterValues {
        CounterValues {
            written: self.0.written.load(Relaxed),
            dropped: self.0.dropped.load(Relaxed),
            errors: self.0.errors.load(Relaxed),
        }
    }

    /// Reports the counters at every scrape.
    pub fn report_to(&self, registry: &Registry) {
        let handle = self.clone();
        registry.collector(move |encoder| {
            let CounterValues { written, dropped, errors } = handle.counters();
            encoder.counter("access_log_lines", "Access-log lines written", &[], written);
            encoder.counter("access_log_dropped_lines", "Access-log lines lost", &[], dropped);
            encoder.counter("access_log_errors", "Failed writes of the access log", &[], errors);
        });
    }
}

#[derive(Debug)]
enum Output {
    Stdout(io::Stdout),
    File { path: PathBuf, file: Option<File> },
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File { path, file } => {
                let target = match file {
                    Some(target) => target,
                    None => file.insert(open(path)?),
                };
                let outcome = target.write_all(bytes);
                if outcome.is_err() {
                    // The next write opens anew: the volume may have been replaced.
                    *file = None;
                }
                outcome
            }
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = None;
            *file = Some(open(path)?);
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_the_size_that_is_needed() {
        let mut slot = Slot { bytes: Vec::with_capacity(1 << 20), lines: 1 };
        slot.bytes.resize(1 << 18, b'x');
        slot.reset();
        assert_eq!((slot.bytes.capacity(), slot.bytes.len(), slot.lines), (1 << 20, 0, 0));
        (0..10).for_each(|_| slot.reset());
        assert_eq!(slot.bytes.capacity(), LOG_KEPT_BYTES);
    }
}
