//! The log in memory with a power switch: writes are volatile until synced, a cut drops some or all of the rest. Twin of
//! the disk for tests and simulation; it can be told to lie about syncing, to prove that the checks notice.

use super::{Batch, Key, LogBackend, Slot, index_of, mark::Marks};
use crate::runtime::{self, clock::pass};
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeMap,
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
    pub(crate) fn damage(&self) -> usize {
        let mut state = self.lock();
        let keys: Vec<Key> = state.durable.keys().copied().collect();
        let (mut cut_from, mut lost) = (BTreeMap::new(), 0);
        for key in keys.iter().rev() {
            let group = key[1..9].to_vec();
            let gone = if key[0] == Slot::Entry as u8 {
                // About ten of the newest entries, now and then many more.
                let newest = *cut_from.entry(group).or_insert_with(|| {
                    let most = if next(&mut state.random).is_multiple_of(4) { 200 } else { 20 };
                    index_of(key).saturating_sub(next(&mut state.random) % most)
                });
                index_of(key) > newest
            } else {
                key[0] != Slot::Purged as u8 && next(&mut state.random).is_multiple_of(3)
            };
            if gone {
                state.durable.remove(key);
                lost += 1;
            }
        }
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
        if !state.lies {
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

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the power was cut")
}

/// splitmix64: enough for faults, and reproducible.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
