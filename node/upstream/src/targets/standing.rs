//! What a choice is made from, kept ready: health changes rarely and every call looks at it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use crate::choice::Standing;

/// Where the panic mode stands beside the share of the own zone.
const PANIC: u64 = 1 << 32;

/// A [`Standing`] in words. A reader may meet the words of two standings while one takes the place of the other; a choice is sound with
/// any words.
#[derive(Debug, Default)]
pub(super) struct Ready {
    usable: AtomicU64,
    healthy: AtomicU64,
    /// The share of the own zone, and [`PANIC`].
    rest: AtomicU64,
    /// Held by whoever writes, so that the last one has seen what all others changed.
    writing: Mutex<()>,
}

impl Ready {
    /// Replaces it with what `standing` finds.
    pub(super) fn renew(&self, standing: impl FnOnce() -> Standing) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Standing { usable, healthy, is_panic, local_share, .. } = standing();
        self.usable.store(usable, Relaxed);
        self.healthy.store(healthy, Relaxed);
        self.rest.store(u64::from(local_share) | if is_panic { PANIC } else { 0 }, Release);
    }

    /// The standing of targets of which `local` are in the zone of this node.
    #[inline]
    pub(super) fn get(&self, local: u64) -> Standing {
        let rest = self.rest.load(Acquire);
        let usable = self.usable.load(Relaxed);
        Standing {
            usable,
            local: usable & local,
            healthy: self.healthy.load(Relaxed),
            is_panic: rest & PANIC != 0,
            has_local: local != 0,
            local_share: rest as u16,
        }
    }
}
