//! A limit that spans regions, as the leader of a region's part works with it: what the region has of it changes. Owns that tokens
//! go with the share that goes, and come with the one that comes.

use super::{SliceDesk, free, part};
use crate::{ledger::Ledger, limit::Spec, timing::Timing};

impl SliceDesk {
    /// The region shall come to have `share`.
    pub(in crate::keeper) fn aim(&mut self, share: u32) {
        self.goal = Some(share);
    }

    /// Whether shares have to be worked out now, without anybody having asked.
    pub(in crate::keeper) fn take_hurry(&mut self) -> bool {
        std::mem::take(&mut self.is_hurried)
    }

    /// Shares have to be worked out at the next tick.
    pub(in crate::keeper) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// The region is about to have no more than `share`: what lies in the rest is not its any more. Returns it, in thousandths of
    /// tokens, rounded down.
    pub(in crate::keeper) fn cede(&mut self, limit: u64, share: u32, spec: &Spec, ledger: &Ledger) -> u64 {
        let (pool, left) = (free(limit, ledger), share.saturating_sub(ledger.out(limit)));
        if pool == 0 || left >= pool {
            return 0;
        }
        let level = self.level.min(part(pool) * spec.burst);
        self.level = level * part(left) / part(pool);
        ((level - self.level).max(0.0) * 1e3) as u64
    }

    /// Tokens came with a larger share, in thousandths.
    pub(in crate::keeper) fn endow(&mut self, limit: u64, tokens: u64, spec: &Spec, ledger: &Ledger) {
        self.level = (self.level + tokens as f64 / 1e3).min(part(free(limit, ledger)) * spec.burst);
    }

    /// Requests per second that the region needs room for: what its nodes need together, of which the ledger of all regions works
    /// out the need of the region.
    pub(in crate::keeper) fn needed(&self, timing: &Timing, ledger: &Ledger) -> f64 {
        let of = |holder: u64, epoch: u64| ledger.sessions.get(&holder).is_some_and(|one| one.epoch == epoch);
        let live = self.holders.iter().filter(|one| of(one.holder, one.epoch));
        live.map(|one| one.demand + 1.5 * one.demand.sqrt() / timing.headroom).sum()
    }

    /// Requests per second that were refused in the region.
    pub(in crate::keeper) fn refused(&self) -> f32 {
        self.holders.iter().map(|one| one.refused).sum()
    }
}
