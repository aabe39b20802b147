//! Small rate limits on a node: it decides on an estimate of the whole bucket, reports what it admitted, and is told the true
//! level. Owns the estimate and when to report; debts are kept by the ledger.

use tidegate_proto::ledger::{BusyHolderV1, CountReportV1, LevelGrantV1, WHOLE};

use super::Ground;
use crate::{
    cell::{Cell, flag},
    demand::Demand,
    limit::Spec,
    terms::{Slice, TICKS_PER_NS},
    timing::MS,
};

/// An unhurried report of a limit that is far from short.
const CALM_REPORT_NS: u64 = 500 * MS;
/// A limit whose level was told within this time is short.
const SHORT_LATELY_NS: u64 = 3_000 * MS;
/// A limit with more demand than this, per second, is told about even while nothing is admitted.
const ASKED: f64 = 0.5;

/// A counted limit that is in use.
#[derive(Debug)]
pub(super) struct ActiveCount {
    cell: u32,
    spec: Spec,
    demand: Demand,
    refused: Demand,
    /// Requests admitted in this incarnation, of which the cell shows the low bits.
    spent: u64,
    reported: u64,
    /// What a leader that knows nothing needs not count.
    settled: u64,
    reported_ns: u64,
    /// What of it the next leader would know of, and when this node learned that.
    saved: (u64, u64),
    sequence: u64,
    is_touched: bool,
}

/// The bucket as a connected node estimates it, and as an isolated one runs it.
pub(super) fn bucket(spec: &Spec, even_among: Option<u32>) -> Slice {
    match even_among {
        None => Slice::of(spec.rate, spec.burst, WHOLE, 0.0),
        Some(holders) => {
            let holders = f64::from(holders.max(1));
            Slice::of(spec.rate / holders, (spec.burst / holders).max(1.0), WHOLE, 0.0)
        }
    }
}

impl ActiveCount {
    pub(super) fn begin(cell: u32, spec: Spec, ground: &Ground<'_>) -> Self {
        let (offered, spent, refused) = ground
            .bank
            .cells
            .get(cell)
            .map_or((0, 0, 0), |cell| (cell.offered(), cell.spent(), cell.refused(true)));
        // What made the cell known is not counted yet; of a cell that was never counted, nothing is.
        let is_counted = |cell: &Cell| cell.set(flag::COUNTED) & flag::COUNTED != 0;
        let was_counted = ground.bank.cells.get(cell).is_some_and(is_counted);
        let before = if was_counted { u64::from(spent.saturating_sub(1)) } else { 0 };
        Self {
            cell,
            spec,
            demand: Demand::begin(ground.now.now_ns, offered.wrapping_sub(1)),
            refused: Demand::begin(ground.now.now_ns, refused),
            spent: before,
            reported: before,
            settled: before,
            reported_ns: 0,
            saved: (0, 0),
            sequence: 0,
            is_touched: true,
        }
    }

    /// Follows a change of the numbers or of contact; tokens stay, as far as they fit.
    pub(super) fn respecify(&mut self, spec: Spec, old: Slice, new: Slice, ground: &Ground<'_>) {
        self.spec = spec;
        let now = ground.now.now_ns.saturating_mul(TICKS_PER_NS);
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.rewrite(None, |booked| new.booked(old.tokens(booked, now).min(new.depth), now));
        }
    }

    /// Estimates the whole bucket from here on. What this node has used so far is missing from it; after a time without contact
    /// the others may have used the rest, so only what was at hand is counted.
    pub(super) fn join(&mut self, even: Slice, whole: Slice, is_first: bool, ground: &Ground<'_>) {
        let now = ground.now.now_ns.saturating_mul(TICKS_PER_NS);
        let others = if is_first { whole.depth - even.depth } else { 0.0 };
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.rewrite(None, |booked| {
                whole.booked((even.tokens(booked, now) + others).min(whole.depth), now)
            });
        }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Another leader counts now. What the last one knew and had not saved is counted again while the limit is short; otherwise what
    /// was reported is settled.
    pub(super) fn begin_term(&mut self, ground: &Ground<'_>) {
        let (saved, learned_ns) = self.saved;
        let is_short = learned_ns != 0 && ground.now.now_ns.saturating_sub(learned_ns) < SHORT_LATELY_NS;
        self.settled = if is_short { saved.max(self.settled) } else { self.reported };
        self.sequence = 0;
    }

    fn count(&mut self, ground: &Ground<'_>) -> Option<f64> {
        let cell = ground.bank.cells.get(self.cell)?;
        self.spent += u64::from(cell.spent().wrapping_sub(self.spent as u32));
        let now = ground.now.now_ns.saturating_mul(TICKS_PER_NS);
        Some(bucket(&self.spec, None).tokens(cell.booked().0, now))
    }

    /// What is to be said between two measurements, when the bucket gets short.
    pub(super) fn hurry(&mut self, limit: u64, ground: &Ground<'_>) -> Option<CountReportV1> {
        let held = self.count(ground)?;
        let unreported = self.spent.saturating_sub(self.reported) as f64;
        let quiet_ns = ground.now.now_ns.saturating_sub(self.reported_ns);
        let pace_s = (self.spec.burst / (4.0 * self.demand.per_second().max(1.0))).clamp(0.02, 0.2);
        let is_due = unreported > 0.0 && held < 0.5 * self.spec.burst && quiet_ns as f64 > pace_s * 1e9;
        (is_due || unreported >= (0.25 * self.spec.burst).max(1.0) && quiet_ns >= 10 * MS)
            .then(|| self.report(limit, ground))
    }

    /// Whether it has to be looked at between measurements.
    pub(super) fn is_hurried(&self, ground: &Ground<'_>) -> bool {
        ground.bank.cells.get(self.cell).is_some() && self.held(ground) < 0.75 * self.spec.burst
    }

    /// Measures; returns what there is to say.
    pub(super) fn measure(&mut self, limit: u64, ground: &Ground<'_>) -> Option<CountReportV1> {
        self.count(ground)?;
        let cell = ground.bank.cells.get(self.cell)?;
        cell.clear(flag::REJECTED | flag::URGENT);
        let (now, constant_s) = (ground.now.now_ns, ground.timing.small_demand_s);
        self.is_touched = self.demand.measure(now, cell.offered(), constant_s, false) > 0;
        self.refused.measure(now, cell.refused(true), constant_s, false);
        let is_due = ground.now.now_ns.saturating_sub(self.reported_ns) >= CALM_REPORT_NS;
        (self.spent > self.reported && is_due).then(|| self.report(limit, ground))
    }

    fn report(&mut self, limit: u64, ground: &Ground<'_>) -> CountReportV1 {
        self.reported = self.spent;
        self.reported_ns = ground.now.now_ns;
        self.said(limit, self.spent)
    }

    /// Demand and refusals on this node.
    pub(super) fn busy(&self, holder: u64) -> BusyHolderV1 {
        let (demand, refused) = (self.demand.per_second(), self.refused.per_second());
        BusyHolderV1 { holder, demand: demand as f32, refused: refused.min(demand) as f32, share: 0 }
    }

    /// What this node believes to be left of the whole bucket.
    pub(super) fn held(&self, ground: &Ground<'_>) -> f64 {
        let Some(cell) = ground.bank.cells.get(self.cell) else { return 0.0 };
        let now = ground.now.now_ns.saturating_mul(TICKS_PER_NS);
        bucket(&self.spec, None).tokens(cell.booked().0, now)
    }

    fn said(&self, limit: u64, spent: u64) -> CountReportV1 {
        let demand = self.demand.per_second();
        let refused = self.refused.per_second().min(demand) as f32;
        CountReportV1 { limit, demand: demand as f32, refused, spent, settled: self.settled }
    }

    /// What it last said, for a ledger that may not have heard it.
    pub(super) fn repeat(&self, limit: u64) -> Option<CountReportV1> {
        let is_asked = self.demand.per_second() > ASKED;
        (self.reported > self.settled || is_asked).then(|| self.said(limit, self.reported))
    }

    /// The true level: the estimate becomes that, less what the ledger has not counted yet.
    pub(super) fn take_in(&mut self, grant: &LevelGrantV1, ground: &Ground<'_>) {
        if grant.sequence <= self.sequence || self.count(ground).is_none() {
            return;
        }
        self.sequence = grant.sequence;
        self.saved = (grant.saved, ground.now.now_ns.max(1));
        let uncounted = self.spent.saturating_sub(grant.spent) as f64;
        let (slice, now) = (bucket(&self.spec, None), ground.now.now_ns.saturating_mul(TICKS_PER_NS));
        let held = (grant.level as f64 / 1e3 - uncounted).min(slice.depth);
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.rewrite(None, |_| slice.booked(held, now));
        }
    }

    /// Whether it can be forgotten.
    pub(super) fn is_idle(&self, ground: &Ground<'_>) -> bool {
        let is_full = ground.bank.cells.get(self.cell).is_none_or(|cell: &Cell| {
            cell.booked().0 <= ground.now.now_ns.saturating_mul(TICKS_PER_NS)
                && cell.spent() == self.spent as u32
        });
        is_full
            && !self.is_touched
            && self.spent == self.reported
            && ground.now.now_ns.saturating_sub(self.reported_ns) > 2_000 * MS
    }

    /// Forgets its marks; the next request makes it known again.
    pub(super) fn release(&self, ground: &Ground<'_>) {
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.clear(flag::TOUCHED | flag::REJECTED | flag::URGENT);
        }
    }
}
