//! Quotas, and small strict rate limits, on a node: it spends whole requests that it was handed. Owns when to ask, and that
//! nothing is counted twice; whether something is left is the ledger's to say.

use tidegate_proto::ledger::{BusyHolderV1, ChunkGrantV1, ChunkReportV1};

use super::Ground;
use crate::{
    cell::{Cell, flag},
    demand::Demand,
    limit::{Kind, Spec},
    timing::MS,
};

/// An unhurried report of what was used.
const CALM_REPORT_NS: u64 = 500 * MS;
/// A limit that nobody asked for this long needs no more.
const WANTING_NS: u64 = 1_000 * MS;
/// A chunk that nobody uses goes back after this time.
const IDLE_RETURN_NS: u64 = 10_000 * MS;

/// Tokens in hand, or asked for.
#[derive(Debug)]
pub(super) struct ActiveChunk {
    cell: u32,
    spec: Spec,
    /// 0 for pools, and for quotas before the day is known.
    period: u32,
    granted: u32,
    returned: u32,
    demand: Demand,
    refused: Demand,
    reported: (u32, u32),
    reported_ns: u64,
    /// When something was last said that had not been said before.
    news_ns: u64,
    asked_ns: u64,
    used_ns: u64,
    is_ack_due: bool,
}

impl ActiveChunk {
    pub(super) fn begin(cell: u32, spec: Spec, day: u32, ground: &Ground<'_>) -> Self {
        let now = ground.now.now_ns;
        let (offered, refused) = ground
            .bank
            .cells
            .get(cell)
            .map_or((0, 0), |it| (asked(&spec, cell, it, ground), refused(&spec, it, 0)));
        Self {
            cell,
            spec,
            period: period(&spec, day),
            granted: 0,
            returned: 0,
            demand: Demand::begin(now, offered.wrapping_sub(1)),
            refused: Demand::begin(now, refused),
            reported: (0, 0),
            reported_ns: 0,
            news_ns: 0,
            asked_ns: 0,
            used_ns: now,
            is_ack_due: false,
        }
    }

    pub(super) fn is_quota(&self) -> bool {
        matches!(self.spec.kind, Kind::Quota(_))
    }

    pub(super) fn respecify(&mut self, spec: Spec, ground: &Ground<'_>) {
        self.spec = spec;
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.clear(flag::EXHAUSTED);
        }
    }

    /// Moves what is in hand to another cell.
    pub(super) fn move_to(&mut self, cell: u32, ground: &Ground<'_>) {
        let left = self.drop_all(ground);
        self.cell = cell;
        if let Some(cell) = ground.bank.cells.get(cell) {
            if self.is_quota() {
                cell.change_chunk(left, 0)
            } else {
                cell.change_singles(left, 0)
            };
            cell.set(flag::TOUCHED);
            self.demand.follow(asked(&self.spec, self.cell, cell, ground));
            self.refused.follow(refused(&self.spec, cell, 0));
        }
    }

    pub(super) fn left(&self, ground_cell: Option<&Cell>) -> u64 {
        ground_cell.map_or(0, |cell| if self.is_quota() { cell.chunk() } else { cell.singles() })
    }

    pub(super) fn cell(&self) -> u32 {
        self.cell
    }

    fn in_hand(&self, ground: &Ground<'_>) -> u64 {
        self.left(ground.bank.cells.get(self.cell))
    }

    fn spent(&self, ground: &Ground<'_>) -> u32 {
        let left = u32::try_from(self.in_hand(ground)).unwrap_or(u32::MAX);
        self.granted.saturating_sub(self.returned).saturating_sub(left)
    }

    fn drop_all(&self, ground: &Ground<'_>) -> u64 {
        let cell = ground.bank.cells.get(self.cell);
        cell.map_or(0, |cell| if self.is_quota() { cell.drop_chunk() } else { cell.drop_singles() })
    }

    /// What is in hand is worth nothing any more: the lease of a pool is over.
    pub(super) fn forfeit(&mut self, ground: &Ground<'_>) {
        let _lost = self.drop_all(ground);
        (self.granted, self.returned, self.reported) = (0, 0, (0, 0));
        (self.asked_ns, self.reported_ns) = (0, 0);
        self.is_ack_due = false;
    }

    /// Gives everything back.
    pub(super) fn give_back(&mut self, limit: u64, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        let left = u32::try_from(self.drop_all(ground)).unwrap_or(u32::MAX);
        self.returned = self.returned.saturating_add(left);
        (self.granted > 0).then(|| self.report(limit, false, ground))
    }

    /// Moves to the period that holds `day`; returns the last words about the old one.
    pub(super) fn roll(&mut self, limit: u64, day: u32, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        let next = period(&self.spec, day);
        if !self.is_quota() || next <= self.period {
            return None;
        }
        let last = self.give_back(limit, ground);
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.clear(flag::EXHAUSTED);
        }
        self.forfeit(ground);
        self.period = next;
        last
    }

    /// Takes a grant over. Sums only grow, so a repeated grant adds nothing.
    pub(super) fn take_in(&mut self, grant: &ChunkGrantV1, ground: &Ground<'_>) {
        let Some(cell) = ground.bank.cells.get(self.cell) else { return };
        if grant.period != self.period {
            return;
        }
        let more = grant.granted.saturating_sub(self.granted);
        self.granted += more;
        #[cfg(feature = "seeded-bugs")]
        let more = match ground.timing.bug {
            Some(crate::timing::Bug::CreditTwice) => more.saturating_mul(2),
            _ => more,
        };
        if self.is_quota() {
            cell.change_chunk(u64::from(more), 0)
        } else {
            cell.change_singles(u64::from(more), 0)
        };
        let mark = if self.is_quota() { flag::EXHAUSTED } else { flag::CONTENDED };
        if grant.exhausted {
            cell.set(mark)
        } else {
            cell.clear(mark)
        };
        if more > 0 {
            self.is_ack_due = true;
            self.asked_ns = 0;
        }
        if grant.recall {
            let demand = self.demand.per_second();
            let keep = if demand < 0.5 { 0 } else { (demand * 0.1).ceil() as u64 };
            let spare = self.in_hand(ground).saturating_sub(keep);
            let gone =
                if self.is_quota() { cell.change_chunk(0, spare) } else { cell.change_singles(0, spare) };
            self.returned = self.returned.saturating_add(u32::try_from(gone).unwrap_or(0));
            self.is_ack_due = true;
        }
    }

    fn is_low(&self, ground: &Ground<'_>) -> bool {
        let lasts_s = match self.spec.kind {
            Kind::Quota(_) => ground.timing.chunk_s * 0.4,
            Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool => 0.06,
        };
        (self.in_hand(ground) as f64) < (self.demand.per_second() * lasts_s).max(1.0)
    }

    /// Whether more is of use: somebody asked a moment ago. What was called back is not asked for again at once.
    fn is_wanting(&self, ground: &Ground<'_>) -> bool {
        self.is_low(ground) && ground.now.now_ns.saturating_sub(self.used_ns) < WANTING_NS
    }

    /// What is to be said between two measurements, when tokens run out.
    pub(super) fn hurry(&mut self, limit: u64, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        let cell = ground.bank.cells.get(self.cell)?;
        let now = ground.now.now_ns;
        self.used_ns = now;
        let is_waiting = self.asked_ns != 0 && now.saturating_sub(self.asked_ns) < ground.timing.ask_again_ns;
        let is_over = cell.flags() & (flag::EXHAUSTED | flag::CONTENDED) != 0
            && now.saturating_sub(self.asked_ns) < CALM_REPORT_NS;
        (!is_waiting && !is_over && self.is_low(ground)).then(|| self.report(limit, true, ground))
    }

    /// Measures; returns what there is to say.
    pub(super) fn measure(&mut self, limit: u64, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        let cell = ground.bank.cells.get(self.cell)?;
        let now = ground.now.now_ns;
        let constant_s = ground.timing.demand_s;
        let was_refused = cell.clear(flag::REJECTED | flag::URGENT) & flag::REJECTED != 0;
        if self.demand.measure(now, asked(&self.spec, self.cell, cell, ground), constant_s, false) > 0 {
            self.used_ns = now;
        }
        let counter = refused(&self.spec, cell, self.refused.seen());
        self.refused.measure(now, counter, constant_s, false);
        if was_refused || (self.is_low(ground) && self.demand.per_second() > 0.5) {
            let asked = self.hurry(limit, ground);
            if asked.is_some() {
                return asked;
            }
        }
        if now.saturating_sub(self.used_ns) > IDLE_RETURN_NS && self.in_hand(ground) > 0 {
            return self.give_back(limit, ground);
        }
        let is_news = (self.spent(ground), self.returned) != self.reported;
        let is_due = now.saturating_sub(self.reported_ns) >= CALM_REPORT_NS;
        (is_news && is_due).then(|| self.report(limit, false, ground))
    }

    /// Confirms what arrived, when that is due.
    pub(super) fn acknowledge(&mut self, limit: u64, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        self.is_ack_due.then(|| {
            let wanting = self.is_wanting(ground);
            self.report(limit, wanting, ground)
        })
    }

    /// Whether something new was said since `since_ns`, or more is waited for.
    pub(super) fn may_be_unheard(&self, since_ns: u64) -> bool {
        self.news_ns >= since_ns || self.asked_ns != 0
    }

    /// What it last said, for a ledger that may not have heard it.
    pub(super) fn repeat(&mut self, limit: u64, ground: &Ground<'_>) -> Option<ChunkReportV1> {
        (self.granted > 0 || self.asked_ns != 0).then(|| {
            let wanting = self.is_wanting(ground);
            self.report(limit, wanting, ground)
        })
    }

    /// Demand, refusals and tokens on this node.
    pub(super) fn busy(&self, holder: u64, ground: &Ground<'_>) -> BusyHolderV1 {
        let (demand, refused) = (self.demand.per_second(), self.refused.per_second());
        let share = u32::try_from(self.in_hand(ground)).unwrap_or(u32::MAX);
        BusyHolderV1 { holder, demand: demand as f32, refused: refused.min(demand) as f32, share }
    }

    fn report(&mut self, limit: u64, wanting: bool, ground: &Ground<'_>) -> ChunkReportV1 {
        let now = ground.now.now_ns;
        let spent = self.spent(ground);
        if self.is_ack_due || self.reported != (spent, self.returned) {
            self.news_ns = now;
        }
        self.is_ack_due = false;
        self.reported_ns = now;
        self.asked_ns = if wanting { now.max(1) } else { 0 };
        self.reported = (spent, self.returned);
        let demand = self.demand.per_second();
        ChunkReportV1 {
            limit,
            period: self.period,
            demand: demand as f32,
            refused: self.refused.per_second().min(demand) as f32,
            wanting,
            granted: self.granted,
            spent,
            returned: self.returned,
        }
    }

    /// Whether it can be forgotten: nothing in hand, nothing unsaid, and nobody asks. Sums of a period are kept until it ends.
    pub(super) fn is_idle(&self, ground: &Ground<'_>) -> bool {
        let is_quiet = ground.now.now_ns.saturating_sub(self.used_ns) > IDLE_RETURN_NS;
        self.granted == 0 && is_quiet && !self.is_ack_due
    }

    /// Forgets its marks; the next request makes it known again.
    pub(super) fn release(&self, ground: &Ground<'_>) {
        if let Some(cell) = ground.bank.cells.get(self.cell) {
            cell.clear(flag::TOUCHED | flag::REJECTED | flag::URGENT | flag::EXHAUSTED | flag::CONTENDED);
        }
    }
}

/// Requests that asked so far, wrapping; those that the rate of the same cell refused did not get as far as its quota.
fn asked(spec: &Spec, place: u32, cell: &Cell, ground: &Ground<'_>) -> u32 {
    let rate = ground.index.entry(place).and_then(|entry| entry.rate());
    let kind = rate.and_then(|rate| ground.index.described(rate)).map(|described| described.spec.kind);
    let refused = match (spec.kind, kind) {
        (Kind::Quota(_), Some(Kind::Count)) => cell.refused(true),
        (Kind::Quota(_), Some(Kind::Slice | Kind::StrictSlice | Kind::Pool)) => cell.refused(false),
        (Kind::Quota(_), Some(Kind::Quota(_)) | None) => 0,
        (Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool, _) => 0,
    };
    cell.offered().wrapping_sub(refused)
}

/// Requests that were refused so far, wrapping; `before` is what was read last.
fn refused(spec: &Spec, cell: &Cell, before: u32) -> u32 {
    match spec.kind {
        Kind::Quota(_) => cell.chunk_refused(before),
        Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool => cell.refused(false),
    }
}

/// The period of a quota on `day`; 0 where there is none.
fn period(spec: &Spec, day: u32) -> u32 {
    match spec.kind {
        Kind::Quota(period) if day > 0 => period.number(day),
        Kind::Quota(_) | Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool => 0,
    }
}
