//! One group's log: the newest entries in memory, all of them on disk through the shared writer. Loads and checks every
//! record on open. Never deletes what it cannot read.

use super::types::{Entry, LogId, Types, Vote};
use crate::{
    Error, GroupId, limits,
    store::{self, Done, LogBackend, Op, Queue, Slot},
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

/// A cheap handle on one group's log.
#[derive(Clone)]
pub(crate) struct Log {
    group: GroupId,
    queue: Queue,
    backend: Arc<dyn LogBackend>,
    tail: Arc<Mutex<Tail>>,
}

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
    /// Loads a group's log; every record is checked.
    pub(crate) async fn open(
        group: GroupId,
        queue: Queue,
        backend: Arc<dyn LogBackend>,
    ) -> Result<Self, Error> {
        let mut tail = Tail::default();
        let stale =
            load(group, &*backend, &mut tail).map_err(|e| Error::Storage(format!("group {group}: {e}")))?;
        if let Some((first, last)) = stale {
            let purge = Op::Purge { group, first, last };
            queue.push(purge, None).await.map_err(|e| Error::Storage(e.to_string()))?;
        }
        Ok(Self { group, queue, backend, tail: Arc::new(Mutex::new(tail)) })
    }

    /// The highest index that is gone from the log.
    pub(crate) fn purged_index(&self) -> Option<u64> {
        self.lock().purged.as_ref().map(|id| id.index)
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

    async fn set(&self, slot: Slot, record: Vec<u8>, durable: bool) -> io::Result<()> {
        let op = Op::Set { group: self.group, slot, record, durable };
        if durable { self.queue.write(op).await } else { self.queue.push(op, None).await }
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
        self.set(Slot::Vote, record::encode(&convert::vote_out(vote)), true).await?;
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.lock().committed = committed;
        match &committed {
            Some(id) => self.set(Slot::Committed, record::encode(&convert::log_id_out(id)), false).await,
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
        let last = {
            let mut tail = self.lock();
            for entry in entries {
                records.push((entry.log_id.index, record::encode(&convert::entry_out(&entry))));
                tail.hold(entry);
            }
            tail.last.as_ref().map_or(0, |id| id.index)
        };
        let shared = self.tail.clone();
        let done: Done = Box::new(move |result| {
            if result.is_ok() {
                let mut tail = shared.lock().unwrap_or_else(PoisonError::into_inner);
                tail.flushed = last;
                tail.shrink();
            }
            callback.io_completed(result);
        });
        self.queue.push(Op::Append { group: self.group, records }, Some(done)).await
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
        self.queue.write(Op::Truncate { group: self.group, from, last: end - 1 }).await?;
        let mut tail = self.lock();
        tail.flushed = tail.flushed.min(from.saturating_sub(1));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let first = {
            let mut tail = self.lock();
            let first = tail.first_index();
            tail.held = tail.held.split_off(&(upto.index + 1));
            tail.recount();
            tail.purged = Some(upto);
            if tail.end_index() <= upto.index {
                tail.last = Some(upto);
            }
            first
        };
        self.set(Slot::Purged, record::encode(&convert::log_id_out(&upto)), true).await?;
        if first > upto.index {
            return Ok(());
        }
        self.queue.push(Op::Purge { group: self.group, first, last: upto.index }, None).await
    }
}

/// Fills `tail` from disk; returns entries that a purge had marked but not yet removed.
fn load(group: GroupId, backend: &dyn LogBackend, tail: &mut Tail) -> io::Result<Option<(u64, u64)>> {
    if let Some(bytes) = backend.get(&store::key(Slot::Vote, group, 0))? {
        tail.vote = Some(convert::vote_in(&record::decode(&bytes).map_err(|e| invalid("vote", &e))?));
    }
    let position = |slot| -> io::Result<Option<LogId>> {
        let Some(bytes) = backend.get(&store::key(slot, group, 0))? else { return Ok(None) };
        let id = record::decode::<LogIdV1>(&bytes).map_err(|e| invalid("log position", &e))?;
        Ok(Some(convert::log_id_in(&id)))
    };
    tail.purged = position(Slot::Purged)?;
    tail.committed = position(Slot::Committed)?;
    tail.last = tail.purged;
    tail.flushed = u64::MAX;
    let mut stale: Option<(u64, u64)> = None;
    let (from, to) = (store::key(Slot::Entry, group, 0), store::key(Slot::Entry, group, u64::MAX));
    backend.scan(&from, &to, &mut |key, bytes| {
        let index = store::index_of(key);
        if index < tail.first_index() {
            stale = Some((stale.map_or(index, |(first, _)| first), index));
            return Ok(());
        }
        let entry = record::decode::<EntryV1>(bytes)
            .and_then(convert::entry_in)
            .map_err(|e| invalid(&format!("log entry {index}"), &e))?;
        if index != tail.end_index() || entry.log_id.index != index {
            return Err(invalid_text(&format!(
                "log entry {index} does not follow entry {}",
                tail.end_index()
            )));
        }
        tail.hold(entry);
        tail.shrink();
        Ok(())
    })?;
    tail.flushed = tail.last.as_ref().map_or(0, |id| id.index);
    Ok(stale)
}

fn invalid(what: &str, error: &crate::wire::WireError) -> io::Error {
    invalid_text(&format!("{what}: {error}"))
}

fn invalid_text(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}
