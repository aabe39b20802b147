//! Whole requests: chunks of quotas, and single tokens of small strict buckets. Owns how much whom; that nothing is granted
//! twice is the ledger's rule.

use tidegate_proto::ledger::{BusyHolderV1, BusyV1, ChangeV1, ChunkReportV1, ChunkV1, ReportV1};

use super::{Bench, SILENT_NS};
use crate::{
    busy::summed,
    ledger::Ledger,
    limit::{Kind, LimitId, Spec},
    timing::MS,
};

/// What was used is written down at least this often while it changes.
const FLUSH_NS: u64 = 1_000 * MS;
/// A holder is called back, or told that nothing is left, at most this often.
const TELL_AGAIN_NS: u64 = 100 * MS;
/// What is called back has come by then.
const CALLED_BACK_NS: u64 = 250 * MS;
/// A holder that has not asked for this long needs nothing.
const WANTING_NS: u64 = 1_000 * MS;
/// Smallest chunk of a quota, as a part of it: slow keys do not ask for every request.
const CHUNK_MIN: f64 = 0.005;

/// A limit that refuses more than this, per second, is short once nothing is left to hand out.
const REFUSING: f32 = 0.1;

/// What the leader knows of one limit.
#[derive(Debug)]
pub(super) struct EscrowDesk {
    pub(super) is_dirty: bool,
    /// Tokens of a pool that nobody holds.
    level: Option<f64>,
    level_ns: u64,
    /// What the pool could hold when the level was last worked out.
    room: f64,
    /// Since when somebody starves and nothing is left, and when that was last so.
    starved_ns: Option<(u64, u64)>,
    flushed_ns: u64,
    holders: Vec<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    report: ChunkReportV1,
    holder: u64,
    /// Incarnation or session.
    life: u64,
    heard_ns: u64,
    told_ns: u64,
}

impl EscrowDesk {
    /// For a limit that has nothing out: its pool is full.
    pub(super) fn fresh(now_ns: u64) -> Self {
        Self {
            is_dirty: false,
            level: None,
            level_ns: now_ns,
            room: 0.0,
            starved_ns: None,
            flushed_ns: 0,
            holders: Vec::new(),
        }
    }

    /// For a pool of an earlier leader: what was left is not known, so nothing is.
    pub(super) fn inherited(now_ns: u64) -> Self {
        Self { level: Some(0.0), ..Self::fresh(now_ns) }
    }

    pub(super) fn hear(&mut self, now_ns: u64, report: &ReportV1, news: &ChunkReportV1) {
        let is_quota = LimitId::new(news.limit).is_some_and(|id| matches!(id.kind(), Kind::Quota(_)));
        let life = if is_quota { report.incarnation } else { report.epoch };
        let fresh = Holder { report: *news, holder: report.holder, life, heard_ns: now_ns, told_ns: 0 };
        match self.holders.iter_mut().find(|one| one.holder == report.holder) {
            None => self.holders.push(fresh),
            Some(one) if one.life != life || one.report.period != news.period => {
                if life >= one.life && news.period >= one.report.period {
                    *one = fresh;
                }
            }
            Some(one) => {
                let (spent, returned) =
                    (one.report.spent.max(news.spent), one.report.returned.max(news.returned));
                let granted = one.report.granted.max(news.granted);
                one.report = ChunkReportV1 { spent, returned, granted, ..*news };
                one.heard_ns = now_ns;
            }
        }
    }

    /// Grants; whether it has to be looked at again at the next tick.
    pub(super) fn tend(&mut self, limit: u64, spec: &Spec, bench: &mut Bench<'_>) -> bool {
        match spec.kind {
            Kind::Quota(period) => {
                let Some(number) = (bench.ledger.day > 0).then(|| period.number(bench.ledger.day)) else {
                    return true;
                };
                self.tend_quota(limit, spec, number, bench)
            }
            Kind::Pool => self.tend_pool(limit, spec, bench),
            Kind::Slice | Kind::StrictSlice | Kind::Count => false,
        }
    }

    fn tend_quota(&mut self, limit: u64, spec: &Spec, period: u32, bench: &mut Bench<'_>) -> bool {
        let size = spec.quota_in(period);
        let row = bench.ledger.quotas.get(&limit);
        let configured = row.map(|row| (row.period, row.configured));
        self.settle(limit, row.map_or(0, |row| row.period), row.map_or(&[][..], |row| &row.chunks), bench);
        if configured != Some((period, size)) {
            bench.changes.push(ChangeV1::Quota { limit, period, size });
            // The grants follow when the ledger has it.
            return true;
        }
        let Some(row) = row else { return true };
        let mut left = u32::try_from(row.pool.max(0)).unwrap_or(u32::MAX);
        left = left.saturating_add(self.returned_now(&row.chunks));
        let wanting = |one: &&Holder| one.report.wanting && one.report.period == period;
        let askers = self.holders.iter().filter(wanting).count().max(1) as f64;
        let least = CHUNK_MIN * f64::from(size) / bench.ledger.sessions.len().max(1) as f64;
        let mut is_starving = false;
        let mut told = Vec::new();
        for one in self.holders.iter_mut().filter(|one| one.report.wanting && one.report.period == period) {
            let out = outstanding(&row.chunks, one);
            let wanted = (f64::from(one.report.demand) * bench.timing.chunk_s).max(least).max(1.0);
            let need = (wanted - f64::from(out)).ceil().max(0.0);
            let cap = (f64::from(left) / (2.0 * askers)).ceil().max(1.0);
            let amount = (need.min(cap) as u32).min(left);
            if amount > 0 {
                left -= amount;
                let (holder, life) = (one.holder, one.life);
                bench.changes.push(ChangeV1::Grant { limit, period, holder, life, amount });
            } else {
                is_starving |= out == 0;
            }
            // Who gets nothing now gets what comes back next.
            one.report.wanting = amount == 0 && out == 0;
            one.told_ns = bench.now_ns;
            told.push(one.holder);
        }
        // What others hold may come back, but nobody waits for that for long.
        let is_over = is_starving && left == 0 && self.is_starved_for(CALLED_BACK_NS, bench.now_ns);
        let others_out = |holder: u64| {
            self.holders.iter().any(|one| one.holder != holder && outstanding(&row.chunks, one) > 0)
        };
        let exhausted: Vec<bool> =
            told.iter().map(|holder| left == 0 && (is_over || !others_out(*holder))).collect();
        for (holder, exhausted) in told.into_iter().zip(exhausted) {
            bench.mail(holder).chunks.push((limit, false, exhausted));
        }
        // Less than nothing is left where somebody set what is left below what is out.
        if (is_starving && left == 0) || row.pool < 0 {
            self.call_back(limit, &row.chunks, row.pool < 0, bench);
        }
        false
    }

    /// Notes that somebody starves; whether that has been so for `long_ns`.
    fn is_starved_for(&mut self, long_ns: u64, now_ns: u64) -> bool {
        let recent = self.starved_ns.filter(|(_, last)| now_ns.saturating_sub(*last) < WANTING_NS);
        let since = recent.map_or(now_ns, |(since, _)| since);
        self.starved_ns = Some((since, now_ns));
        now_ns.saturating_sub(since) > long_ns
    }

    /// Asks holders that do not need what they have, or all of them.
    fn call_back(&mut self, limit: u64, chunks: &[ChunkV1], all: bool, bench: &mut Bench<'_>) {
        for one in &mut self.holders {
            let is_spare = outstanding(chunks, one) >= 1 && (all || !one.report.wanting);
            if is_spare && bench.now_ns.saturating_sub(one.told_ns) > TELL_AGAIN_NS {
                one.told_ns = bench.now_ns;
                bench.mail(one.holder).chunks.push((limit, true, false));
            }
        }
    }

    /// Writes down what was used, when it is time or when something came back.
    fn settle(&mut self, limit: u64, period: u32, chunks: &[ChunkV1], bench: &mut Bench<'_>) {
        let is_time = bench.now_ns.saturating_sub(self.flushed_ns) >= FLUSH_NS;
        let mut is_flushed = false;
        for one in self.holders.iter().filter(|one| one.report.period == period) {
            let Some(chunk) =
                chunks.iter().find(|chunk| chunk.holder == one.holder && chunk.life == one.life)
            else {
                continue;
            };
            let ChunkReportV1 { spent, returned, .. } = one.report;
            let is_news = spent > chunk.spent || returned > chunk.returned;
            if is_news && (is_time || returned > chunk.returned || one.report.wanting) {
                let (holder, life) = (one.holder, one.life);
                bench.changes.push(ChangeV1::Settle { limit, period, holder, life, spent, returned });
                is_flushed = true;
            }
        }
        if is_flushed {
            self.flushed_ns = bench.now_ns;
        }
    }

    /// What comes back with the changes of this tick.
    fn returned_now(&self, chunks: &[ChunkV1]) -> u32 {
        let back = |one: &Holder| {
            let chunk = chunks.iter().find(|chunk| chunk.holder == one.holder && chunk.life == one.life)?;
            let is_sound =
                one.report.spent.max(chunk.spent).saturating_add(one.report.returned) <= chunk.granted;
            is_sound.then(|| one.report.returned.saturating_sub(chunk.returned))
        };
        self.holders.iter().filter_map(back).fold(0, u32::saturating_add)
    }

    fn tend_pool(&mut self, limit: u64, spec: &Spec, bench: &mut Bench<'_>) -> bool {
        let size = spec.burst.floor() as u32;
        let row = bench.ledger.pools.get(&limit);
        if row.is_none_or(|row| row.size != size) {
            bench.changes.push(ChangeV1::Pool { limit, size });
            return true;
        }
        let Some(row) = row else { return true };
        self.holders.retain(|one| {
            bench.ledger.sessions.get(&one.holder).is_some_and(|session| session.epoch == one.life)
        });
        self.settle(limit, 0, &row.chunks, bench);
        let out: u32 = row.chunks.iter().map(|chunk| self.still_out(chunk)).fold(0, u32::saturating_add);
        let mut level = self.refill(spec, out, self.returned_now(&row.chunks), bench.now_ns);
        let mut more: Vec<(usize, u32)> = Vec::new();
        while level >= 1.0 {
            let Some(at) = self.neediest(&row.chunks, &more, spec, bench.now_ns) else { break };
            (level, self.room) = (level - 1.0, (self.room - 1.0).max(0.0));
            match more.iter_mut().find(|(known, _)| *known == at) {
                Some((_, amount)) => *amount += 1,
                None => more.push((at, 1)),
            }
        }
        self.level = Some(level);
        let demand: f64 = self.holders.iter().map(|one| f64::from(one.report.demand)).sum();
        let is_short = level < 1.0 && demand > 0.8 * spec.rate;
        for (at, one) in self.holders.iter_mut().enumerate() {
            let amount = more.iter().find(|(known, _)| *known == at).map_or(0, |(_, amount)| *amount);
            if amount > 0 {
                let (holder, life) = (one.holder, one.life);
                bench.changes.push(ChangeV1::Grant { limit, period: 0, holder, life, amount });
            }
            let is_behind =
                chunk_of(&row.chunks, one).is_some_and(|chunk| chunk.granted > one.report.granted);
            let is_due = bench.now_ns.saturating_sub(one.told_ns) > TELL_AGAIN_NS;
            if amount > 0 || (is_due && (one.report.wanting || is_behind)) {
                one.told_ns = bench.now_ns;
                bench.mail(one.holder).chunks.push((limit, false, is_short));
            }
            if amount > 0 {
                one.report.wanting = false;
            }
        }
        let is_starving = |one: &Holder| one.report.wanting && outstanding(&row.chunks, one) == 0;
        if level < 1.0 && self.holders.iter().any(is_starving) {
            self.call_back(limit, &row.chunks, false, bench);
        }
        self.holders.iter().any(|one| {
            one.report.wanting || f64::from(one.report.demand) > 0.0 && is_recent(one, bench.now_ns)
        })
    }

    fn refill(&mut self, spec: &Spec, out: u32, returned: u32, now_ns: u64) -> f64 {
        let elapsed_s = now_ns.saturating_sub(self.level_ns) as f64 / 1e9;
        self.level_ns = self.level_ns.max(now_ns);
        // What would overflow is lost at once: holders still sit on theirs. What they have used since makes room from now on
        // only, because the bucket was full until then.
        let room = (spec.burst.floor() - f64::from(out)).max(0.0);
        let level = match self.level {
            None => room,
            Some(level) => {
                let filled = (level + spec.rate * elapsed_s).min(self.room.max(level));
                (filled + f64::from(returned)).min(room)
            }
        };
        self.room = room;
        self.level = Some(level);
        level
    }

    /// Whoever would wait longest for the next token.
    fn neediest(&self, chunks: &[ChunkV1], more: &[(usize, u32)], spec: &Spec, now_ns: u64) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (at, one) in self.holders.iter().enumerate() {
            let demand = f64::from(one.report.demand).max(if one.report.wanting { 0.1 } else { 0.0 });
            if demand <= 0.0 || !(is_recent(one, now_ns) || one.report.wanting) {
                continue;
            }
            let coming = more.iter().find(|(known, _)| *known == at).map_or(0, |(_, amount)| *amount);
            let held = f64::from(outstanding(chunks, one).saturating_add(coming));
            let enough = (1.0 + 0.12 * demand).min((0.6 * spec.burst).max(1.0));
            if held > enough - 0.5 {
                continue;
            }
            let need = demand / (held + 1.0);
            if best.is_none_or(|(most, _)| need > most) {
                best = Some((need, at));
            }
        }
        best.map(|(_, at)| at)
    }

    fn still_out(&self, chunk: &ChunkV1) -> u32 {
        let news = self.holders.iter().find(|one| one.holder == chunk.holder && one.life == chunk.life);
        news.map_or(chunk.outstanding(), |one| after(chunk, one))
    }

    /// Whether something was used that the ledger has not written down for a while.
    pub(super) fn is_unsaid(&self, now_ns: u64) -> bool {
        !self.is_dirty
            && self.flushed_ns != 0
            && self.holders.iter().any(|one| one.heard_ns > self.flushed_ns)
            && now_ns.saturating_sub(self.flushed_ns) >= FLUSH_NS
    }

    /// Changes that write down what was reported of a quota.
    pub(super) fn unsettled(&self, limit: u64, ledger: &Ledger) -> Vec<ChangeV1> {
        let Some(row) = ledger.quotas.get(&limit) else { return Vec::new() };
        let of = |one: &Holder| {
            let chunk = chunk_of(&row.chunks, one).filter(|_| one.report.period == row.period)?;
            let ChunkReportV1 { spent, returned, period, .. } = one.report;
            let (holder, life) = (one.holder, one.life);
            (spent > chunk.spent || returned > chunk.returned).then_some(ChangeV1::Settle {
                limit,
                period,
                holder,
                life,
                spent,
                returned,
            })
        };
        self.holders.iter().filter_map(of).collect()
    }

    /// Requests that were reported and are not written down yet.
    pub(super) fn unsaid(&self, limit: u64, ledger: &Ledger) -> u32 {
        let Some(row) = ledger.quotas.get(&limit) else { return 0 };
        let of = |one: &Holder| {
            let chunk = chunk_of(&row.chunks, one).filter(|_| one.report.period == row.period)?;
            Some(one.report.spent.min(chunk.granted).saturating_sub(chunk.spent))
        };
        self.holders.iter().filter_map(of).fold(0, u32::saturating_add)
    }

    pub(super) fn demand(&self, now_ns: u64) -> f32 {
        self.heard(now_ns).map(|one| one.report.demand.max(0.0)).sum()
    }

    /// What is left counts what holders have and did not use.
    pub(super) fn describe(&self, limit: u64, now_ns: u64, ledger: &Ledger) -> BusyV1 {
        let (chunks, free) = match (ledger.quotas.get(&limit), ledger.pools.get(&limit)) {
            (Some(row), _) => (&row.chunks[..], row.pool as f64),
            (None, Some(row)) => (&row.chunks[..], self.level.unwrap_or_default()),
            (None, None) => (&[][..], 0.0),
        };
        let out: u32 = chunks.iter().map(|chunk| self.still_out(chunk)).fold(0, u32::saturating_add);
        let holders = self.heard(now_ns).map(|one| BusyHolderV1 {
            holder: one.holder,
            demand: one.report.demand.max(0.0),
            refused: one.report.refused.max(0.0),
            share: outstanding(chunks, one),
        });
        let left = free + f64::from(out);
        let mut busy = summed(limit, (left * 1e3) as i64, left < 1.0, holders.collect());
        // Where everything is handed out, some holders may have tokens that others miss.
        busy.contended |= free < 1.0 && busy.refused > REFUSING;
        busy
    }

    fn heard(&self, now_ns: u64) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(move |one| now_ns.saturating_sub(one.heard_ns) < SILENT_NS)
    }
}

fn is_recent(one: &Holder, now_ns: u64) -> bool {
    now_ns.saturating_sub(one.heard_ns) < WANTING_NS
}

fn chunk_of<'a>(chunks: &'a [ChunkV1], one: &Holder) -> Option<&'a ChunkV1> {
    chunks.iter().find(|chunk| chunk.holder == one.holder && chunk.life == one.life)
}

/// What a chunk still holds, with the newest report.
fn after(chunk: &ChunkV1, one: &Holder) -> u32 {
    let (spent, returned) = (chunk.spent.max(one.report.spent), chunk.returned.max(one.report.returned));
    chunk.granted.saturating_sub(spent).saturating_sub(returned)
}

fn outstanding(chunks: &[ChunkV1], one: &Holder) -> u32 {
    chunk_of(chunks, one).map_or(0, |chunk| after(chunk, one))
}

/// Period and sum of what the present life of a holder was granted of a limit.
pub(super) fn chunk(ledger: &Ledger, limit: u64, holder: u64) -> Option<(u32, u32)> {
    let session = ledger.sessions.get(&holder)?;
    let granted = |chunks: &[ChunkV1], life: u64| {
        chunks
            .iter()
            .find(|chunk| chunk.holder == holder && chunk.life == life)
            .map_or(0, |chunk| chunk.granted)
    };
    if let Some(row) = ledger.quotas.get(&limit) {
        return Some((row.period, granted(&row.chunks, session.incarnation)));
    }
    ledger.pools.get(&limit).map(|row| (0, granted(&row.chunks, session.epoch)))
}
