//! What a session's limits see on this node, for whoever asks which are busy and for metrics.

use tidegate_proto::ledger::BusyV1;

use super::{Ground, Session};
use crate::agent::{InUse, LeaseView};
use crate::busy::summed;

impl Session {
    /// The session as metrics see it.
    pub(in crate::agent) fn lease_view(&self, ground: &Ground<'_>) -> LeaseView {
        let left_ns = self.until_ns.saturating_sub(ground.now.boot_ns);
        LeaseView { is_open: self.is_open(), left_ns: if self.is_open() { left_ns } else { 0 } }
    }

    /// Adds up what is in use: slices, counts, pools, quotas.
    pub(in crate::agent) fn add_up(&self, ground: &Ground<'_>, in_use: &mut [InUse; 4]) {
        let [slices, counts, pools, quotas] = in_use;
        self.slices.values().for_each(|slice| slices.add(&slice.busy(0)));
        self.counts.values().for_each(|count| counts.add(&count.busy(0)));
        for chunk in self.chunks.values() {
            let kind = if chunk.is_quota() { &mut *quotas } else { &mut *pools };
            kind.add(&chunk.busy(0, ground));
        }
    }

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
        Some(summed(limit, i64::from(here.share) * 1_000, here.share == 0, vec![here]))
    }
}
