//! Shares of large limits: who needs how much, and who gives it up. Owns the judgement; that nothing is given twice is the
//! ledger's rule. What shrinks is free only when its holder has confirmed it.

use tidegate_proto::{
    ledger::{BusyHolderV1, BusyV1, ChangeV1, ReportV1, SliceGrantV1, SliceReportV1, SliceV1, WHOLE},
    limits::LEDGER_MANAGED_MAX,
};

use super::Bench;
use crate::{
    busy::summed,
    ledger::Ledger,
    limit::{GLOBAL, Spec, is_region},
    timing::MS,
};

mod region;

/// A limit that nobody asks for goes back to the default shares after this time.
const QUIET_NS: u64 = 10_000 * MS;
/// Shares below this part of the whole are not worth a message.
const STEP_MIN: f64 = 0.001;

/// What the leader knows of one limit.
#[derive(Debug)]
pub(super) struct SliceDesk {
    pub(super) is_dirty: bool,
    /// Tokens in the part that nobody holds.
    level: f64,
    level_ns: u64,
    is_level_known: bool,
    /// That part, when its tokens were last counted.
    pool: f64,
    /// What a region shall come down to of what it has.
    goal: Option<u32>,
    is_hurried: bool,
    contended: bool,
    calm_ns: u64,
    shrunk_ns: u64,
    asked_ns: u64,
    holders: Vec<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    holder: u64,
    epoch: u64,
    demand: f64,
    refused: f32,
    confirmed: u64,
    returned: u64,
    told_ns: u64,
}

/// One holder while shares are worked out.
#[derive(Clone, Copy, Debug)]
struct Row {
    slice: SliceV1,
    demand: f64,
    is_confirmed: bool,
    /// Told about a version, and when.
    told_ns: u64,
    wanted: f64,
    /// To be written down.
    is_changed: bool,
    /// The holder has to be told.
    is_news: bool,
}

impl Row {
    fn change(&mut self) {
        (self.is_changed, self.is_news) = (true, true);
    }
}

/// All of them.
struct Rows {
    all: Vec<Row>,
    /// What may be shared out among them.
    room: u32,
}

/// What shares are measured by.
#[derive(Clone, Copy)]
struct Scale {
    /// The smallest one.
    least: f64,
    /// All of them.
    whole: f64,
}

impl Rows {
    fn committed(&self) -> u32 {
        self.all.iter().map(|row| row.slice.committed).fold(0, u32::saturating_add)
    }

    /// What nobody may be using.
    fn pool(&self) -> u32 {
        self.room.saturating_sub(self.committed())
    }

    /// What has to be given up.
    fn surplus(&self) -> u32 {
        self.committed().saturating_sub(self.room)
    }
}

impl SliceDesk {
    /// For a limit that is as every other by default. The part that nobody holds fills since `since_ns`: since then nothing
    /// came to it from a holder that may have used it. `None` where nothing ever did: then it is full.
    pub(super) fn fresh(now_ns: u64, since_ns: Option<u64>) -> Self {
        Self {
            is_dirty: false,
            level: if since_ns.is_some() { 0.0 } else { f64::INFINITY },
            level_ns: since_ns.unwrap_or(now_ns).min(now_ns),
            is_level_known: false,
            pool: 0.0,
            goal: None,
            is_hurried: false,
            contended: false,
            calm_ns: now_ns,
            shrunk_ns: 0,
            asked_ns: now_ns,
            holders: Vec::new(),
        }
    }

    /// For a limit that an earlier leader managed: what is left of the part that nobody holds is not known, so nothing is.
    pub(super) fn inherited(now_ns: u64) -> Self {
        Self { is_level_known: true, ..Self::fresh(now_ns, Some(now_ns)) }
    }

    pub(super) fn hear(
        &mut self,
        now_ns: u64,
        report: &ReportV1,
        news: &SliceReportV1,
        spec: &Spec,
        ledger: &Ledger,
    ) {
        let rows = ledger.slices.get(&news.limit);
        let known = rows.and_then(|rows| rows.iter().find(|slice| slice.holder == report.holder));
        let at = self.holders.iter().position(|holder| holder.holder == report.holder);
        let at = at.unwrap_or_else(|| {
            self.holders.push(Holder {
                holder: report.holder,
                epoch: report.epoch,
                demand: 0.0,
                refused: 0.0,
                confirmed: 0,
                returned: known.map_or(0, |slice| slice.returned),
                told_ns: 0,
            });
            self.holders.len() - 1
        });
        let (level, leaving) =
            (self.refill(now_ns, spec, ledger, news.limit), part(untargeted(news.limit, ledger)));
        let Some(holder) = self.holders.get_mut(at) else { return };
        if holder.epoch != report.epoch {
            *holder = Holder { epoch: report.epoch, confirmed: 0, returned: 0, told_ns: 0, ..*holder };
        }
        holder.demand = f64::from(news.demand).max(0.0);
        holder.refused = news.refused.max(0.0);
        holder.confirmed = holder.confirmed.max(news.version);
        if news.returned > holder.returned {
            let back = (news.returned - holder.returned) as f64 / 1e3;
            holder.returned = news.returned;
            self.level = (level + back).min(leaving * spec.burst);
        }
        if holder.demand > 0.0 {
            self.asked_ns = now_ns;
        }
    }

    /// Tokens in the part that nobody holds, at `now_ns`. What came to it since it was last counted accrues from now on only.
    pub(super) fn refill(&mut self, now_ns: u64, spec: &Spec, ledger: &Ledger, limit: u64) -> f64 {
        let is_managed = ledger.slices.contains_key(&limit);
        let pool = part(free(limit, ledger));
        let accruing = if self.is_level_known { self.pool.min(pool) } else { pool };
        let elapsed_s = now_ns.saturating_sub(self.level_ns) as f64 / 1e9;
        let full = pool * spec.burst;
        if self.level == f64::INFINITY {
            self.level = full;
        } else if self.level < full {
            self.level = (self.level + accruing * spec.rate * elapsed_s).min(full);
        } else if !is_managed {
            // A new session took its default share out of it, tokens and all.
            self.level = full;
        }
        self.level_ns = self.level_ns.max(now_ns);
        (self.pool, self.is_level_known) = (pool, true);
        self.level
    }

    /// Works the shares out; whether it has to be looked at again at the next tick.
    pub(super) fn tend(&mut self, limit: u64, spec: &Spec, may_shrink: bool, bench: &mut Bench<'_>) -> bool {
        self.refill(bench.now_ns, spec, bench.ledger, limit);
        let row = bench.ledger.slices.get(&limit);
        let mut rows = Rows { all: self.rows(row, bench), room: self.room(limit, bench.ledger) };
        let has_room = row.is_some() || bench.ledger.slices.len() < LEDGER_MANAGED_MAX;
        if rows.all.is_empty() || !has_room {
            return false;
        }
        confirm(&mut rows.all, bench);
        let demand: f64 = rows.all.iter().map(|row| row.demand).sum();
        let is_quiet = demand <= 0.0 || bench.now_ns.saturating_sub(self.asked_ns) > QUIET_NS;
        // Where a region has less than the default, its nodes cannot have theirs.
        let is_tight = rows.room < bench.ledger.unit();
        let mut again = match () {
            () if is_quiet && !is_tight => row.is_some() && self.wind_down(limit, spec, &mut rows, bench),
            () if is_quiet && rows.surplus() == 0 => false,
            () => self.share_out(spec, &mut rows, may_shrink, bench),
        };
        let rows = rows.all;
        self.emit(limit, row.is_some(), &rows, bench);
        again |= self.tell(limit, &rows, bench);
        again
    }

    /// Every live session with what the ledger and the reports say about it.
    fn rows(&self, row: Option<&Vec<SliceV1>>, bench: &Bench<'_>) -> Vec<Row> {
        // Of what regions share, nodes have nothing from the ledger of all regions.
        let is_of_regions = bench.number == GLOBAL;
        let holders = bench.ledger.sessions.values();
        let sessions = holders.filter(|session| is_region(session.holder) == is_of_regions).map(|session| {
            let by_default = SliceV1 {
                holder: session.holder,
                committed: session.unit,
                target: session.unit,
                implicit: true,
                ..SliceV1::default()
            };
            let nothing = SliceV1 { holder: session.holder, ..SliceV1::default() };
            let slice = match row {
                None => by_default,
                Some(row) => {
                    row.iter().find(|slice| slice.holder == session.holder).copied().unwrap_or(nothing)
                }
            };
            let known =
                self.holders.iter().find(|one| one.holder == session.holder && one.epoch == session.epoch);
            let confirmed = known.map_or(0, |one| one.confirmed);
            Row {
                slice: SliceV1 {
                    returned: known.map_or(slice.returned, |one| one.returned.max(slice.returned)),
                    ..slice
                },
                demand: known.map_or(0.0, |one| one.demand),
                is_confirmed: confirmed >= slice.version,
                told_ns: known.map_or(0, |one| one.told_ns),
                wanted: 0.0,
                is_changed: false,
                is_news: false,
            }
        });
        sessions.collect()
    }

    /// What may be shared out of a limit.
    fn room(&self, limit: u64, ledger: &Ledger) -> u32 {
        ledger.whole(limit).min(self.goal.unwrap_or(u32::MAX))
    }

    /// Shares by need: where all needs fit, those who ask grow and nobody is touched; where not, in proportion to demand, so
    /// that every holder refuses the same part.
    fn share_out(&mut self, spec: &Spec, rows: &mut Rows, may_shrink: bool, bench: &Bench<'_>) -> bool {
        let (count, whole) = (rows.all.len() as f64, part(rows.room));
        let demand = rows.all.iter().map(|row| row.demand).sum::<f64>();
        let least = (1.0 / spec.burst.max(1.0)).min(0.01 / count).min(whole / count);
        let need = |row: &Row| {
            ((bench.timing.headroom * row.demand + 1.5 * row.demand.sqrt()) / spec.rate).max(least)
        };
        let needed: f64 = rows.all.iter().map(need).sum();
        let asked: f64 = rows.all.iter().map(|row| (need(row) - part(row.slice.target)).max(0.0)).sum();
        let (pool, surplus) = (rows.pool(), rows.surplus());
        let is_short = needed > 0.95 * whole;
        self.judge(is_short, needed < 0.8 * whole, bench.now_ns);
        let scale = Scale { least, whole };
        for row in &mut rows.all {
            let need = need(row);
            row.wanted = match () {
                () if is_short => least + (whole - count * least) * row.demand / demand.max(1e-9),
                () if surplus == 0 && asked <= part(pool) => need.max(part(row.slice.target)),
                () => need + (whole - needed) * (0.4 * need / needed + 0.3 / count),
            };
            let is_told = row.slice.contended == self.contended;
            // A holder whose share is about to grow may let requests wait for that; it is told when it has what it will get.
            let is_final = !self.contended || !is_growing(row, scale, bench);
            if !is_told && is_final && row.is_confirmed && (self.contended || row.slice.version > 0) {
                row.slice.contended = self.contended;
                row.change();
            }
        }
        let grown = self.grow(rows, scale, bench);
        let missing = growth(&rows.all, scale, bench) - part(rows.pool());
        if missing <= 1e-6 && surplus == 0 {
            if is_short {
                self.leave_nothing(rows, scale, bench);
            }
            return grown;
        }
        if may_shrink && bench.now_ns.saturating_sub(self.shrunk_ns) >= bench.timing.shrink_ns {
            shrink(&mut rows.all, scale, surplus > 0, bench);
            self.shrunk_ns = bench.now_ns;
        }
        true
    }

    fn judge(&mut self, is_short: bool, is_roomy: bool, now_ns: u64) {
        if is_short {
            (self.contended, self.calm_ns) = (true, now_ns);
        } else if !is_roomy {
            self.calm_ns = self.calm_ns.max(now_ns.saturating_sub(900 * MS));
        } else if now_ns.saturating_sub(self.calm_ns) > 1_000 * MS {
            self.contended = false;
        }
    }

    /// Pays growth out of the part that nobody holds; whether something is still missing.
    fn grow(&mut self, rows: &mut Rows, of: Scale, bench: &Bench<'_>) -> bool {
        let (wanted, pool) = (growth(&rows.all, of, bench), rows.pool());
        if wanted <= 1e-6 || (part(pool) < 0.3 * wanted && part(pool) <= 0.02 * of.whole) {
            return wanted > 1e-6;
        }
        let scale = (part(pool) / wanted).min(1.0);
        self.pay(rows, scale, |row| is_growing(row, of, bench));
        scale < 0.98
    }

    /// Where all needs do not fit and every share is near enough to what its holder should have, something may be over that nobody
    /// holds: it goes to those who should have more.
    fn leave_nothing(&mut self, rows: &mut Rows, of: Scale, bench: &Bench<'_>) {
        let pool = part(rows.pool());
        let is_settled = rows.all.iter().all(|row| row.is_confirmed && !row.is_changed);
        if !is_settled || pool <= STEP_MIN * of.whole || growth(&rows.all, of, bench) > 1e-6 {
            return;
        }
        let missing: f64 = rows.all.iter().map(|row| (row.wanted - part(row.slice.target)).max(0.0)).sum();
        if missing > 0.0 {
            self.pay(rows, (pool / missing).min(1.0), |row| row.wanted > part(row.slice.target));
        }
    }

    /// Gives those who `grow` this part of what they miss, with the tokens that go along, out of what nobody holds.
    fn pay(&mut self, rows: &mut Rows, scale: f64, grow: impl Fn(&Row) -> bool) {
        let mut left = rows.pool();
        for row in rows.all.iter_mut().filter(|row| grow(row)) {
            let more = (((row.wanted - part(row.slice.target)) * scale * f64::from(WHOLE)) as u32).min(left);
            if more < 16 {
                continue;
            }
            let along = if self.level > 0.0 { self.level * f64::from(more) / f64::from(left) } else { 0.0 };
            self.level -= along;
            left -= more;
            row.slice.target += more;
            row.slice.committed = row.slice.committed.max(row.slice.target);
            row.slice.tokens += (along * 1e3) as u64;
            row.slice.implicit = false;
            row.change();
        }
    }

    /// Brings every share back to the default; whether that goes on.
    fn wind_down(&mut self, limit: u64, spec: &Spec, rows: &mut Rows, bench: &mut Bench<'_>) -> bool {
        self.contended = false;
        let unit = |holder: u64| bench.ledger.sessions.get(&holder).map_or(0, |session| session.unit);
        let mut is_done = true;
        for at in 0..rows.all.len() {
            let left = rows.pool();
            let Some(row) = rows.all.get_mut(at) else { continue };
            let unit = unit(row.slice.holder);
            let is_default = row.slice.implicit && row.slice.target == unit && row.slice.committed == unit;
            is_done &= is_default && row.is_confirmed && !row.is_changed;
            if is_default || !row.is_confirmed || row.slice.implicit && row.slice.target == unit {
                continue;
            }
            if unit > row.slice.committed && unit - row.slice.committed > left {
                continue;
            }
            row.slice.target = unit;
            row.slice.committed = row.slice.committed.max(unit);
            (row.slice.implicit, row.slice.contended) = (true, false);
            row.change();
        }
        let full = part(rows.pool()) * spec.burst;
        if is_done && self.level >= full - 1e-6 {
            bench.changes.push(ChangeV1::Retire { limit });
            rows.all.iter_mut().for_each(|row| row.is_changed = false);
            self.holders.clear();
            return false;
        }
        true
    }

    /// Writes what has changed as commands.
    fn emit(&self, limit: u64, is_managed: bool, rows: &[Row], bench: &mut Bench<'_>) {
        let changed: Vec<&Row> = rows.iter().filter(|row| row.is_changed).collect();
        if changed.is_empty() {
            return;
        }
        if !is_managed {
            bench.changes.push(ChangeV1::Manage { limit });
        }
        // What becomes free goes first, so that what grows into it finds it free.
        let mut changed = changed;
        changed.sort_by_key(|row| row.slice.committed > committed_now(bench.ledger, limit, row.slice.holder));
        for row in changed {
            let SliceV1 { holder, committed, target, tokens, returned, contended, implicit, .. } = row.slice;
            bench.changes.push(ChangeV1::Slice {
                limit,
                holder,
                committed,
                target,
                tokens,
                returned,
                contended,
                implicit,
            });
        }
    }

    /// Who is told after this tick: whoever has not confirmed the newest version; whether anybody has not.
    fn tell(&mut self, limit: u64, rows: &[Row], bench: &mut Bench<'_>) -> bool {
        let mut is_open = false;
        for row in rows {
            if row.is_confirmed && !row.is_news {
                continue;
            }
            is_open = true;
            let is_due = row.is_news
                || row.told_ns == 0
                || bench.now_ns.saturating_sub(row.told_ns) >= bench.timing.resend_ns;
            if !is_due {
                continue;
            }
            bench.mail(row.slice.holder).slices.push(limit);
            let session = bench.ledger.sessions.get(&row.slice.holder);
            let epoch = session.map_or(0, |session| session.epoch);
            match self.holders.iter_mut().find(|one| one.holder == row.slice.holder && one.epoch == epoch) {
                Some(one) => one.told_ns = bench.now_ns,
                None => {
                    self.holders.retain(|one| one.holder != row.slice.holder);
                    self.holders.push(Holder {
                        holder: row.slice.holder,
                        epoch,
                        demand: 0.0,
                        refused: 0.0,
                        confirmed: 0,
                        returned: row.slice.returned,
                        told_ns: bench.now_ns,
                    });
                }
            }
        }
        is_open
    }

    pub(super) fn is_quiet(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.asked_ns) > QUIET_NS
    }

    pub(super) fn demand(&self) -> f32 {
        self.holders.iter().map(|one| one.demand as f32).sum()
    }

    pub(super) fn describe(&self, limit: u64, ledger: &Ledger) -> BusyV1 {
        let present = self.holders.iter().filter(|one| ledger.sessions.contains_key(&one.holder));
        let holders = present.map(|one| {
            let share = match ledger.slices.get(&limit) {
                Some(row) => {
                    row.iter().find(|slice| slice.holder == one.holder).map_or(0, |slice| slice.target)
                }
                None => ledger.sessions.get(&one.holder).map_or(0, |session| session.unit),
            };
            BusyHolderV1 { holder: one.holder, demand: one.demand as f32, refused: one.refused, share }
        });
        summed(limit, (self.level * 1e3) as i64, self.contended, holders.collect())
    }
}

fn part(share: u32) -> f64 {
    f64::from(share) / f64::from(WHOLE)
}

/// What nobody may be using, as the ledger has it.
fn free(limit: u64, ledger: &Ledger) -> u32 {
    ledger.whole(limit).saturating_sub(ledger.out(limit))
}

/// The same, with what holders were asked to give up: they hand tokens over before it counts as free.
fn untargeted(limit: u64, ledger: &Ledger) -> u32 {
    let Some(row) = ledger.slices.get(&limit) else { return free(limit, ledger) };
    ledger.whole(limit).saturating_sub(row.iter().map(|slice| slice.target).fold(0, u32::saturating_add))
}

fn committed_now(ledger: &Ledger, limit: u64, holder: u64) -> u32 {
    match ledger.slices.get(&limit) {
        Some(row) => row.iter().find(|slice| slice.holder == holder).map_or(0, |slice| slice.committed),
        None => ledger.sessions.get(&holder).map_or(0, |session| session.unit),
    }
}

/// Holders that confirmed a smaller share use no more than that.
fn confirm(rows: &mut [Row], bench: &Bench<'_>) {
    #[cfg(feature = "seeded-bugs")]
    let too_early = bench.timing.bug == Some(crate::timing::Bug::GrowBeforeAck);
    #[cfg(not(feature = "seeded-bugs"))]
    let too_early = false;
    let _ = bench;
    for row in rows.iter_mut() {
        if row.slice.committed > row.slice.target && (row.is_confirmed || too_early) {
            row.slice.committed = row.slice.target;
            row.is_changed = true;
        }
    }
}

/// Whether a share is off by enough to be moved.
fn is_off(wanted: f64, share: f64, of: Scale, bench: &Bench<'_>) -> bool {
    let step = (bench.timing.hysteresis * wanted).max(0.25 * of.least).max(STEP_MIN * of.whole);
    (wanted - share).abs() > step
}

fn is_growing(row: &Row, of: Scale, bench: &Bench<'_>) -> bool {
    let share = part(row.slice.target);
    row.is_confirmed && row.wanted > share && is_off(row.wanted, share, of, bench)
}

fn growth(rows: &[Row], of: Scale, bench: &Bench<'_>) -> f64 {
    let missing = |row: &Row| {
        let share = part(row.slice.target);
        if row.wanted > share && is_off(row.wanted, share, of, bench) { row.wanted - share } else { 0.0 }
    };
    rows.iter().map(missing).sum()
}

/// Asks those who have more than they need to give it up. It is theirs until they confirm. What the region as a whole has to
/// give up is asked for to the last bit.
fn shrink(rows: &mut [Row], of: Scale, has_to: bool, bench: &Bench<'_>) {
    for row in rows.iter_mut() {
        let share = part(row.slice.target);
        if row.is_confirmed && row.wanted < share && (has_to || is_off(row.wanted, share, of, bench)) {
            row.slice.target = (row.wanted * f64::from(WHOLE)) as u32;
            row.slice.implicit = false;
            row.change();
        }
    }
}

/// A holder's slice as it has to know it.
pub(super) fn granted(ledger: &Ledger, limit: u64, holder: u64) -> Option<SliceGrantV1> {
    let slice = ledger.slices.get(&limit)?.iter().find(|slice| slice.holder == holder)?;
    Some(SliceGrantV1 {
        limit,
        share: slice.target,
        version: slice.version,
        tokens: slice.tokens,
        contended: slice.contended,
        implicit: slice.implicit,
    })
}
