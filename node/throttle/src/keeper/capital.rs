//! A region as a holder: what its leader asks the ledger of all regions for, and what it makes of the answers. Volatile, as all of
//! the leader's side. Owns that nothing is said of a grant before the region's own log has it, and until when nodes may be told
//! to go on.

use tidegate_proto::{
    ledger::{ChangeV1, GrantV1, OpenV1, ReportV1, SliceGrantV1, SliceReportV1, WHOLE},
    limits::LEDGER_CHANGES_MAX,
};

use super::{Bench, Region, known, slices::SliceDesk};
use crate::{
    ids::IdMap,
    index::Index,
    ledger::Ledger,
    limit::PART,
    timing::{MS, Timing},
};

/// A region is always in the same life: its log remembers everything.
const INCARNATION: u64 = 1;
/// Without a session the region asks for one this often.
const JOIN_EVERY_NS: u64 = 300 * MS;
/// Everything is said again this often, because a message may have been lost.
const REPEAT_EVERY_NS: u64 = 2_000 * MS;
/// A limit that is short is asked for again after this time.
const ASK_AGAIN_NS: u64 = 500 * MS;

/// The region's side.
#[derive(Debug)]
pub(super) struct Capital {
    region: Region,
    /// The term of this leader.
    rank: u64,
    timing: Timing,
    /// The session that desks are of.
    epoch: u64,
    /// End of the region's lease, on this leader's clock; 0 before it has an answer of its own.
    until_ns: u64,
    /// The session is over, and nodes have to stop first.
    is_leaving: bool,
    /// A session that the region's log does not have yet, with the end of its lease.
    opening: Option<(u64, OpenV1, u64)>,
    /// Grants that it does not have yet.
    wanted: IdMap<SliceGrantV1>,
    /// Tokens that come with what was proposed, in thousandths.
    coming: IdMap<u64>,
    /// What was said last of a limit: demand, and when.
    said: IdMap<(f64, u64)>,
    /// Grants to be confirmed.
    due: Vec<u64>,
    term: u64,
    measured_ns: u64,
    sent_ns: u64,
    repeated_ns: u64,
    is_repeat_due: bool,
}

/// What a report is made of.
pub(super) struct Upward<'a> {
    pub(super) now_ns: u64,
    /// Whether nodes have told this leader what they need.
    pub(super) is_settled: bool,
    pub(super) ledger: &'a Ledger,
    pub(super) index: &'a Index,
}

impl Capital {
    /// For a leader of term `rank`; `timing` is that towards the ledger of all regions.
    pub(super) fn new(region: Region, rank: u64, ledger: &Ledger, timing: Timing) -> Self {
        Self {
            region,
            rank,
            timing,
            epoch: ledger.upstream().0,
            until_ns: 0,
            is_leaving: false,
            opening: None,
            wanted: IdMap::default(),
            coming: IdMap::default(),
            said: IdMap::default(),
            due: Vec::new(),
            term: 0,
            measured_ns: 0,
            sent_ns: 0,
            repeated_ns: 0,
            is_repeat_due: true,
        }
    }

    /// How long nodes may go on from now, in nanoseconds: what is left of the region's lease, less what clocks may be apart.
    pub(super) fn lease_ns(&self, now_ns: u64) -> u64 {
        #[cfg(feature = "seeded-bugs")]
        if self.timing.bug == Some(crate::timing::Bug::OutliveRegion) && self.until_ns > 0 {
            return u64::MAX;
        }
        let margin_ns =
            self.timing.margin_ns + (self.timing.lease_ns as f64 * 2.0 * self.timing.drift) as u64;
        self.until_ns.saturating_sub(now_ns).saturating_sub(margin_ns)
    }

    /// Whether nodes have to stop, because the session is over.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Whether something waits for the next tick.
    pub(super) fn is_busy(&self) -> bool {
        self.is_leaving || self.opening.is_some() || !self.wanted.is_empty()
    }

    pub(super) fn repeat(&mut self) {
        self.is_repeat_due = true;
    }

    /// Follows the session that the ledger has; whether that is another one.
    pub(super) fn turn_to(&mut self, ledger: &Ledger) -> bool {
        let (epoch, _) = ledger.upstream();
        if epoch == self.epoch {
            return false;
        }
        let opened = self.opening.take().filter(|(opening, ..)| *opening == epoch);
        self.until_ns = opened.map_or(0, |(_, _, until_ns)| until_ns);
        self.epoch = epoch;
        (self.is_leaving, self.is_repeat_due, self.sent_ns) = (false, true, 0);
        self.wanted.clear();
        self.coming.clear();
        self.said.clear();
        self.due.clear();
        true
    }

    /// Takes a grant in. It counts when the region's log has it.
    pub(super) fn take_in(&mut self, now_ns: u64, grant: &GrantV1, ledger: &Ledger) {
        if grant.rank != self.rank {
            return;
        }
        let until_ns = if grant.echo_ns == 0 { 0 } else { grant.echo_ns.saturating_add(grant.lease_ns) };
        let (epoch, epoch_seen) = ledger.upstream();
        if let Some(open) = &grant.open
            && open.incarnation == INCARNATION
            && epoch == 0
            && grant.epoch > epoch_seen
            && until_ns > now_ns
        {
            self.opening = Some((grant.epoch, open.clone(), until_ns));
        }
        if grant.epoch == 0 || grant.epoch != epoch || epoch != self.epoch || self.is_leaving {
            return;
        }
        if grant.reopen {
            (self.is_leaving, self.until_ns) = (true, 0);
            return;
        }
        self.until_ns = self.until_ns.max(until_ns);
        if grant.term > self.term {
            (self.term, self.is_repeat_due) = (grant.term, true);
        }
        for slice in &grant.slices {
            let newest = self.wanted.entry(slice.limit).or_insert(*slice);
            if slice.version > newest.version {
                *newest = *slice;
            }
        }
    }

    /// Writes down what was granted; returns the limits whose shares wait for that, in order.
    pub(super) fn tend(
        &mut self,
        desks: &mut IdMap<SliceDesk>,
        index: &Index,
        bench: &mut Bench<'_>,
    ) -> Vec<u64> {
        let (epoch, epoch_seen) = bench.ledger.upstream();
        if self.is_leaving {
            if bench.ledger.sessions.is_empty() {
                bench.changes.push(ChangeV1::Leave { epoch });
            }
            return Vec::new();
        }
        if let Some((opening, open, until_ns)) = &self.opening {
            if epoch == 0 && *opening > epoch_seen && *until_ns > bench.now_ns {
                enter(*opening, open, bench);
            } else {
                self.opening = None;
            }
            return Vec::new();
        }
        self.take_over(desks, bench.now_ns, bench.ledger, index);
        let mut limits: Vec<u64> = self.wanted.keys().copied().collect();
        limits.sort_unstable();
        limits.retain(|limit| {
            let Some(grant) = self.wanted.get(limit).copied() else { return false };
            let is_written = bench.changes.len() < LEDGER_CHANGES_MAX && write(&grant, desks, index, bench);
            if is_written {
                let before = bench.ledger.granted_whole(*limit).map_or(0, |whole| whole.tokens);
                self.coming.insert(*limit, grant.tokens.saturating_sub(before));
            }
            is_written
        });
        limits
    }

    /// What the log has by now is confirmed, and tokens that came with it can be used.
    fn take_over(&mut self, desks: &mut IdMap<SliceDesk>, now_ns: u64, ledger: &Ledger, index: &Index) {
        let Self { wanted, coming, due, .. } = self;
        wanted.retain(|limit, grant| {
            let version = ledger.granted_whole(*limit).map_or(0, |whole| whole.version);
            if grant.version > version {
                return true;
            }
            due.push(*limit);
            false
        });
        coming.retain(|limit, tokens| {
            if wanted.contains_key(limit) {
                return true;
            }
            if let (Some(spec), Some(desk)) = (known(index, *limit), desks.get_mut(limit)) {
                desk.refill(now_ns, &spec, ledger, *limit);
                desk.endow(*limit, *tokens, &spec, ledger);
                desk.hurry();
            }
            false
        });
    }

    /// The report to send now, if any.
    pub(super) fn report(&mut self, of: Upward<'_>, desks: &mut IdMap<SliceDesk>) -> Option<ReportV1> {
        let (now_ns, (epoch, epoch_seen)) = (of.now_ns, of.ledger.upstream());
        if !of.index.uses(PART) || self.is_leaving || epoch != self.epoch {
            return None;
        }
        let quiet_ns = now_ns.saturating_sub(self.sent_ns);
        let mut report = ReportV1 {
            holder: self.region.holder,
            incarnation: INCARNATION,
            epoch,
            epoch_seen,
            term: self.term,
            sent_ns: now_ns.max(1),
            rank: self.rank,
            via: self.region.node,
            ..ReportV1::default()
        };
        if epoch == 0 {
            let is_due = of.ledger.sessions.is_empty() && self.opening.is_none();
            if !is_due || (quiet_ns < JOIN_EVERY_NS && self.sent_ns != 0) {
                return None;
            }
            self.sent_ns = now_ns.max(1);
            return Some(report);
        }
        self.take_over(desks, now_ns, of.ledger, of.index);
        report.full = of.is_settled
            && (self.is_repeat_due || now_ns.saturating_sub(self.repeated_ns) >= REPEAT_EVERY_NS);
        if of.is_settled {
            report.slices = self.news(&of, desks, report.full);
        }
        if report.slices.is_empty()
            && !report.full
            && quiet_ns < self.timing.keepalive_ns
            && self.sent_ns != 0
        {
            return None;
        }
        if report.full {
            (self.repeated_ns, self.is_repeat_due) = (now_ns, false);
        }
        self.sent_ns = now_ns.max(1);
        Some(report)
    }

    fn news(&mut self, of: &Upward<'_>, desks: &IdMap<SliceDesk>, is_full: bool) -> Vec<SliceReportV1> {
        let mut due = std::mem::take(&mut self.due);
        due.sort_unstable();
        let is_time = of.now_ns.saturating_sub(self.measured_ns) >= self.timing.report_ns;
        if !is_time && !is_full && due.is_empty() {
            return Vec::new();
        }
        if is_time {
            self.measured_ns = of.now_ns;
        }
        let mut news = Vec::new();
        for (limit, desk) in desks {
            let Some(spec) = known(of.index, *limit) else { continue };
            let (said, said_ns) = self.said.get(limit).copied().unwrap_or_default();
            let (demand, whole) = (desk.needed(&self.timing, of.ledger), of.ledger.granted_whole(*limit));
            let is_managed = whole.is_some() || said_ns != 0;
            let part = f64::from(of.ledger.whole(*limit)) / f64::from(WHOLE);
            let is_short = self.timing.headroom * demand > 0.9 * part * spec.rate;
            let noise = (3.0 * self.timing.hysteresis * said).max(2.0 * demand.max(1.0).sqrt());
            let has_moved = is_managed && (demand - said).abs() > noise.max(0.004 * spec.rate);
            let is_asking = is_short && (said_ns == 0 || of.now_ns.saturating_sub(said_ns) > ASK_AGAIN_NS);
            let has_gone = is_managed && demand == 0.0 && said > 0.0;
            if has_moved || is_asking || has_gone || is_full && is_managed || due.binary_search(limit).is_ok()
            {
                self.said.insert(*limit, (demand, of.now_ns.max(1)));
                let (version, returned) = whole.map_or((0, 0), |whole| (whole.version, whole.returned));
                #[cfg(feature = "seeded-bugs")]
                let version = match (self.timing.bug, self.wanted.get(limit)) {
                    (Some(crate::timing::Bug::ConfirmEarly), Some(grant)) => grant.version,
                    _ => version,
                };
                let (demand, refused) = (demand as f32, desk.refused());
                news.push(SliceReportV1 { limit: *limit, demand, refused, version, returned });
            }
        }
        news.sort_unstable_by_key(|news| news.limit);
        news
    }
}

/// Writes a session down. A limit of which there is less than the default is managed from the beginning.
fn enter(epoch: u64, open: &OpenV1, bench: &mut Bench<'_>) {
    bench.changes.push(ChangeV1::Upstream { epoch, unit: open.unit });
    for slice in &open.slices {
        let SliceGrantV1 { limit, share, version, tokens, .. } = *slice;
        if share < open.unit {
            bench.changes.push(ChangeV1::Manage { limit });
        }
        bench.changes.push(ChangeV1::Whole { limit, share, version, tokens, returned: 0 });
    }
}

/// Writes down what the region has of a limit, unless its nodes still use more than that.
fn write(grant: &SliceGrantV1, desks: &mut IdMap<SliceDesk>, index: &Index, bench: &mut Bench<'_>) -> bool {
    let SliceGrantV1 { limit, share, version, tokens, .. } = *grant;
    let is_over = bench.ledger.out(limit) > share;
    let mut returned = bench.ledger.granted_whole(limit).map_or(0, |whole| whole.returned);
    if let Some(spec) = known(index, limit) {
        let desk = desks.entry(limit).or_insert_with(|| SliceDesk::inherited(bench.now_ns));
        desk.refill(bench.now_ns, &spec, bench.ledger, limit);
        desk.aim(share);
        if is_over {
            desk.hurry();
        } else if share < bench.ledger.whole(limit) {
            returned += desk.cede(limit, share, &spec, bench.ledger);
        }
    }
    if is_over {
        return false;
    }
    if share < bench.ledger.unit() && !bench.ledger.slices.contains_key(&limit) {
        bench.changes.push(ChangeV1::Manage { limit });
    }
    bench.changes.push(ChangeV1::Whole { limit, share, version, tokens, returned });
    true
}
