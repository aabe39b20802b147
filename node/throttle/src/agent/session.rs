//! A node's session with one ledger: what it was granted hangs off it and ends with it. Owns joining, the lease
//! and what holds without one; how each kind of limit works is its neighbours' matter.

mod busy;
mod lease;

use std::collections::BTreeSet;

use tidegate_proto::{
    ledger::{GrantV1, ReportV1, SliceGrantV1, WHOLE},
    limits::LEDGER_REPORT_ITEMS_MAX,
};

use super::{
    Ground, Identity, Now,
    chunks::ActiveChunk,
    counts::{self, ActiveCount},
    slices::{self, ActiveSlice, Fill},
};
use crate::{
    ids::IdMap,
    index::{Described, Index},
    limit::{Isolated, Kind, LimitId, PART, Spec, scope_of},
    terms::{Slice, Terms},
    timing::MS,
};

/// A node without a session asks for one this often.
const JOIN_EVERY_NS: u64 = 100 * MS;
/// The first session of a node with a ledger is hoped for this long.
const JOIN_HOPE_NS: u64 = 1_000 * MS;
/// Everything is said again this often, because a message may have been lost.
const REPEAT_EVERY_NS: u64 = 1_000 * MS;

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    ledger: usize,
    /// 0 without a session.
    epoch: u64,
    epoch_seen: u64,
    term: u64,
    unit: u32,
    holders: u32,
    day: u32,
    /// End of the lease, on the clock of leases.
    until_ns: u64,
    sent_ns: u64,
    repeated_ns: u64,
    is_repeat_due: bool,
    is_prompt: bool,
    slices: IdMap<ActiveSlice>,
    counts: IdMap<ActiveCount>,
    chunks: IdMap<ActiveChunk>,
    /// Limits that are looked at at every poll.
    hurried: BTreeSet<u64>,
    /// Shares of limits that the index does not know yet.
    unknown: IdMap<SliceGrantV1>,
    /// When the last session ended, on the clock of leases; 0 before.
    lapsed_ns: u64,
    /// Until when a session that was never had is on its way, on the clock of leases.
    hoped_ns: Option<u64>,
    /// Specifications whose buckets may have been used before this session.
    may_be_spent: Vec<u32>,
    draft: ReportV1,
}

impl Session {
    pub(super) fn new(ledger: usize) -> Self {
        Self {
            ledger,
            epoch: 0,
            epoch_seen: 0,
            term: 0,
            unit: 0,
            holders: 0,
            day: 0,
            until_ns: 0,
            sent_ns: 0,
            repeated_ns: 0,
            is_repeat_due: false,
            is_prompt: false,
            slices: IdMap::default(),
            counts: IdMap::default(),
            chunks: IdMap::default(),
            hurried: BTreeSet::new(),
            unknown: IdMap::default(),
            lapsed_ns: 0,
            hoped_ns: None,
            may_be_spent: Vec::new(),
            draft: ReportV1::default(),
        }
    }

    pub(super) fn ledger(&self) -> usize {
        self.ledger
    }

    pub(super) fn is_open(&self) -> bool {
        self.epoch != 0
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.hurried.is_empty()
            || self.is_prompt
            || self.is_repeat_due
            || self.slices.values().any(|slice| !slice.is_explicit())
    }

    pub(super) fn repeat(&mut self) {
        self.is_repeat_due = true;
    }

    /// Takes a new index over: limits that are gone give back what they held, the others follow their numbers.
    pub(super) fn adopt(&mut self, before: &Index, may_be_spent: bool, ground: &mut Ground<'_>) {
        let mine = |described: &Described| described.ledger == self.ledger;
        let places: Vec<(u32, Described)> = ground
            .index
            .specs()
            .filter(|(_, described)| mine(described))
            .map(|(place, d)| (place, *d))
            .collect();
        for (place, described) in &places {
            let old = before.described(*place).copied();
            if old == Some(*described) {
                continue;
            }
            if may_be_spent && old.is_none() {
                self.may_be_spent.push(*place);
            }
            if old.is_none()
                && let Some(spec) = ground.bank.specs.get(*place)
            {
                spec.set_floor(0);
            }
            ground.bank.describe(*place, &described.spec, self.ledger, self.terms(&described.spec, ground));
        }
        let limits: Vec<u64> =
            self.slices.keys().chain(self.counts.keys()).chain(self.chunks.keys()).copied().collect();
        for limit in limits {
            self.follow(limit, ground);
        }
        if !self.is_open() && !before.uses(self.ledger) && ground.index.uses(self.ledger) {
            // The first limits of a ledger are usable as soon as it has answered, which requests may wait for.
            self.hoped_ns = Some(ground.now.boot_ns.saturating_add(JOIN_HOPE_NS));
            ground.bank.connect(self.ledger, true);
        }
        for (limit, grant) in std::mem::take(&mut self.unknown) {
            self.open_slice(limit, &grant, ground);
        }
    }

    /// Makes one active limit follow its specification.
    fn follow(&mut self, limit: u64, ground: &mut Ground<'_>) {
        let found = LimitId::new(limit).and_then(|id| ground.index.find(id));
        let spec = found.and_then(|(_, place)| ground.index.described(place)).map(|described| described.spec);
        let (Some((cell, _)), Some(spec)) = (found, spec) else {
            self.forget(limit, ground);
            return;
        };
        let even = (!self.is_open()).then(|| self.even_among(ground));
        if let Some(slice) = self.slices.get_mut(&limit) {
            slice.respecify(spec, ground);
        }
        if let Some(count) = self.counts.get_mut(&limit)
            && *count.spec() != spec
        {
            let old = counts::bucket(count.spec(), even);
            count.respecify(spec, old, counts::bucket(&spec, even), ground);
        }
        if let Some(chunk) = self.chunks.get_mut(&limit) {
            if chunk.cell() != cell {
                chunk.move_to(cell, ground);
            }
            chunk.respecify(spec, ground);
        }
    }

    fn forget(&mut self, limit: u64, ground: &mut Ground<'_>) {
        if let Some(mut slice) = self.slices.remove(&limit) {
            let (unit, debt) = self.default_of(slice.spec(), ground);
            slice.make_implicit(unit, debt, Fill::Keep(0.0), ground);
            slice.release(ground);
        }
        if let Some(count) = self.counts.remove(&limit) {
            count.release(ground);
        }
        if let Some(mut chunk) = self.chunks.remove(&limit) {
            self.draft.chunks.extend(chunk.give_back(limit, ground));
            chunk.release(ground);
            self.is_prompt = true;
        }
    }

    /// Looks at a cell that was marked.
    pub(super) fn wake(&mut self, cell: u32, is_urgent: bool, ground: &mut Ground<'_>) {
        let Some(entry) = ground.index.entry(cell) else { return };
        let Some(key) = entry.key else { return };
        for place in [entry.rate(), entry.quota()].into_iter().flatten() {
            let Some(Described { spec, ledger, .. }) = ground.index.described(place).copied() else {
                continue;
            };
            if ledger != self.ledger {
                continue;
            }
            let limit = key.name.limit_over(spec.kind, spec.scope).number();
            match spec.kind {
                _ if spec.is_blocked() => {}
                Kind::Slice | Kind::StrictSlice => {
                    let (unit, debt) = self.default_of(&spec, ground);
                    let begin = || ActiveSlice::asked(cell, spec, unit, debt, ground);
                    let slice = self.slices.entry(limit).or_insert_with(begin);
                    if is_urgent && self.epoch != 0 && slice.is_starving(ground) {
                        self.draft.slices.push(slice.ask(limit, ground));
                        self.is_prompt = true;
                    }
                }
                Kind::Count => {
                    let count =
                        self.counts.entry(limit).or_insert_with(|| ActiveCount::begin(cell, spec, ground));
                    if count.is_hurried(ground) {
                        self.hurried.insert(limit);
                    }
                }
                Kind::Pool | Kind::Quota(_) => {
                    let day = self.day;
                    let begin = || ActiveChunk::begin(cell, spec, day, ground);
                    let _chunk = self.chunks.entry(limit).or_insert_with(begin);
                    self.hurried.insert(limit);
                }
            }
        }
    }

    /// What is due now; `is_time` every tenth of a second, when demand is measured.
    pub(super) fn work(&mut self, is_time: bool, ground: &mut Ground<'_>) {
        if is_time {
            self.measure(ground);
        }
        let hurried = std::mem::take(&mut self.hurried);
        if !self.is_open() {
            self.hurried = hurried;
            return;
        }
        for limit in hurried {
            if let Some(count) = self.counts.get_mut(&limit) {
                let report = count.hurry(limit, ground);
                self.is_prompt |= report.is_some();
                self.draft.counts.extend(report);
                if count.is_hurried(ground) {
                    self.hurried.insert(limit);
                }
            }
            if let Some(chunk) = self.chunks.get_mut(&limit) {
                let report = chunk.hurry(limit, ground);
                self.is_prompt |= report.is_some();
                self.draft.chunks.extend(report);
            }
        }
    }

    fn measure(&mut self, ground: &mut Ground<'_>) {
        let Self { slices, counts, chunks, draft, .. } = self;
        slices.retain(|limit, slice| {
            draft.slices.extend(slice.measure(*limit, ground));
            let is_idle = slice.is_idle(ground);
            if is_idle {
                slice.release(ground);
            }
            !is_idle
        });
        counts.retain(|limit, count| {
            draft.counts.extend(count.measure(*limit, ground));
            let is_idle = count.is_idle(ground);
            if is_idle {
                count.release(ground);
            }
            !is_idle
        });
        chunks.retain(|limit, chunk| {
            draft.chunks.extend(chunk.measure(*limit, ground));
            let is_idle = chunk.is_idle(ground);
            if is_idle {
                chunk.release(ground);
            }
            !is_idle
        });
        if !self.is_open() {
            self.clear_draft();
        }
    }

    fn clear_draft(&mut self) {
        self.draft.slices.clear();
        self.draft.counts.clear();
        self.draft.chunks.clear();
    }

    /// The report to send now, if any.
    pub(super) fn report(&mut self, identity: Identity, ground: &mut Ground<'_>) -> Option<ReportV1> {
        if !ground.index.uses(self.ledger) {
            return None;
        }
        let now = ground.now.now_ns;
        let quiet_ns = now.saturating_sub(self.sent_ns);
        let is_due = match self.is_open() {
            false => quiet_ns >= JOIN_EVERY_NS || self.sent_ns == 0,
            true => {
                let is_empty = self.draft.slices.is_empty()
                    && self.draft.counts.is_empty()
                    && self.draft.chunks.is_empty();
                !is_empty || self.is_repeat_due || quiet_ns >= ground.timing.keepalive_ns
            }
        };
        if !is_due {
            return None;
        }
        if self.is_open() && (self.is_repeat_due || now.saturating_sub(self.repeated_ns) >= REPEAT_EVERY_NS) {
            self.say_everything(ground);
        }
        self.sent_ns = now.max(1);
        let mut report = self.take_draft();
        report.holder = identity.holder;
        report.incarnation = identity.incarnation;
        (report.epoch, report.epoch_seen, report.term) = (self.epoch, self.epoch_seen, self.term);
        report.sent_ns = ground.now.boot_ns.max(1);
        if !self.is_open() {
            report.slices.clear();
            report.counts.clear();
            report.chunks.clear();
        }
        Some(report)
    }

    /// What is to be said, as far as it fits into one message; the rest follows with the next poll. Everything has been said only
    /// with the last part of it.
    fn take_draft(&mut self) -> ReportV1 {
        let draft = &mut self.draft;
        let mut room = LEDGER_REPORT_ITEMS_MAX;
        let slices = first(&mut draft.slices, &mut room);
        let counts = first(&mut draft.counts, &mut room);
        let chunks = first(&mut draft.chunks, &mut room);
        self.is_prompt = !(draft.slices.is_empty() && draft.counts.is_empty() && draft.chunks.is_empty());
        let full = draft.full && !self.is_prompt;
        draft.full &= self.is_prompt;
        ReportV1 { full, slices, counts, chunks, ..ReportV1::default() }
    }

    /// Everything that a leader which has heard nothing has to know, or only what it may not have heard since the last time.
    fn say_everything(&mut self, ground: &Ground<'_>) {
        let since_ns = if self.is_repeat_due { 0 } else { self.repeated_ns.saturating_sub(REPEAT_EVERY_NS) };
        (self.repeated_ns, self.is_repeat_due) = (ground.now.now_ns, false);
        let Self { slices, counts, chunks, draft, .. } = self;
        draft.full = true;
        draft.slices = slices.iter_mut().filter_map(|(limit, slice)| slice.repeat(*limit, ground)).collect();
        let said: BTreeSet<u64> = draft.counts.iter().map(|count| count.limit).collect();
        let others = counts.iter().filter(|(limit, _)| !said.contains(limit));
        draft.counts.extend(others.filter_map(|(limit, count)| count.repeat(*limit)));
        let chunks = chunks.iter_mut().filter(|(_, chunk)| chunk.may_be_unheard(since_ns));
        draft.chunks.extend(chunks.filter_map(|(limit, chunk)| chunk.repeat(*limit, ground)));
    }

    /// Gives everything back, for good.
    pub(super) fn retire(&mut self, identity: Identity, ground: &mut Ground<'_>) -> Option<ReportV1> {
        if !self.is_open() {
            return None;
        }
        self.clear_draft();
        let Self { chunks, counts, draft, .. } = self;
        draft.chunks.extend(chunks.iter_mut().filter_map(|(limit, chunk)| chunk.give_back(*limit, ground)));
        draft.counts.extend(counts.iter_mut().filter_map(|(limit, count)| count.measure(*limit, ground)));
        self.is_repeat_due = false;
        self.repeated_ns = ground.now.now_ns;
        self.sent_ns = 0;
        let report = self.report(identity, ground);
        ground.bank.extend(self.ledger, 0);
        report
    }

    /// Takes a grant in.
    pub(super) fn take_in(&mut self, identity: Identity, grant: &GrantV1, ground: &mut Ground<'_>) {
        let until_ns = if grant.echo_ns == 0 { 0 } else { grant.echo_ns.saturating_add(grant.lease_ns) };
        if let Some(open) = &grant.open
            && open.incarnation == identity.incarnation
            && grant.epoch > self.epoch_seen
            && until_ns > ground.now.boot_ns
        {
            self.open(grant, open, ground);
        }
        if grant.epoch == 0 || grant.epoch != self.epoch {
            return;
        }
        if grant.reopen {
            self.lapse(ground);
            self.sent_ns = 0;
            return;
        }
        if until_ns > self.until_ns {
            self.until_ns = until_ns;
            ground.bank.extend(self.ledger, until_ns);
        }
        if grant.term > self.term {
            self.term = grant.term;
            self.is_repeat_due = true;
            self.counts.values_mut().for_each(|count| count.begin_term(ground));
        }
        self.learn_day(grant.day, ground);
        self.holders = self.among(grant, ground);
        for slice in &grant.slices {
            self.take_slice_in(slice, ground);
        }
        for level in &grant.levels {
            if let Some(count) = self.counts.get_mut(&level.limit) {
                count.take_in(level, ground);
            }
        }
        for granted in &grant.chunks {
            if let Some(chunk) = self.chunks.get_mut(&granted.limit) {
                chunk.take_in(granted, ground);
                self.draft.chunks.extend(chunk.acknowledge(granted.limit, ground));
                self.is_prompt = true;
            }
        }
    }

    fn take_slice_in(&mut self, grant: &SliceGrantV1, ground: &mut Ground<'_>) {
        if !self.slices.contains_key(&grant.limit) {
            let Some((cell, spec)) = self.own(grant.limit, ground) else {
                self.unknown.insert(grant.limit, *grant);
                return;
            };
            let (unit, debt) = self.default_of(&spec, ground);
            self.slices.insert(grant.limit, ActiveSlice::granted(cell, spec, unit, debt, ground));
        }
        if let Some(slice) = self.slices.get_mut(&grant.limit) {
            let debt = slices::debt(slice.spec(), self.holders, ground.timing.debt);
            slice.take_in(grant, (self.unit, debt), ground);
            self.draft.slices.extend(slice.acknowledge(grant.limit, ground));
            self.is_prompt = true;
        }
    }

    fn learn_day(&mut self, day: u32, ground: &mut Ground<'_>) {
        if day <= self.day {
            return;
        }
        self.day = day;
        let Self { chunks, draft, .. } = self;
        draft.chunks.extend(chunks.iter_mut().filter_map(|(limit, chunk)| chunk.roll(*limit, day, ground)));
    }

    fn describe_all(&self, ground: &Ground<'_>) {
        for (place, described) in
            ground.index.specs().filter(|(_, described)| described.ledger == self.ledger)
        {
            ground.bank.describe(place, &described.spec, self.ledger, self.terms(&described.spec, ground));
        }
    }

    /// The share and the debt of a limit that is not managed.
    fn default_of(&self, spec: &Spec, ground: &Ground<'_>) -> (u32, f64) {
        if self.is_open() {
            return (self.unit, slices::debt(spec, self.holders, ground.timing.debt));
        }
        match spec.isolated {
            _ if spec.needs_lease() => (0, 0.0),
            Isolated::Even => (WHOLE / self.even_among(ground), 0.0),
            Isolated::Last if self.unit > 0 => (self.unit, 0.0),
            Isolated::Last => (WHOLE / self.even_among(ground), 0.0),
            Isolated::Closed => (0, 0.0),
        }
    }

    fn even_among(&self, ground: &Ground<'_>) -> u32 {
        self.holders.max(self.configured(ground))
    }

    fn configured(&self, ground: &Ground<'_>) -> u32 {
        u32::try_from(ground.index.holders().of(scope_of(self.ledger))).unwrap_or(u32::MAX)
    }

    /// Nodes that share its limits: a region's part knows only those of the region.
    fn among(&self, grant: &GrantV1, ground: &Ground<'_>) -> u32 {
        if self.ledger < PART { grant.holders.max(1) } else { grant.holders.max(self.configured(ground)) }
    }

    /// Cell and specification of a limit that it has from this ledger.
    fn own(&self, limit: u64, ground: &Ground<'_>) -> Option<(u32, Spec)> {
        let (cell, place) = LimitId::new(limit).and_then(|id| ground.index.find(id))?;
        let described = ground.index.described(place)?;
        (described.ledger == self.ledger).then_some((cell, described.spec))
    }

    /// The terms of cells that have none of their own.
    fn terms(&self, spec: &Spec, ground: &Ground<'_>) -> Terms {
        let slice = match spec.kind {
            Kind::Slice | Kind::StrictSlice => {
                let (share, debt) = self.default_of(spec, ground);
                Slice::of(spec.rate, spec.burst, share, debt)
            }
            Kind::Count if self.is_open() => counts::bucket(spec, None),
            Kind::Count if spec.isolated == Isolated::Closed => return Terms::CLOSED,
            Kind::Count => counts::bucket(spec, Some(self.even_among(ground))),
            Kind::Pool | Kind::Quota(_) => return Terms::CLOSED,
        };
        slice.terms
    }

    pub(super) fn share(&self, limit: LimitId, now: Now) -> u32 {
        if !self.is_open() || now.boot_ns >= self.until_ns {
            return 0;
        }
        self.slices.get(&limit.number()).map_or(self.unit, ActiveSlice::share)
    }

    pub(super) fn tokens(&self, limit: LimitId, bank: &crate::bank::Bank) -> u64 {
        self.chunks.get(&limit.number()).map_or(0, |chunk| chunk.left(bank.cells.get(chunk.cell())))
    }
}

/// Takes what there is room for.
fn first<T>(all: &mut Vec<T>, room: &mut usize) -> Vec<T> {
    let rest = all.split_off(all.len().min(*room));
    let taken = std::mem::replace(all, rest);
    *room -= taken.len();
    taken
}
