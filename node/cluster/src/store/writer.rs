//! The one log writer of a node: takes operations of all groups in call order, writes them as one batch, makes them
//! durable once, then answers all of them. Group size adapts to the load by itself.

use super::{
    Batch, Key, LogBackend, Slot, key,
    marker::{Marker, Note},
};
use crate::{
    GroupId, limits,
    runtime::{self, Instant, watch},
    wire::v1::LogIdV1,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};

/// One ordered write.
pub(crate) enum Op {
    /// Log entries, as `(index, record)`; the log ends at `last` then.
    Append { group: GroupId, records: Vec<(u64, Vec<u8>)>, last: Option<LogIdV1> },
    /// A single value.
    Set { group: GroupId, slot: Slot, record: Vec<u8>, note: Option<Note> },
    /// A single value that may be lost: it waits for the next batch, because a write of its own would be in the way of that.
    Hint { group: GroupId, slot: Slot, record: Vec<u8> },
    /// Removes entries `from..=last`; the log ends at `kept` then.
    Truncate { group: GroupId, from: u64, last: u64, kept: Option<LogIdV1> },
    /// Changes values that [`Batch`] cannot: of a log that was found damaged, or is whole again.
    Repair { group: GroupId, changes: Batch, note: Note },
    /// Removes entries `first..=last` later, a little with every commit.
    Purge { group: GroupId, first: u64, last: u64 },
}

/// Called when the operation is on disk, or failed.
pub(crate) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Queue {
    ops: mpsc::Sender<(Op, Option<Done>)>,
}

/// How the writer is doing; the node must stop when it has failed or hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    Idle,
    /// A commit has been under way since then.
    Busy(Instant),
    /// The text of the first write error.
    Failed(String),
}

/// What is written at once.
#[derive(Default)]
struct Work {
    batch: Batch,
    durable: bool,
    dones: Vec<Done>,
    notes: Vec<(GroupId, Note)>,
}

/// Follows the writer's health.
pub(crate) type Watch = watch::Receiver<Health>;

/// The writer's loop; runs until all queues are gone or a write fails.
pub(crate) struct Writer {
    backend: Arc<dyn LogBackend>,
    ops: mpsc::Receiver<(Op, Option<Done>)>,
    health: watch::Sender<Health>,
    purges: VecDeque<(GroupId, u64, u64)>,
    hints: BTreeMap<Key, Vec<u8>>,
    unsynced: bool,
    marker: Marker,
}

impl Queue {
    /// Queues an operation; `done` is called from the writer.
    pub(crate) async fn push(&self, op: Op, done: Option<Done>) -> io::Result<()> {
        self.ops.send((op, done)).await.map_err(|_| stopped())
    }

    /// Queues an operation and waits for its end.
    pub(crate) async fn write(&self, op: Op) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let done: Done = Box::new(move |result| drop(sender.send(result)));
        self.push(op, Some(done)).await?;
        receiver.await.map_err(|_| stopped())?
    }
}

impl Writer {
    /// A writer for `backend` with its queue and its failure flag.
    pub(crate) fn new(backend: Arc<dyn LogBackend>) -> (Self, Queue, Watch) {
        let (sender, receiver) = mpsc::channel(limits::WRITE_QUEUE_MAX);
        let (health, watch) = watch::channel(Health::Idle);
        let marker = Marker::new(backend.clone());
        let (purges, hints) = (VecDeque::new(), BTreeMap::new());
        let writer = Self { backend, ops: receiver, health, purges, hints, unsynced: false, marker };
        (writer, Queue { ops: sender }, watch)
    }

    /// Starts serving the queue on its own thread; the receiver ends when the writer has ended.
    #[cfg(not(feature = "sim"))]
    pub(crate) fn start(self) -> io::Result<oneshot::Receiver<()>> {
        let (ended, receiver) = oneshot::channel();
        let executor = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("tidegate-log".to_owned()).spawn(move || {
            executor.block_on(self.run());
            drop(executor);
            let _nobody_waits = ended.send(());
        })?;
        Ok(receiver)
    }

    /// Starts serving the queue as a task; the receiver ends when the writer has ended.
    #[cfg(feature = "sim")]
    pub(crate) fn start(self) -> io::Result<oneshot::Receiver<()>> {
        let (ended, receiver) = oneshot::channel();
        runtime::spawn(async move {
            self.run().await;
            let _nobody_waits = ended.send(());
        });
        Ok(receiver)
    }

    /// Serves the queue.
    pub(crate) async fn run(mut self) {
        loop {
            let first = match self.idle() {
                None => self.ops.recv().await,
                Some(time) => match runtime::timeout(time, self.ops.recv()).await {
                    Some(first) => first,
                    None => {
                        if !self.commit(Work { durable: self.unsynced, ..Work::default() }).await {
                            return;
                        }
                        continue;
                    }
                },
            };
            let Some(first) = first else { break };
            let work = self.collect(first);
            if !self.commit(work).await {
                return;
            }
        }
        if self.commit(Work { durable: self.unsynced, ..Work::default() }).await
            && let Err(error) = self.marker.close()
        {
            tracing::warn!(%error, "the marks were not saved at the end");
        }
    }

    /// How long to wait for the next operation before doing what is left over.
    fn idle(&self) -> Option<std::time::Duration> {
        match (self.purges.is_empty(), self.unsynced) {
            (false, _) => Some(limits::PURGE_IDLE),
            (true, true) => Some(limits::IDLE_SYNC),
            (true, false) => self.marker.due_in(),
        }
    }

    /// Everything that waits now becomes one batch.
    fn collect(&mut self, first: (Op, Option<Done>)) -> Work {
        let mut work = Work::default();
        let mut next = Some(first);
        let mut count = 0;
        while let Some((op, done)) = next {
            work.durable |= self.stage(op, &mut work);
            work.dones.extend(done);
            count += 1;
            next = if count < limits::WRITE_QUEUE_MAX { self.ops.try_recv().ok() } else { None };
        }
        work
    }

    /// Adds one operation to the batch; true when it must be durable.
    fn stage(&mut self, op: Op, work: &mut Work) -> bool {
        let (batch, notes) = (&mut work.batch, &mut work.notes);
        match op {
            Op::Append { group, records, last } => {
                let puts = records.into_iter().map(|(index, r)| (key(Slot::Entry, group, index), Some(r)));
                batch.changes.extend(puts);
                notes.extend(last.map(|last| (group, Note::Reached(last))));
                true
            }
            Op::Set { group, slot, record, note } => {
                batch.changes.push((key(slot, group, 0), Some(record)));
                notes.extend(note.map(|note| (group, note)));
                true
            }
            Op::Hint { group, slot, record } => {
                self.hints.insert(key(slot, group, 0), record);
                false
            }
            Op::Truncate { group, from, last, kept } => {
                let removes = (from..=last).rev().map(|index| (key(Slot::Entry, group, index), None));
                batch.changes.extend(removes);
                notes.push((group, Note::CutTo(kept)));
                true
            }
            Op::Repair { group, changes, note } => {
                batch.changes.extend(changes.changes);
                notes.push((group, note));
                true
            }
            Op::Purge { group, first, last } => {
                self.purges.push_back((group, first, last));
                false
            }
        }
    }

    /// Writes, makes durable, answers. False after a failure: the writer then ends and all queues close.
    async fn commit(&mut self, work: Work) -> bool {
        let Work { mut batch, durable, dones, notes } = work;
        if let Some((group, first, last)) = self.purges.pop_front() {
            let to = last.min(first.saturating_add(limits::PURGE_KEYS_PER_COMMIT - 1));
            batch.changes.extend((first..=to).map(|index| (key(Slot::Entry, group, index), None)));
            if to < last {
                self.purges.push_front((group, to + 1, last));
            }
        }
        self.unsynced = !durable && (self.unsynced || !batch.changes.is_empty() || !self.hints.is_empty());
        if batch.changes.is_empty() && !durable {
            self.marker.save_when_due();
            return true;
        }
        // They come first: what repairs a log in the same batch has the last word.
        let hints = std::mem::take(&mut self.hints).into_iter().map(|(key, record)| (key, Some(record)));
        batch.changes.splice(..0, hints);
        self.health.send_replace(Health::Busy(runtime::now()));
        let result = self.write(batch, durable, notes).await;
        self.health.send_replace(Health::Idle);
        let failure = result.as_ref().err().map(|e| (e.kind(), e.to_string()));
        for done in dones {
            done(failure.as_ref().map_or(Ok(()), |(kind, text)| Err(io::Error::new(*kind, text.clone()))));
        }
        if let Some((_, text)) = failure {
            tracing::error!(error = text, "the log cannot be written; this node stops");
            self.health.send_replace(Health::Failed(text));
            return false;
        }
        self.marker.save_when_due();
        true
    }

    async fn write(&mut self, batch: Batch, durable: bool, notes: Vec<(GroupId, Note)>) -> io::Result<()> {
        self.marker.before(&notes)?;
        self.backend.commit(batch, durable).await?;
        self.marker.after(notes)
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the log writer has stopped")
}
