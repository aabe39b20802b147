//! The leader's half of a shard: hears reports, decides what to grant, and writes it as commands. Volatile: a new leader begins
//! with nothing but the ledger, and needs nothing else to be safe. Pure: it is ticked with the time.
//!
//! Nothing leaves before a majority has agreed: a tick proposes at most one command, or asks for a round of confirmation, and
//! the answers are made of the ledger as it is after that.

mod capital;
mod counts;
mod escrow;
mod sessions;
mod slices;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tidegate_proto::{
    ledger::{
        BusyV1, ChangeV1, ChunkGrantV1, CommandV1, GrantV1, LevelGrantV1, ReportV1, SliceGrantV1, UsedV1,
    },
    limits::LEDGER_CHANGES_MAX,
};

use crate::{
    busy,
    ids::IdMap,
    index::Index,
    ledger::Ledger,
    limit::{GLOBAL, Kind, LimitId, PART, is_region},
    timing::{MS, Timing},
};
use capital::{Capital, Upward};
use counts::CountDesk;
use escrow::EscrowDesk;
use sessions::Watch;
use slices::SliceDesk;

/// A holder that has not spoken of a limit for this long asks for nothing: what it uses it tells every second.
const SILENT_NS: u64 = 3_000 * MS;

/// What a tick asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    /// To be agreed on; the answers wait for it.
    pub command: Option<CommandV1>,
    /// Without a command: whether a majority has to confirm that this leader still leads, before answers may leave.
    pub confirm: bool,
}

/// The leader of a shard.
#[derive(Debug)]
pub struct Keeper {
    number: usize,
    term: u64,
    timing: Timing,
    started_ns: u64,
    /// When a session last ended, and its default share of every limit became free with nobody knowing what it had used.
    freed_ns: u64,
    watches: BTreeMap<u64, Watch>,
    slices: IdMap<SliceDesk>,
    counts: IdMap<CountDesk>,
    escrows: IdMap<EscrowDesk>,
    dirty: Vec<u64>,
    sequence: u64,
    saved_ns: u64,
    /// When the levels that the ledger has were saved, or later.
    levels_ns: u64,
    mail: BTreeMap<u64, Mail>,
    /// In a region's part: its side towards the ledger of all regions.
    capital: Option<Capital>,
}

/// A region, and the node that speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// See [`crate::region_holder`].
    pub holder: u64,
    /// The node.
    pub node: u64,
}

/// What a holder is told after this tick.
#[derive(Debug, Default)]
struct Mail {
    slices: Vec<u64>,
    levels: Vec<LevelGrantV1>,
    /// Limit, and whether it is called back and exhausted.
    chunks: Vec<(u64, bool, bool)>,
    is_open: bool,
    reopen: Option<u64>,
}

/// What the parts of a keeper decide with.
struct Bench<'a> {
    number: usize,
    now_ns: u64,
    timing: &'a Timing,
    ledger: &'a Ledger,
    changes: &'a mut Vec<ChangeV1>,
    mail: &'a mut BTreeMap<u64, Mail>,
}

impl Keeper {
    /// A leader of ledger `number` that has just been elected for `term` and has applied everything before it.
    pub fn new(number: usize, term: u64, ledger: &Ledger, now_ns: u64, timing: Timing) -> Self {
        let watch = |holder: &u64| (*holder, Watch::begin(now_ns));
        let started =
            |rows: &IdMap<Vec<_>>| rows.keys().map(|limit| (*limit, SliceDesk::inherited(now_ns))).collect();
        let pools = ledger.pools.keys().map(|limit| (*limit, EscrowDesk::inherited(now_ns)));
        let mut keeper = Self {
            number,
            term,
            timing: timing.towards(number),
            started_ns: now_ns,
            freed_ns: now_ns,
            watches: ledger.sessions.keys().map(watch).collect(),
            slices: started(&ledger.slices),
            counts: IdMap::default(),
            escrows: pools.collect(),
            dirty: Vec::new(),
            // A leader that begins again in the same term goes on above what it said before.
            sequence: now_ns,
            saved_ns: now_ns,
            levels_ns: now_ns,
            mail: BTreeMap::new(),
            capital: None,
        };
        let mut inherited: Vec<u64> = ledger.slices.keys().copied().collect();
        inherited.sort_unstable();
        inherited.into_iter().for_each(|limit| keeper.touch(limit));
        keeper
    }

    /// With the time when this node applied the levels of counted limits that an earlier leader saved, on the clock of leases: they have
    /// filled since then at least.
    #[must_use]
    pub fn with_levels_since(self, levels_ns: u64) -> Self {
        Self { levels_ns, ..self }
    }

    /// With what an earlier keeper of the same term has counted: holders do not know that another one counts now.
    #[must_use]
    pub fn after(mut self, earlier: &mut Self) -> Self {
        if earlier.term == self.term {
            self.counts = std::mem::take(&mut earlier.counts);
            self.counts.values_mut().for_each(CountDesk::resume);
        }
        self
    }

    /// The same, for a region's part of the limits that span regions.
    pub fn of_part(region: Region, term: u64, ledger: &Ledger, now_ns: u64, timing: Timing) -> Self {
        let mut keeper = Self::new(PART, term, ledger, now_ns, timing);
        for whole in ledger.granted_wholes() {
            keeper.slices.entry(whole.limit).or_insert_with(|| SliceDesk::inherited(now_ns));
        }
        let timing = timing.towards(GLOBAL);
        keeper.capital = Some(Capital::new(region, term, ledger, timing));
        keeper
    }

    /// Takes in what the ledger of all regions grants to the region.
    pub fn take_grant(&mut self, now_ns: u64, grant: &GrantV1, ledger: &Ledger) {
        if let Some(capital) = &mut self.capital {
            capital.take_in(now_ns, grant, ledger);
        }
    }

    /// What the region has to say to the ledger of all regions. To be asked for after every tick, by a leader whose tick was
    /// agreed on.
    pub fn report(&mut self, now_ns: u64, ledger: &Ledger, index: &Index) -> Option<ReportV1> {
        let is_settled = self.may_shrink(now_ns, ledger);
        let Self { capital, slices, .. } = self;
        capital.as_mut()?.report(Upward { now_ns, is_settled, ledger, index }, slices)
    }

    /// What the region said did not arrive.
    pub fn lost(&mut self) {
        if let Some(capital) = &mut self.capital {
            capital.repeat();
        }
    }

    /// Whether enough is known to take something away from a holder that did not say that it needs it.
    fn may_shrink(&self, now_ns: u64, ledger: &Ledger) -> bool {
        sessions::are_heard(&self.watches, ledger)
            || now_ns.saturating_sub(self.started_ns) > self.timing.resend_ns * 2
    }

    /// The term it leads in.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Hears a report.
    pub fn take_in(&mut self, now_ns: u64, report: &ReportV1, ledger: &Ledger, index: &Index) {
        let watch = self.watches.entry(report.holder).or_insert_with(|| Watch::begin(now_ns));
        if !watch.hear(now_ns, report, ledger) {
            return;
        }
        for news in &report.slices {
            if let Some(spec) = known(index, news.limit) {
                // A limit that is younger than the youngest session is untouched.
                let is_new = index.since(news.limit).is_some_and(|since_ns| since_ns > self.freed_ns);
                let since_ns = (!is_new).then_some(self.freed_ns);
                let desk =
                    self.slices.entry(news.limit).or_insert_with(|| SliceDesk::fresh(now_ns, since_ns));
                desk.hear(now_ns, report, news, &spec, ledger);
                self.touch(news.limit);
            }
        }
        // Who does not know yet that another leader counts will say what that one needs not count.
        let counts = if report.term == self.term { report.counts.as_slice() } else { &[] };
        for news in counts {
            if let Some(spec) = known(index, news.limit) {
                let saved = ledger.levels.get(&news.limit).map(|level| (*level, self.levels_ns));
                let desk =
                    self.counts.entry(news.limit).or_insert_with(|| CountDesk::begin(now_ns, &spec, saved));
                if desk.hear(now_ns, (report.holder, report.incarnation), news, &spec) {
                    self.touch(news.limit);
                }
            }
        }
        for news in &report.chunks {
            if known(index, news.limit).is_some() {
                let desk = self.escrows.entry(news.limit).or_insert_with(|| EscrowDesk::fresh(now_ns));
                desk.hear(now_ns, report, news);
                self.touch(news.limit);
            }
        }
    }

    fn touch(&mut self, limit: u64) {
        let is_dirty = self
            .slices
            .get_mut(&limit)
            .map(|desk| &mut desk.is_dirty)
            .or_else(|| self.counts.get_mut(&limit).map(|desk| &mut desk.is_dirty))
            .or_else(|| self.escrows.get_mut(&limit).map(|desk| &mut desk.is_dirty));
        if let Some(is_dirty) = is_dirty
            && !std::mem::replace(is_dirty, true)
        {
            self.dirty.push(limit);
        }
    }

    /// Whether something waits for the next tick.
    pub fn is_busy(&self) -> bool {
        !self.dirty.is_empty()
            || self.watches.values().any(Watch::is_waiting)
            || self.capital.as_ref().is_some_and(Capital::is_busy)
    }

    /// Decides. To be called every ten to twenty milliseconds, one tick at a time: not before the command or confirmation of
    /// the one before has come back. `today` is the leader's own idea of the day, in days since 1970-01-01.
    pub fn tick(&mut self, now_ns: u64, ledger: &Ledger, index: &Index, today: u32) -> Tick {
        let mut changes = Vec::new();
        if today > ledger.day() {
            changes.push(ChangeV1::Day { day: today });
        }
        self.mail.clear();
        self.turn_to_session(now_ns, ledger);
        let (allotment, may_shrink) =
            (self.allotment(now_ns, ledger, index), self.may_shrink(now_ns, ledger));
        let Self { number, timing, watches, slices, counts, escrows, mail, capital, .. } = self;
        let mut bench = Bench { number: *number, now_ns, timing, ledger, changes: &mut changes, mail };
        sessions::tend(watches, allotment, &mut bench);
        // A session that is the first of its holder takes its share out of what nobody has used; one that ends leaves a share of
        // which nobody knows what was used.
        let ends = |change: &ChangeV1| match change {
            ChangeV1::Open { replaces, .. } => *replaces != 0,
            other => matches!(other, ChangeV1::Close { .. }),
        };
        if bench.changes.iter().any(ends) {
            self.freed_ns = now_ns;
        }
        // Their shares are worked out when the ledger knows what the region has.
        let mut moved = Vec::new();
        if let Some(capital) = capital {
            moved = capital.tend(slices, index, &mut bench);
        }
        let (mut left, mut dirty) = (Vec::new(), std::mem::take(&mut self.dirty));
        if capital.is_some() {
            for (limit, desk) in slices.iter_mut() {
                let is_new = desk.take_hurry() && !std::mem::replace(&mut desk.is_dirty, true);
                dirty.extend(is_new.then_some(*limit));
            }
        }
        for limit in dirty {
            if bench.changes.len() >= LEDGER_CHANGES_MAX || moved.binary_search(&limit).is_ok() {
                left.push(limit);
                continue;
            }
            let Some(spec) = known(index, limit) else {
                forget(limit, slices, counts, escrows, &mut bench);
                continue;
            };
            let stays = match spec.kind {
                Kind::Slice | Kind::StrictSlice => {
                    slices.get_mut(&limit).is_some_and(|desk| desk.tend(limit, &spec, may_shrink, &mut bench))
                }
                Kind::Count => {
                    self.sequence += 1;
                    counts
                        .get_mut(&limit)
                        .is_some_and(|desk| desk.tend(limit, &spec, self.sequence, &mut bench))
                }
                Kind::Pool | Kind::Quota(_) => {
                    escrows.get_mut(&limit).is_some_and(|desk| desk.tend(limit, &spec, &mut bench))
                }
            };
            if stays { left.push(limit) } else { settle_down(limit, slices, counts, escrows) }
        }
        self.dirty = left;
        if now_ns.saturating_sub(self.saved_ns) >= 1_000_000_000 {
            self.saved_ns = now_ns;
            self.look_after_all(now_ns, ledger, index, &mut changes);
        }
        self.tick_of(changes)
    }

    /// With a new session of the region everything begins anew: what its nodes had was given back before.
    fn turn_to_session(&mut self, now_ns: u64, ledger: &Ledger) {
        let Some(capital) = &mut self.capital else { return };
        if !capital.turn_to(ledger) {
            return;
        }
        self.freed_ns = now_ns;
        let inherited = |limit: u64| (limit, SliceDesk::inherited(now_ns));
        self.slices = ledger.granted_wholes().map(|whole| inherited(whole.limit)).collect();
        self.dirty.clear();
    }

    /// What sessions are given at this moment.
    fn allotment(&self, now_ns: u64, ledger: &Ledger, index: &Index) -> sessions::Allotment {
        let regions = ledger.sessions.keys().filter(|holder| is_region(**holder)).count();
        let nodes = ledger.sessions.len() - regions;
        let (holders, implicit) = (index.holders(), self.timing.implicit);
        let node = match self.number {
            GLOBAL => 0,
            _ => sessions::even(ledger.unit(), implicit, nodes.max(holders.region)),
        };
        sessions::Allotment {
            node,
            region: sessions::even(ledger.unit(), implicit, regions.max(holders.regions)),
            is_open: self.capital.as_ref().is_none_or(|capital| capital.lease_ns(now_ns) > 0),
            is_closing: self.capital.as_ref().is_some_and(Capital::is_leaving),
        }
    }

    fn tick_of(&mut self, changes: Vec<ChangeV1>) -> Tick {
        self.watches.values_mut().for_each(Watch::prepare);
        let is_mail = !self.mail.is_empty() || self.watches.values().any(Watch::is_due);
        let command = (!changes.is_empty()).then_some(CommandV1 { changes });
        Tick { confirm: is_mail && command.is_none(), command }
    }

    /// Once a second: levels are saved, and what has gone quiet is put away.
    fn look_after_all(&mut self, now_ns: u64, ledger: &Ledger, index: &Index, changes: &mut Vec<ChangeV1>) {
        self.counts.retain(|limit, desk| match known(index, *limit) {
            Some(spec) => {
                changes.extend(desk.save(*limit, now_ns, &spec, ledger));
                !desk.is_idle(now_ns, &spec)
            }
            None => false,
        });
        let quiet: Vec<u64> =
            self.slices.iter().filter(|(_, desk)| desk.is_quiet(now_ns)).map(|(limit, _)| *limit).collect();
        for limit in quiet {
            if ledger.slices.contains_key(&limit) || ledger.granted_whole(limit).is_some() {
                self.touch(limit);
            } else {
                self.slices.remove(&limit);
            }
        }
        let unsaid: Vec<u64> =
            self.escrows.iter().filter(|(_, desk)| desk.is_unsaid(now_ns)).map(|(limit, _)| *limit).collect();
        unsaid.into_iter().for_each(|limit| self.touch(limit));
        let gone = |limit: &&u64| known(index, **limit).is_none();
        let wholes = ledger.granted_wholes().map(|whole| &whole.limit);
        let wholes = wholes.filter(|limit| !ledger.slices.contains_key(limit));
        changes.extend(
            ledger
                .pools
                .keys()
                .chain(ledger.quotas.keys())
                .chain(wholes)
                .filter(gone)
                .take(1_024)
                .map(|limit| ChangeV1::Forget { limit: *limit }),
        );
        self.dirty.retain(|limit| {
            self.slices.contains_key(limit)
                || self.counts.contains_key(limit)
                || self.escrows.contains_key(limit)
        });
    }

    /// The answers of the last tick, once its command is applied or its confirmation has come back: each with the node that it is
    /// for.
    pub fn answers(&mut self, now_ns: u64, ledger: &Ledger) -> Vec<(u64, GrantV1)> {
        let mail = std::mem::take(&mut self.mail);
        let mut holders: Vec<u64> = mail.keys().copied().collect();
        holders.extend(self.watches.iter().filter(|(_, watch)| watch.is_due()).map(|(holder, _)| *holder));
        holders.sort_unstable();
        holders.dedup();
        let nothing = Mail::default();
        holders
            .into_iter()
            .filter_map(|holder| {
                let grant = self.grant(now_ns, holder, mail.get(&holder).unwrap_or(&nothing), ledger)?;
                let to = self.watches.get(&holder)?.address(holder)?;
                Some((to, grant))
            })
            .collect()
    }

    fn grant(&mut self, now_ns: u64, holder: u64, mail: &Mail, ledger: &Ledger) -> Option<GrantV1> {
        let watch = self.watches.get_mut(&holder)?;
        let rank = watch.rank();
        if let Some(epoch) = mail.reopen {
            return Some(GrantV1 { term: self.term, epoch, rank, reopen: true, ..GrantV1::default() });
        }
        // No lease of a region's nodes outlasts the region's own.
        let lease_ns = self.capital.as_ref().map_or(u64::MAX, |capital| capital.lease_ns(now_ns));
        let lease_ns = lease_ns.min(self.timing.lease_ns);
        let echo_ns = watch.take_echo();
        let session = ledger.sessions.get(&holder)?;
        let chunk = |(limit, recall, exhausted): &(u64, bool, bool)| {
            escrow::chunk(ledger, *limit, holder).map(|(period, granted)| ChunkGrantV1 {
                limit: *limit,
                period,
                granted,
                recall: *recall,
                exhausted: *exhausted,
            })
        };
        let slice = |limit: &u64| -> Option<SliceGrantV1> { slices::granted(ledger, *limit, holder) };
        Some(GrantV1 {
            term: self.term,
            epoch: session.epoch,
            echo_ns: if lease_ns > 0 { echo_ns } else { 0 },
            lease_ns,
            rank,
            holders: u32::try_from(ledger.sessions.len()).unwrap_or(u32::MAX),
            day: ledger.day,
            open: mail.is_open.then(|| sessions::opening(self.number, ledger, session)),
            reopen: false,
            slices: mail.slices.iter().filter_map(slice).collect(),
            levels: mail.levels.clone(),
            chunks: mail.chunks.iter().filter_map(chunk).collect(),
        })
    }

    /// What has to be written down before what is left of a quota can be set: everything that holders reported of it.
    pub fn unsettled(&self, limit: LimitId, ledger: &Ledger) -> Vec<ChangeV1> {
        self.escrows.get(&limit.number()).map_or_else(Vec::new, |desk| desk.unsettled(limit.number(), ledger))
    }

    /// Use of a quota, with what holders reported and the ledger has not written down yet.
    pub fn used(&self, limit: LimitId, ledger: &Ledger, first_day: u32, last_day: u32) -> Vec<UsedV1> {
        let mut used = ledger.used(limit, first_day, last_day);
        let unsaid = self.escrows.get(&limit.number()).map_or(0, |desk| desk.unsaid(limit.number(), ledger));
        if let Some(today) = used.last_mut().filter(|used| used.day == ledger.day) {
            today.used = today.used.saturating_add(unsaid);
            today.remaining = today.remaining.saturating_sub(unsaid);
        }
        used
    }

    /// The limits with the highest demand, busiest first. Of a million limits only those are described.
    pub fn busiest(&self, now_ns: u64, ledger: &Ledger, index: &Index, count: usize) -> Vec<BusyV1> {
        // What regions share is told by their parts, node by node.
        let slices = self.slices.iter().filter(|_| self.number != GLOBAL);
        let slices = slices.map(|(limit, desk)| (desk.demand(), *limit));
        let counts = self.counts.iter().map(|(limit, desk)| (desk.demand(now_ns), *limit));
        let escrows = self.escrows.iter().map(|(limit, desk)| (desk.demand(now_ns), *limit));
        let busiest = busy::busiest(slices.chain(counts).chain(escrows).collect(), count);
        busiest.into_iter().filter_map(|limit| self.describe(limit, now_ns, ledger, index)).collect()
    }

    fn describe(&self, limit: u64, now_ns: u64, ledger: &Ledger, index: &Index) -> Option<BusyV1> {
        if let Some(desk) = self.slices.get(&limit) {
            return Some(desk.describe(limit, ledger));
        }
        if let Some(desk) = self.counts.get(&limit) {
            return Some(desk.describe(limit, now_ns, &known(index, limit)?));
        }
        self.escrows.get(&limit).map(|desk| desk.describe(limit, now_ns, ledger))
    }
}

impl Bench<'_> {
    fn mail(&mut self, holder: u64) -> &mut Mail {
        self.mail.entry(holder).or_default()
    }
}

/// The specification of a limit of this program.
fn known(index: &Index, limit: u64) -> Option<crate::limit::Spec> {
    LimitId::new(limit).and_then(|id| index.spec(id)).copied()
}

fn settle_down(
    limit: u64,
    slices: &mut IdMap<SliceDesk>,
    counts: &mut IdMap<CountDesk>,
    escrows: &mut IdMap<EscrowDesk>,
) {
    if let Some(desk) = slices.get_mut(&limit) {
        desk.is_dirty = false;
    }
    if let Some(desk) = counts.get_mut(&limit) {
        desk.is_dirty = false;
    }
    if let Some(desk) = escrows.get_mut(&limit) {
        desk.is_dirty = false;
    }
}

/// A limit that is gone from the configuration needs no desk; what it holds in the ledger is cleared once a second.
fn forget(
    limit: u64,
    slices: &mut IdMap<SliceDesk>,
    counts: &mut IdMap<CountDesk>,
    escrows: &mut IdMap<EscrowDesk>,
    bench: &mut Bench<'_>,
) {
    if bench.ledger.slices.contains_key(&limit) {
        bench.changes.push(ChangeV1::Retire { limit });
    }
    slices.remove(&limit);
    counts.remove(&limit);
    escrows.remove(&limit);
}
