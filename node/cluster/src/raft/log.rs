//! One group's log: the newest entries in memory, all of them on disk through the shared writer. Loads and checks every
//! record on open, and the whole against what the group had promised. Of a damaged log the good beginning is kept.

mod damage;

use super::types::{Entry, LogId, Types, Vote};
use crate::{
    Error, GroupId, limits,
    store::{self, Batch, Done, LogBackend, Op, Queue, Slot, marker::Note},
    wire::{convert, record, v1::*},
};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use damage::Loaded;

/// A cheap handle on one group's log.
#[derive(Clone)]
pub(crate) struct Log {
    group: GroupId,
    queue: Queue,
    backend: Arc<dyn LogBackend>,
    tail: Arc<Mutex<Tail>>,
    /// What was promised before the log was damaged, if it was.
    promised: Option<Promise>,
}

/// The position that a damaged log had acknowledged.
#[derive(Clone, Copy)]
struct Promise(Option<LogId>);

/// What is known without the disk. Entries of `purged+1 .. first of held` are on disk only.
#[derive(Default)]
struct Tail {
    held: BTreeMap<u64, Entry>,
    held_bytes: usize,
    flushed: u64,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

impl Tail {
    fn first_index(&self) -> u64 {
        self.purged.as_ref().map_or(0, |id| id.index + 1)
    }

    fn end_index(&self) -> u64 {
        self.last.as_ref().map_or(0, |id| id.index + 1)
    }

    fn hold(&mut self, entry: Entry) {
        self.last = Some(entry.log_id);
        self.held_bytes += convert::entry_bytes(&entry);
        if let Some(old) = self.held.insert(entry.log_id.index, entry) {
            self.held_bytes = self.held_bytes.saturating_sub(convert::entry_bytes(&old));
        }
    }

    /// Forgets the oldest entries that are on disk while too many bytes are held.
    fn shrink(&mut self) {
        while self.held_bytes > limits::LOG_CACHE_BYTES && self.held.len() > 1 {
            let Some(oldest) = self.held.first_entry().filter(|e| *e.key() <= self.flushed) else { return };
            self.held_bytes = self.held_bytes.saturating_sub(convert::entry_bytes(&oldest.remove()));
        }
    }

    fn recount(&mut self) {
        self.held_bytes = self.held.values().map(convert::entry_bytes).sum();
    }
}

impl Log {
    /// Loads a group's log; every record is checked. `checkpoint` is where the newest good checkpoint ends.
    ///
    /// # Errors
    /// The disk cannot be read, or the log is damaged and no mark says what it had promised.
    pub(crate) async fn open(
        group: GroupId,
        queue: Queue,
        backend: Arc<dyn LogBackend>,
        checkpoint: Option<LogId>,
    ) -> Result<Self, Error> {
        let storage = |e: io::Error| Error::Storage(format!("group {group}: {e}"));
        let mark = backend.marks().remove(&group);
        let found = damage::load(group, &*backend, checkpoint, mark.as_ref()).map_err(storage)?;
        let Loaded { tail, stale, repair, promised, first_marks } = found;
        if let Some(repair) = repair {
            queue.write(repair).await.map_err(storage)?;
        }
        for note in first_marks {
            queue.push(Op::Repair { group, changes: Batch::default(), note }, None).await.map_err(storage)?;
        }
        if let Some((first, last)) = stale {
            queue.push(Op::Purge { group, first, last }, None).await.map_err(storage)?;
        }
        Ok(Self { group, queue, backend, tail: Arc::new(Mutex::new(tail)), promised })
    }

    /// Whether it had lost entries when it was opened, or has not been whole since.
    pub(crate) fn is_damaged(&self) -> bool {
        self.promised.is_some()
    }

    /// The position that it had acknowledged before it was damaged.
    pub(crate) fn promised(&self) -> Option<LogId> {
        self.promised.and_then(|promise| promise.0)
    }

    /// Whether everything up to `id` is on disk.
    pub(crate) fn has_flushed(&self, id: Option<LogId>) -> bool {
        let tail = self.lock();
        id.is_none_or(|id| id.index < tail.first_index() || id.index <= tail.flushed)
    }

    /// Notes that it has everything again.
    pub(crate) async fn healed(&self) -> io::Result<()> {
        self.queue
            .write(Op::Repair { group: self.group, changes: Batch::default(), note: Note::Healed })
            .await
    }

    /// True when the entry at `index` is gone from the log.
    pub(crate) fn has_purged(&self, index: u64) -> bool {
        index < self.lock().first_index()
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries of `start..end` that the log contains, until `bytes_max` are collected.
    fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let (mut entries, missing) = {
            let tail = self.lock();
            let (start, end) = (start.max(tail.first_index()), end.min(tail.end_index()));
            let held_from =
                tail.held.first_key_value().map_or(end, |(index, _)| *index).clamp(start, end.max(start));
            let mut bytes = 0;
            let held: Vec<Entry> = tail
                .held
                .range(held_from..end.max(held_from))
                .map(|(_, entry)| entry.clone())
                .take_while(|entry| {
                    let room = bytes < bytes_max;
                    bytes += convert::entry_bytes(entry);
                    room
                })
                .collect();
            (held, start..held_from)
        };
        if missing.is_empty() {
            return Ok(entries);
        }
        let mut old = Vec::new();
        let mut bytes = 0;
        for index in missing.clone() {
            if bytes >= bytes_max {
                return Ok(old);
            }
            let entry = self.read_disk(index)?;
            bytes += convert::entry_bytes(&entry);
            old.push(entry);
        }
        if bytes < bytes_max {
            old.append(&mut entries);
        }
        Ok(old)
    }

    fn read_disk(&self, index: u64) -> io::Result<Entry> {
        let key = store::key(Slot::Entry, self.group, index);
        let Some(bytes) = self.backend.get(&key)? else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("log entry {index} is not on disk")));
        };
        record::decode::<EntryV1>(&bytes)
            .and_then(convert::entry_in)
            .map_err(|e| invalid(&format!("entry {index}"), &e))
    }

    async fn set(&self, slot: Slot, record: Vec<u8>, note: Option<Note>) -> io::Result<()> {
        self.queue.write(Op::Set { group: self.group, slot, record, note }).await
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let found = self.read(start, end, limits::APPEND_BYTES_TARGET);
        // openraft may go back to where a follower was before it began to send it a checkpoint. Entries from after the gap
        // would be sent as if they followed; no entries are a heartbeat, which `network` does not send either.
        if self.has_purged(start) { Ok(Vec::new()) } else { found }
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.lock().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let tail = self.lock();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last.or(tail.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let vote_out = convert::vote_out(vote);
        self.set(Slot::Vote, record::encode(&vote_out), Some(Note::Voted(vote_out))).await?;
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.lock().committed = committed;
        match &committed {
            Some(id) => {
                let record = record::encode(&convert::log_id_out(id));
                let (group, slot) = (self.group, Slot::Committed);
                let op = Op::Hint { group, slot, record };
                self.queue.push(op, None).await
            }
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let last_id = {
            let mut tail = self.lock();
            for entry in entries {
                records.push((entry.log_id.index, record::encode(&convert::entry_out(&entry))));
                tail.hold(entry);
            }
            tail.last
        };
        let last = last_id.as_ref().map_or(0, |id| id.index);
        let shared = self.tail.clone();
        let done: Done = Box::new(move |result| {
            if result.is_ok() {
                let mut tail = shared.lock().unwrap_or_else(PoisonError::into_inner);
                tail.flushed = last;
                tail.shrink();
            }
            callback.io_completed(result);
        });
        let last = last_id.as_ref().map(convert::log_id_out);
        self.queue.push(Op::Append { group: self.group, records, last }, Some(done)).await
    }

    async fn truncate_after(&mut self, last_kept: Option<LogId>) -> Result<(), io::Error> {
        let from = last_kept.as_ref().map_or(0, |id| id.index + 1);
        let end = {
            let mut tail = self.lock();
            let end = tail.end_index();
            tail.held.split_off(&from);
            tail.recount();
            tail.last = last_kept;
            end
        };
        if from >= end {
            return Ok(());
        }
        let kept = last_kept.as_ref().map(convert::log_id_out);
        self.queue.write(Op::Truncate { group: self.group, from, last: end - 1, kept }).await?;
        let mut tail = self.lock();
        tail.flushed = tail.flushed.min(from.saturating_sub(1));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let (first, is_end) = {
            let mut tail = self.lock();
            let first = tail.first_index();
            tail.held = tail.held.split_off(&(upto.index + 1));
            tail.recount();
            tail.purged = Some(upto);
            if tail.end_index() <= upto.index {
                tail.last = Some(upto);
            }
            (first, tail.last == Some(upto))
        };
        let upto_out = convert::log_id_out(&upto);
        let record = record::encode(&upto_out);
        self.set(Slot::Purged, record, is_end.then_some(Note::Reached(upto_out))).await?;
        if first > upto.index {
            return Ok(());
        }
        self.queue.push(Op::Purge { group: self.group, first, last: upto.index }, None).await
    }
}

fn invalid(what: &str, error: &crate::wire::WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {error}"))
}
