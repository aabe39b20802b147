//! Large rate limits on a node: each runs a fraction of the bucket. Owns how a fraction changes without tokens appearing from
//! nowhere, and when to ask for a larger one.

use std::cell::Cell as Local;

use tidegate_proto::ledger::{BusyHolderV1, SliceGrantV1, SliceReportV1, WHOLE};

use super::{Ground, places};
use crate::{
    cell::{Cell, flag},
    demand::Demand,
    limit::{Isolated, Kind, Scope, Spec},
    terms::{Slice, TICKS_PER_NS},
    timing::MS,
};

/// A slice that is in use, or that differs from the default one.
#[derive(Debug)]
pub(super) struct ActiveSlice {
    cell: u32,
    spec: Spec,
    /// What the cell runs at.
    share: u32,
    /// Its own terms' place, while the share is managed.
    place: Option<u32>,
    debt: f64,
    version: u64,
    /// Cumulative in this session, in thousandths.
    tokens: u64,
    returned: u64,
    contended: bool,
    demand: Demand,
    refused: Demand,
    offered_since: u32,
    reported: f64,
    reported_ns: u64,
    is_managed: bool,
    is_ack_due: bool,
}

/// What becomes of a bucket's tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fill {
    /// They stay, with so many more.
    Keep(f64),
    /// They are gone: somebody may have used them.
    Empty,
    /// Nobody has used any.
    Full,
}

/// The default slice of a specification.
pub(super) fn default_slice(spec: &Spec, share: u32, debt: f64) -> Slice {
    Slice::of(spec.rate, spec.burst, share, debt)
}

/// The debt that one of `holders` may run into while nobody knows the limit to be short, in tokens.
pub(super) fn debt(spec: &Spec, holders: u32, part: f64) -> f64 {
    match spec.kind {
        Kind::Slice if spec.scope == Scope::Global => seed(spec),
        Kind::Slice if spec.isolated != Isolated::Closed => {
            (part * spec.burst / f64::from(holders.max(1))).max(1.0)
        }
        Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool | Kind::Quota(_) => 0.0,
    }
}

/// Makes a slice hold one token at least, where the nodes of all regions may be more than the tokens of the burst. It is no debt
/// besides: that would stay behind where demand moves to another region.
fn seed(spec: &Spec) -> f64 {
    let has_seed =
        spec.kind == Kind::Slice && spec.scope == Scope::Global && spec.isolated != Isolated::Closed;
    if has_seed { f64::MIN_POSITIVE } else { 0.0 }
}

impl ActiveSlice {
    /// A slice at the default share, because a request has asked it.
    pub(super) fn asked(cell: u32, spec: Spec, share: u32, debt: f64, ground: &Ground<'_>) -> Self {
        let mut slice = Self::granted(cell, spec, share, debt, ground);
        slice.demand.follow(slice.demand.seen().wrapping_sub(1));
        slice
    }

    /// A slice at the default share, because the ledger has something to say about it.
    pub(super) fn granted(cell: u32, spec: Spec, share: u32, debt: f64, ground: &Ground<'_>) -> Self {
        let (offered, refused) =
            ground.bank.cells.get(cell).map_or((0, 0), |cell| (cell.offered(), cell.refused(false)));
        Self {
            cell,
            spec,
            share,
            place: None,
            debt,
            version: 0,
            tokens: 0,
            returned: 0,
            contended: false,
            demand: Demand::begin(ground.now.now_ns, offered),
            refused: Demand::begin(ground.now.now_ns, refused),
            offered_since: 0,
            reported: 0.0,
            reported_ns: 0,
            is_managed: false,
            is_ack_due: false,
        }
    }

    pub(super) fn share(&self) -> u32 {
        self.share
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether its share is managed.
    pub(super) fn is_explicit(&self) -> bool {
        self.place.is_some()
    }

    /// Follows a change of the numbers; tokens stay.
    pub(super) fn respecify(&mut self, spec: Spec, ground: &mut Ground<'_>) {
        let old = self.slice();
        self.spec = spec;
        self.rewrite(old, self.share, self.place.is_some(), Fill::Keep(0.0), ground);
    }

    /// Forgets the session: versions and sums begin anew.
    pub(super) fn begin_session(&mut self) {
        (self.version, self.tokens, self.returned) = (0, 0, 0);
        self.is_ack_due = false;
        self.is_managed = false;
        self.reported = 0.0;
        self.reported_ns = 0;
    }

    /// Runs at the default share `share` again.
    pub(super) fn make_implicit(&mut self, share: u32, debt: f64, fill: Fill, ground: &mut Ground<'_>) {
        let old = self.slice();
        self.debt = debt;
        self.mark_contended(false, ground);
        self.rewrite(old, share, false, fill, ground);
    }

    /// Keeps its share after the session is over, without debts.
    pub(super) fn keep(&mut self, ground: &mut Ground<'_>) {
        let old = self.slice();
        self.debt = 0.0;
        self.mark_contended(false, ground);
        self.rewrite(old, self.share, self.place.is_some(), Fill::Keep(0.0), ground);
    }

    /// Begins a session with a share that is managed already.
    pub(super) fn open(&mut self, grant: &SliceGrantV1, debt: f64, fill: Fill, ground: &mut Ground<'_>) {
        let old = self.slice();
        self.begin_session();
        self.set_from(grant, debt, ground);
        self.rewrite(old, grant.share, true, fill, ground);
        (self.tokens, self.is_ack_due) = (grant.tokens, true);
    }

    /// Takes a newer grant over; `default` is the share and the debt without one.
    pub(super) fn take_in(&mut self, grant: &SliceGrantV1, default: (u32, f64), ground: &mut Ground<'_>) {
        // A repeated grant is confirmed again: the ledger did not hear the first time.
        self.is_ack_due = true;
        if grant.version <= self.version {
            return;
        }
        let old = self.slice();
        self.set_from(grant, default.1, ground);
        let handed_over = grant.tokens.saturating_sub(self.tokens) as f64 / 1e3;
        #[cfg(feature = "seeded-bugs")]
        let handed_over = match ground.timing.bug {
            Some(crate::timing::Bug::CreditTwice) => handed_over * 2.0,
            _ => handed_over,
        };
        self.tokens = self.tokens.max(grant.tokens);
        let share = if grant.implicit { default.0 } else { grant.share };
        let returned = self.rewrite(old, share, !grant.implicit, Fill::Keep(handed_over), ground);
        // Rounded down: a thousandth that is not given back is lost, never doubled.
        self.returned += (returned * 1e3) as u64;
    }

    fn set_from(&mut self, grant: &SliceGrantV1, debt: f64, ground: &Ground<'_>) {
        self.version = grant.version;
        self.is_managed = true;
        self.mark_contended(grant.contended && !grant.implicit, ground);
        self.debt = if self.contended { seed(&self.spec) } else { debt };
    }

    fn mark_contended(&mut self, contended: bool, ground: &Ground<'_>) {
        self.contended = contended;
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            if contended {
                cell.set(flag::CONTENDED)
            } else {
                cell.clear(flag::CONTENDED)
            };
        }
    }

    fn slice(&self) -> Slice {
        default_slice(&self.spec, self.share, self.debt)
    }

    /// Moves the cell from `old` to a new share. Tokens move with the share that goes; returns those that went.
    fn rewrite(
        &mut self,
        old: Slice,
        share: u32,
        is_explicit: bool,
        fill: Fill,
        ground: &mut Ground<'_>,
    ) -> f64 {
        let Some(cell) = ground.bank.cells.get(self.cell) else { return 0.0 };
        let (before, now) = (self.share, ground.now.now_ns.saturating_mul(TICKS_PER_NS));
        self.share = share;
        let new = self.slice();
        let went = Local::new(0.0);
        let rebook = |booked: u64| {
            let held = old.tokens(booked, now);
            let part = if share < before { 1.0 - f64::from(share) / f64::from(before) } else { 0.0 };
            went.set(held.max(0.0) * part);
            let kept = match fill {
                Fill::Keep(more) => held - went.get() + more,
                Fill::Empty => held.min(0.0),
                Fill::Full => new.depth,
            };
            new.booked(kept.min(new.depth), now)
        };
        if is_explicit {
            let place = *self.place.get_or_insert_with(|| ground.places.take(ground.bank));
            if let (Some(own), terms) = places::terms(ground.bank, place, new.terms) {
                cell.rewrite(Some((place, own, terms)), rebook);
            }
        } else {
            cell.rewrite(None, rebook);
            if let Some(place) = self.place.take() {
                ground.places.give_back(place);
            }
        }
        went.get()
    }

    /// Whether it should be asked for soon, judged between two measurements.
    pub(super) fn is_starving(&self, ground: &Ground<'_>) -> bool {
        let Some(cell) = ground.bank.cells.get(self.cell) else { return false };
        let (slice, now) = (self.slice(), ground.now.now_ns);
        let held = slice.tokens(cell.booked().0, now.saturating_mul(TICKS_PER_NS));
        let quiet_ns = now.saturating_sub(self.reported_ns);
        let is_new = self.reported_ns == 0;
        let offered =
            f64::from(self.offered_since) + f64::from(cell.offered().wrapping_sub(self.demand_seen()));
        if cell.flags() & flag::REJECTED != 0 && (is_new || quiet_ns > 200 * MS) {
            return true;
        }
        (held < 0.0 && (is_new || quiet_ns > 20 * MS))
            || (held < 0.5 * slice.depth && (is_new || quiet_ns > 100 * MS) && offered > 0.3 * slice.depth)
    }

    fn demand_seen(&self) -> u32 {
        self.demand.seen()
    }

    /// Asks at once.
    pub(super) fn ask(&mut self, limit: u64, ground: &Ground<'_>) -> SliceReportV1 {
        let demand = self.worth_telling(ground);
        self.report(limit, demand, ground)
    }

    /// Measures; returns what there is to say.
    pub(super) fn measure(&mut self, limit: u64, ground: &Ground<'_>) -> Option<SliceReportV1> {
        let cell = ground.bank.cells.get(self.cell)?;
        let now = ground.now.now_ns;
        let flags = cell.clear(flag::REJECTED | flag::URGENT);
        self.offered_since = self.demand.measure(now, cell.offered(), ground.timing.demand_s, self.contended);
        self.refused.measure(now, cell.refused(false), ground.timing.demand_s, self.contended);
        let (demand, slice) = (self.demand.per_second(), self.slice());
        let rate = self.spec.rate * f64::from(self.share) / f64::from(WHOLE);
        let held = slice.tokens(cell.booked().0, now.saturating_mul(TICKS_PER_NS));
        let is_starving = flags & flag::REJECTED != 0 || (held < 0.25 * slice.depth && demand > 0.8 * rate);
        let noise = (3.0 * ground.timing.hysteresis * self.reported)
            .max(2.0 * demand.max(1.0).sqrt())
            .max(0.004 * self.spec.rate);
        let has_moved = self.is_managed && (demand - self.reported).abs() > noise;
        let is_due = is_starving && (!self.is_managed || now.saturating_sub(self.reported_ns) > 500 * MS);
        if has_moved || is_due || self.is_ack_due {
            return Some(self.report(limit, demand, ground));
        }
        let has_gone = self.is_managed && self.reported > 0.0 && self.is_quiet();
        has_gone.then(|| self.report(limit, 0.0, ground))
    }

    fn is_quiet(&self) -> bool {
        let demand = self.demand.per_second();
        self.offered_since == 0
            && demand <= 0.02 * self.spec.rate
            && !(self.reported > 0.0 && demand > 0.001 * self.spec.rate)
    }

    /// What it last said, for a ledger that may not have heard it.
    pub(super) fn repeat(&mut self, limit: u64, ground: &Ground<'_>) -> Option<SliceReportV1> {
        let worth = self.is_managed || self.is_explicit();
        worth.then(|| self.report(limit, self.worth_telling(ground), ground))
    }

    /// Confirms the newest version, when that is due.
    pub(super) fn acknowledge(&mut self, limit: u64, ground: &Ground<'_>) -> Option<SliceReportV1> {
        self.is_ack_due.then(|| self.report(limit, self.worth_telling(ground), ground))
    }

    /// The demand of this moment, or as last measured when that was more; what has all but gone is none.
    fn worth_telling(&self, ground: &Ground<'_>) -> f64 {
        let offered = ground.bank.cells.get(self.cell).map_or(0, Cell::offered);
        if offered == self.demand.seen() && self.is_quiet() {
            return 0.0;
        }
        let present = self.demand.preview(ground.now.now_ns, offered, ground.timing.demand_s, self.contended);
        present.max(self.demand.per_second())
    }

    /// Demand, refusals and share on this node.
    pub(super) fn busy(&self, holder: u64) -> BusyHolderV1 {
        let (demand, refused) = (self.demand.per_second(), self.refused.per_second());
        BusyHolderV1 { holder, demand: demand as f32, refused: refused.min(demand) as f32, share: self.share }
    }

    pub(super) fn is_contended(&self) -> bool {
        self.contended
    }

    fn report(&mut self, limit: u64, demand: f64, ground: &Ground<'_>) -> SliceReportV1 {
        self.reported = demand;
        self.reported_ns = ground.now.now_ns;
        self.is_managed = true;
        self.is_ack_due = false;
        // The two counters are not read at the same moment, and offers may be lost.
        let refused = self.refused.per_second().min(demand) as f32;
        SliceReportV1 {
            limit,
            demand: demand as f32,
            refused,
            version: self.version,
            returned: self.returned,
        }
    }

    /// Whether it can be forgotten: it is as every slice is by default.
    pub(super) fn is_idle(&self, ground: &Ground<'_>) -> bool {
        let Some(cell) = ground.bank.cells.get(self.cell) else { return true };
        let is_full = cell.booked().0 <= ground.now.now_ns.saturating_mul(TICKS_PER_NS);
        self.place.is_none() && is_full && self.reported == 0.0 && self.is_quiet() && !self.is_ack_due
    }

    /// Forgets its marks; the next request makes it known again.
    pub(super) fn release(&self, ground: &Ground<'_>) {
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.clear(flag::TOUCHED | flag::REJECTED | flag::URGENT | flag::CONTENDED);
        }
    }
}
