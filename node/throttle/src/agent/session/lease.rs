//! Beginning and ending of a session: what a node may use changes as a whole. Owns that nothing of a session is usable before its
//! lease, nor after it.

use tidegate_proto::ledger::{GrantV1, OpenV1, SliceGrantV1};

use super::Session;
use crate::{
    agent::{
        Ground, counts,
        slices::{self, ActiveSlice, Fill},
    },
    index::Described,
    limit::{Isolated, LimitId},
    terms::TICKS_PER_NS,
};

impl Session {
    /// Begins a session. Nothing of it is usable before the lease is set, which comes last.
    pub(super) fn open(&mut self, grant: &GrantV1, open: &OpenV1, ground: &mut Ground<'_>) {
        let even = self.even_among(ground);
        (self.epoch, self.epoch_seen, self.term) = (grant.epoch, grant.epoch, grant.term);
        (self.unit, self.holders) = (open.unit, self.among(grant, ground));
        self.until_ns = 0;
        self.is_repeat_due = true;
        self.clear_draft();
        self.unknown.clear();
        self.describe_all(ground);
        let spent = std::mem::take(&mut self.may_be_spent);
        spent.iter().for_each(|place| self.empty(*place, ground));
        let limits: Vec<u64> = self.slices.keys().copied().collect();
        for limit in limits.into_iter().filter(|limit| !open.slices.iter().any(|slice| slice.limit == *limit))
        {
            let place = LimitId::new(limit).and_then(|id| ground.index.find(id)).map(|(_, place)| place);
            let is_spent = place.is_some_and(|place| spent.contains(&place));
            self.make_default(limit, self.opening(limit, is_spent), ground);
        }
        for slice in &open.slices {
            self.open_slice(slice.limit, slice, ground);
        }
        let connected: Vec<u64> = self.counts.keys().copied().collect();
        for limit in connected {
            // No session of this node covered it before, so nobody can have used what this node does not know of.
            let is_first = ground.index.since(limit).is_some_and(|since_ns| since_ns >= self.lapsed_ns);
            if let Some(count) = self.counts.get_mut(&limit) {
                let spec = *count.spec();
                let (even, whole) = (counts::bucket(&spec, Some(even)), counts::bucket(&spec, None));
                count.join(even, whole, is_first, ground);
                count.begin_term(ground);
            }
        }
        self.chunks.values_mut().filter(|chunk| !chunk.is_quota()).for_each(|chunk| chunk.forfeit(ground));
        self.hurried = self.chunks.keys().chain(self.counts.keys()).copied().collect();
        ground.bank.connect(self.ledger, true);
    }

    pub(super) fn open_slice(&mut self, limit: u64, grant: &SliceGrantV1, ground: &mut Ground<'_>) {
        let Some((cell, spec)) = self.own(limit, ground) else {
            self.unknown.insert(limit, *grant);
            return;
        };
        let (unit, debt) = self.default_of(&spec, ground);
        let begin = || ActiveSlice::granted(cell, spec, unit, debt, ground);
        let slice = self.slices.entry(limit).or_insert_with(begin);
        let fill = if spec.needs_lease() { Fill::Empty } else { Fill::Keep(0.0) };
        slice.open(grant, debt, fill, ground);
    }

    /// What a bucket holds when a session begins: one that needs a lease and that no lease of this node covered before is full.
    fn opening(&self, limit: u64, is_spent: bool) -> Fill {
        match self.slices.get(&limit) {
            Some(slice) if slice.spec().needs_lease() && is_spent => Fill::Empty,
            Some(slice) if slice.spec().needs_lease() => Fill::Full,
            Some(_) | None => Fill::Keep(0.0),
        }
    }

    fn make_default(&mut self, limit: u64, fill: Fill, ground: &mut Ground<'_>) {
        let Some(slice) = self.slices.get(&limit) else { return };
        let (unit, debt) = self.default_of(slice.spec(), ground);
        if let Some(slice) = self.slices.get_mut(&limit) {
            slice.make_implicit(unit, debt, fill, ground);
            slice.begin_session();
        }
    }

    /// Buckets of a specification count as empty at this moment.
    fn empty(&self, place: u32, ground: &Ground<'_>) {
        let Some(Described { spec, .. }) = ground.index.described(place) else { return };
        if !spec.needs_lease() {
            return;
        }
        let full = slices::default_slice(spec, self.unit, 0.0);
        let until = full.booked(0.0, ground.now.now_ns.saturating_mul(TICKS_PER_NS));
        if let Some(cell) = ground.bank.specs.get(place) {
            cell.set_floor(until);
        }
    }

    /// Ends the session when the lease is over.
    pub(in crate::agent) fn check_lease(&mut self, ground: &mut Ground<'_>) {
        if !self.is_open() && self.hoped_ns.is_some_and(|until| ground.now.boot_ns >= until && until > 0) {
            self.hoped_ns = Some(0);
            ground.bank.connect(self.ledger, false);
        }
        if self.is_open() && ground.now.boot_ns >= self.until_ns {
            #[cfg(feature = "seeded-bugs")]
            if ground.timing.bug == Some(crate::timing::Bug::IgnoreExpiry) {
                ground.bank.extend(self.ledger, u64::MAX);
                return;
            }
            self.lapse(ground);
        }
    }

    /// Falls back to what holds without a lease.
    pub(super) fn lapse(&mut self, ground: &mut Ground<'_>) {
        self.epoch = 0;
        self.until_ns = 0;
        self.lapsed_ns = ground.now.boot_ns;
        ground.bank.extend(self.ledger, 0);
        ground.bank.connect(self.ledger, false);
        self.clear_draft();
        self.describe_all(ground);
        let leased = ground.index.specs().filter(|(_, d)| d.ledger == self.ledger && d.spec.needs_lease());
        self.may_be_spent = leased.map(|(place, _)| place).collect();
        let limits: Vec<u64> = self.slices.keys().copied().collect();
        for limit in limits {
            let Some(slice) = self.slices.get_mut(&limit) else { continue };
            if slice.spec().isolated == Isolated::Last && !slice.spec().needs_lease() {
                slice.keep(ground);
            } else {
                let fill = if slice.spec().needs_lease() { Fill::Empty } else { Fill::Keep(0.0) };
                self.make_default(limit, fill, ground);
            }
        }
        let even = self.even_among(ground);
        for count in self.counts.values_mut() {
            let spec = *count.spec();
            count.respecify(spec, counts::bucket(&spec, None), counts::bucket(&spec, Some(even)), ground);
        }
        self.chunks.values_mut().filter(|chunk| !chunk.is_quota()).for_each(|chunk| chunk.forfeit(ground));
    }
}
