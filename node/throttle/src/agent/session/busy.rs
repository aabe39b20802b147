//! What a session's limits see on this node, for whoever asks which are busy.

use tidegate_proto::ledger::BusyV1;

use super::{Ground, Session};
use crate::busy::{reached, summed};

impl Session {
    /// Demand of every limit that is in use.
    pub(in crate::agent) fn demands(&self, holder: u64, ground: &Ground<'_>) -> Vec<(f32, u64)> {
        let slices = self.slices.iter().map(|(limit, slice)| (slice.busy(holder).demand, *limit));
        let counts = self.counts.iter().map(|(limit, count)| (count.busy(holder).demand, *limit));
        let chunks = self.chunks.iter().map(|(limit, chunk)| (chunk.busy(holder, ground).demand, *limit));
        slices.chain(counts).chain(chunks).collect()
    }

    /// One of them. The level is what is at hand here; of a counted limit what this node believes of the whole.
    pub(in crate::agent) fn describe(&self, limit: u64, holder: u64, ground: &Ground<'_>) -> Option<BusyV1> {
        if let Some(slice) = self.slices.get(&limit) {
            return Some(summed(limit, 0, slice.is_contended(), vec![slice.busy(holder)]));
        }
        if let Some(count) = self.counts.get(&limit) {
            let held = count.held(ground);
            return Some(summed(limit, (held * 1e3) as i64, held < 1.0, vec![count.busy(holder)]));
        }
        let here = self.chunks.get(&limit)?.busy(holder, ground);
        let busy = summed(limit, i64::from(here.share) * 1_000, here.share == 0, vec![here]);
        Some(reached(busy, |rate| self.describe(rate, holder, ground)))
    }
}
