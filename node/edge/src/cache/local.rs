//! A shard's own view of what is stored: a hit asks nobody else. Owns how long a view may differ from the store: an answer that left
//! the store is never served, and what is used is told to the store often enough that it stays.

use std::{cell::RefCell, collections::HashMap};

use tidegate_proto::limits::CACHE_VIEW_ENTRIES_MAX;

use super::{
    hash::{Plain, Seed},
    store::{Kept, Store},
};

/// The store is told of every so many hits, and of the first one after each sweep: told of less, it could not tell what is asked for now
/// and then from what was asked for once.
const TELL_EVERY: u32 = 32;

/// What a shard knows of the stores.
pub(crate) struct Local {
    seed: Seed,
    known: RefCell<HashMap<u64, Seen, Plain>>,
    /// Room for the key of the request at hand.
    room: RefCell<Vec<u8>>,
}

struct Seen {
    kept: Kept,
    /// Hits that the store was not told of.
    untold: u32,
    /// Whether it was used since the last sweep.
    is_used: bool,
}

impl Local {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, known: RefCell::default(), room: RefCell::default() }
    }

    /// What is kept under the key that `write` writes; `None` also when it cannot be written.
    #[inline]
    pub(crate) fn find(
        &self,
        store: &Store,
        now_ns: u64,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> Option<Kept> {
        let mut room = self.room.borrow_mut();
        room.clear();
        if !write(&mut room) {
            return None;
        }
        let found = self.find_key(store, now_ns, &room);
        room.shrink_to(4 * 1024);
        found
    }

    /// What is kept under a key.
    pub(crate) fn find_key(&self, store: &Store, now_ns: u64, key: &[u8]) -> Option<Kept> {
        let hash = self.seed.hash(key);
        let mut known = self.known.borrow_mut();
        if let Some(seen) = known.get_mut(&hash)
            && seen.kept.key() == key
            && !seen.kept.is_gone(now_ns)
        {
            seen.use_it(store, hash);
            return Some(seen.kept.clone());
        }
        let kept = store.find(hash, key).filter(|kept| !kept.is_gone(now_ns))?;
        // Told at once: an answer that was of use once may be worth a place on disk.
        if let Kept::Answer(entry) = &kept {
            entry.add_hits(1);
        }
        if known.len() >= CACHE_VIEW_ENTRIES_MAX {
            known.clear();
        }
        known.insert(hash, Seen { kept: kept.clone(), untold: 0, is_used: true });
        Some(kept)
    }

    /// Lets go of what left the stores and of what was not used for a while.
    pub(crate) fn sweep(&self, now_ns: u64) {
        self.known.borrow_mut().retain(|_, seen| {
            seen.tell();
            !seen.kept.is_gone(now_ns) && std::mem::take(&mut seen.is_used)
        });
    }
}

impl Seen {
    #[inline]
    fn use_it(&mut self, store: &Store, hash: u64) {
        let is_first = !std::mem::replace(&mut self.is_used, true);
        self.untold += 1;
        if is_first || self.untold >= TELL_EVERY {
            store.touch(hash);
            self.tell();
        }
    }

    fn tell(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        if let Kept::Answer(entry) = &self.kept
            && untold > 0
        {
            entry.add_hits(untold.into());
        }
    }
}
