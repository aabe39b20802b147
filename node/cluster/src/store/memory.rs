//! The log in memory with a power switch: writes are volatile until synced, a cut drops some or all of the rest. Twin of
//! the disk for tests and simulation; it can be told to lie about syncing, to prove that the checks notice.

use super::{Batch, Key, LogBackend, Slot, index_of, key, mark::Marks};
use crate::{
    GroupId,
    runtime::{self, clock::pass},
    wire::{record, v1::LogIdV1},
};
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

type Image = BTreeMap<Key, Vec<u8>>;

/// A disk that outlives the store opened on it.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    durable: Image,
    volatile: Image,
    pending: Vec<(u64, Batch)>,
    written: u64,
    cuts: u64,
    random: u64,
    sync_max: Duration,
    full: bool,
    /// Bytes that are left; `None` is plenty.
    room: Option<u64>,
    lies: bool,
    forgets: bool,
    marks: Marks,
}

/// The disk as one running node sees it; useless after a cut.
pub(crate) struct MemoryLog {
    disk: Disk,
    cuts: u64,
}

impl Disk {
    /// A disk whose syncs take up to `sync_max`, at random from `seed`.
    pub(crate) fn new(seed: u64, sync_max: Duration) -> Self {
        Self(Arc::new(Mutex::new(State { random: seed, sync_max, ..State::default() })))
    }

    /// Opens what survived.
    pub(crate) fn open(&self) -> MemoryLog {
        MemoryLog { disk: self.clone(), cuts: self.lock().cuts }
    }

    /// Cuts the power: writes that were not synced survive only as a random prefix.
    pub fn cut(&self) {
        let mut state = self.lock();
        let pending = std::mem::take(&mut state.pending);
        let keep = next(&mut state.random) % (pending.len() as u64 + 1);
        for (_, batch) in pending.into_iter().take(usize::try_from(keep).unwrap_or(0)) {
            apply(&mut state.durable, batch);
        }
        state.volatile = state.durable.clone();
        state.cuts += 1;
    }

    /// Loses a random part of what is durable, as an engine does that drops what follows a damaged place: of each group the newest entries,
    /// and sometimes vote and commit. To be called while nobody has the disk open. Returns the number of lost values.
    pub fn damage(&self) -> usize {
        let mut state = self.lock();
        let groups: BTreeSet<GroupId> = state.durable.keys().map(group_of).collect();
        let lost = groups.into_iter().map(|group| state.damage(group)).sum();
        state.volatile = state.durable.clone();
        lost
    }

    /// From now on every write fails.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// From now on there is so much room, whatever is written.
    pub fn leave_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// From now on syncs take up to so long.
    pub fn slow(&self, sync_max: Duration) {
        self.lock().sync_max = sync_max;
    }

    /// From now on marks are not kept, so that nothing tells what was lost.
    pub fn forget_marks(&self, forgets: bool) {
        let mut state = self.lock();
        state.forgets = forgets;
        state.marks.clear();
    }

    /// From now on syncs are acknowledged long before they happen.
    pub fn lie(&self, lies: bool) {
        self.lock().lies = lies;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the volatile image; returns the number of the write.
    fn write(&self, cuts: u64, batch: Batch) -> io::Result<(u64, Duration, bool)> {
        let mut state = self.lock();
        if state.cuts != cuts {
            return Err(cut_off());
        }
        if state.full {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        apply(&mut state.volatile, batch.clone());
        state.written += 1;
        let number = state.written;
        state.pending.push((number, batch));
        let span = u64::try_from(state.sync_max.as_micros()).unwrap_or(0) + 1;
        let time = Duration::from_micros(next(&mut state.random) % span);
        Ok((number, time, state.lies))
    }

    /// Makes writes up to `number` durable.
    fn sync(&self, cuts: u64, number: u64) -> io::Result<()> {
        let mut state = self.lock();
        if state.cuts != cuts {
            return Err(cut_off());
        }
        let due = state.pending.partition_point(|(n, _)| *n <= number);
        let batches: Vec<_> = state.pending.drain(..due).collect();
        for (_, batch) in batches {
            apply(&mut state.durable, batch);
        }
        Ok(())
    }
}

impl State {
    /// Loses a part of a group's log. What was acknowledged in the last moment before the power was cut is not marked yet, and nobody
    /// promises that its loss is noticed: the vote is lost with it.
    fn damage(&mut self, group: GroupId) -> usize {
        let newest = key(Slot::Entry, group, u64::MAX);
        let last = self.durable.range(key(Slot::Entry, group, 0)..=newest).next_back();
        let last = last.map_or(0, |(key, _)| index_of(key));
        // About ten of the newest entries, now and then many more.
        let most = if next(&mut self.random).is_multiple_of(4) { 200 } else { 20 };
        let kept = last.saturating_sub(next(&mut self.random) % most);
        let lost = self.durable.range(key(Slot::Entry, group, kept + 1)..=newest);
        let mut lost: Vec<Key> = lost.map(|(key, _)| *key).collect();
        let marked = self.marks.get(&group).and_then(|mark| mark.last.as_ref()).map_or(0, |last| last.index);
        let is_noticed = lost.is_empty() || marked > kept.max(self.purged(group));
        for (slot, has_to) in [(Slot::Vote, !is_noticed), (Slot::Committed, false)] {
            if next(&mut self.random).is_multiple_of(3) || has_to {
                lost.push(key(slot, group, 0));
            }
        }
        lost.into_iter().filter(|key| self.durable.remove(key).is_some()).count()
    }

    /// What the log of a group begins after.
    fn purged(&self, group: GroupId) -> u64 {
        let bytes = self.durable.get(&key(Slot::Purged, group, 0));
        bytes.and_then(|bytes| record::decode::<LogIdV1>(bytes).ok()).map_or(0, |purged| purged.index)
    }
}

impl LogBackend for MemoryLog {
    fn commit(&self, batch: Batch, durable: bool) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let (number, time, lies) = self.disk.write(self.cuts, batch)?;
            if !durable {
                return Ok(());
            }
            if lies {
                let (disk, cuts) = (self.disk.clone(), self.cuts);
                runtime::spawn(async move {
                    pass(time * 100).await;
                    let _after_the_cut = disk.sync(cuts, number);
                });
                return Ok(());
            }
            if !time.is_zero() {
                pass(time).await;
            }
            self.disk.sync(self.cuts, number)
        })
    }

    fn get(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        Ok(self.disk.lock().volatile.get(key).cloned())
    }

    fn scan(
        &self,
        from: &Key,
        to: &Key,
        visit: &mut dyn FnMut(&Key, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let found: Vec<_> =
            self.disk.lock().volatile.range(*from..=*to).map(|(k, v)| (*k, v.clone())).collect();
        found.iter().try_for_each(|(key, value)| visit(key, value))
    }

    fn marks(&self) -> Marks {
        self.disk.lock().marks.clone()
    }

    fn save_marks(&self, _order: u64, marks: &Marks, _twice: bool) -> io::Result<()> {
        let mut state = self.disk.lock();
        if state.cuts != self.cuts {
            return Err(cut_off());
        }
        // What lies about the log keeps no marks that would tell.
        if !state.lies && !state.forgets {
            state.marks = marks.clone();
        }
        Ok(())
    }

    fn room_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().room.unwrap_or(u64::MAX))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().volatile.values().map(|v| v.len() as u64 + 17).sum())
    }
}

fn apply(image: &mut Image, batch: Batch) {
    for (key, value) in batch.changes {
        match value {
            Some(value) => drop(image.insert(key, value)),
            None => drop(image.remove(&key)),
        }
    }
}

fn group_of(key: &Key) -> GroupId {
    GroupId::from_be_bytes(std::array::from_fn(|at| key[1 + at]))
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the power was cut")
}

/// splitmix64: enough for faults, and reproducible.
pub(super) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
