//! Keys that this node's own requests made invalid a moment ago: until their owner has confirmed that it knows, it is not asked for them, so
//! that a client that changed something never gets the answer from before. Owns the bound on them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tidegate_proto::limits::{CACHE_ZONE_FORGET_MAX, CACHE_ZONE_FORGET_MS};

/// What an owner may not know yet.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// When each is not remembered any more, on the clock of the shards.
    keys: Mutex<HashMap<Box<[u8]>, u64>>,
    /// How many there are, so that misses need no lock while there is none.
    count: AtomicUsize,
    /// Until when every key counts as one of them, because there was no room.
    all_until_ns: AtomicU64,
}

impl Forgotten {
    /// Notes a key. Returns what [`Self::confirm`] wants to see again, and whether there was no room for it.
    pub(crate) fn note(&self, key: &[u8], now_ns: u64) -> (u64, bool) {
        let until_ns = now_ns + CACHE_ZONE_FORGET_MS * 1_000_000;
        let mut keys = self.keys();
        if keys.len() >= CACHE_ZONE_FORGET_MAX && !keys.contains_key(key) {
            keys.retain(|_, until_ns| *until_ns > now_ns);
        }
        let has_room = keys.len() < CACHE_ZONE_FORGET_MAX || keys.contains_key(key);
        if has_room {
            keys.insert(key.into(), until_ns);
        } else {
            self.all_until_ns.fetch_max(until_ns, Relaxed);
        }
        self.count.store(keys.len(), Relaxed);
        (until_ns, !has_room)
    }

    /// Notes that the owner knows, unless the key was made invalid again since.
    pub(crate) fn confirm(&self, key: &[u8], noted: u64) {
        let mut keys = self.keys();
        if keys.get(key) == Some(&noted) {
            keys.remove(key);
            self.count.store(keys.len(), Relaxed);
        }
    }

    /// Whether the owner of a key may not know yet that it is invalid.
    pub(crate) fn has(&self, key: &[u8], now_ns: u64) -> bool {
        now_ns < self.all_until_ns.load(Relaxed)
            || self.count.load(Relaxed) > 0 && self.keys().get(key).is_some_and(|until_ns| now_ns < *until_ns)
    }

    /// Lets go of old ones.
    pub(crate) fn sweep(&self, now_ns: u64) {
        if self.count.load(Relaxed) > 0 {
            let mut keys = self.keys();
            keys.retain(|_, until_ns| *until_ns > now_ns);
            self.count.store(keys.len(), Relaxed);
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE_NS: u64 = CACHE_ZONE_FORGET_MS * 1_000_000;

    #[test]
    fn a_key_is_remembered_until_it_is_confirmed_or_old() {
        let forgotten = Forgotten::default();
        assert!(!forgotten.has(b"a", 0));
        let (first, _) = forgotten.note(b"a", 0);
        let (second, _) = forgotten.note(b"a", 5);
        assert!(forgotten.has(b"a", 5) && !forgotten.has(b"b", 5));
        forgotten.confirm(b"a", first);
        assert!(forgotten.has(b"a", 5), "an older change was confirmed");
        forgotten.confirm(b"a", second);
        assert!(!forgotten.has(b"a", 5));
        forgotten.note(b"b", 10);
        assert!(forgotten.has(b"b", 9 + LIFE_NS) && !forgotten.has(b"b", 10 + LIFE_NS));
        forgotten.sweep(10 + LIFE_NS);
        assert!(forgotten.keys().is_empty());
    }

    #[test]
    fn without_room_every_key_counts_for_a_while() {
        let forgotten = Forgotten::default();
        for number in 0..CACHE_ZONE_FORGET_MAX {
            assert!(!forgotten.note(&number.to_le_bytes(), 0).1);
        }
        assert!(!forgotten.note(&0_usize.to_le_bytes(), 1).1);
        assert!(!forgotten.has(b"other", 1));
        assert!(forgotten.note(b"one more", 1).1);
        assert!(forgotten.has(b"other", LIFE_NS) && !forgotten.has(b"other", 1 + LIFE_NS));
        assert!(!forgotten.note(b"one more", LIFE_NS).1);
        assert!(forgotten.has(b"one more", 2 * LIFE_NS - 1) && !forgotten.has(b"other", 1 + LIFE_NS));
    }
}
