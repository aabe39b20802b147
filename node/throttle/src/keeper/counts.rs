//! Small rate limits: the true level of each bucket, debts included. Nothing of it is written down per request: it is known
//! again from the holders within a second, and levels that matter are saved once a second for the next leader.

use tidegate_proto::ledger::{BusyHolderV1, BusyV1, ChangeV1, CountReportV1, LevelGrantV1};

use super::{Bench, SILENT_NS};
use crate::{busy::summed, ledger::Ledger, limit::Spec, timing::MS};

/// Holders learn the level at most this often.
const PUSH_NS: u64 = 40 * MS;
/// A holder that reported within this time is told.
const INVOLVED_NS: u64 = 2_000 * MS;
/// A desk that nobody reports to is put away after this time; longer than a holder remembers what it last said.
const IDLE_NS: u64 = 20_000 * MS;
/// Below this part of the burst holders are told the level.
const SHORT: f64 = 0.6;

/// What the leader knows of one limit.
#[derive(Debug)]
pub(super) struct CountDesk {
    pub(super) is_dirty: bool,
    level: f64,
    level_ns: u64,
    pushed_ns: u64,
    heard_ns: u64,
    holders: Vec<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    holder: u64,
    incarnation: u64,
    spent: u64,
    /// What of it the next leader knows of.
    saved: u64,
    demand: f32,
    refused: f32,
    heard_ns: u64,
}

impl CountDesk {
    /// `saved` is the level in thousandths that an earlier leader left, and a time after which it did.
    pub(super) fn begin(now_ns: u64, spec: &Spec, saved: Option<(i64, u64)>) -> Self {
        let (level, level_ns) = saved.map_or((spec.burst, now_ns), |(level, saved_ns)| {
            ((level as f64 / 1e3).min(spec.burst), saved_ns.min(now_ns))
        });
        Self { is_dirty: false, level, level_ns, pushed_ns: 0, heard_ns: now_ns, holders: Vec::new() }
    }

    /// Goes on under a keeper that does not know what was agreed on and said of it.
    pub(super) fn resume(&mut self) {
        (self.is_dirty, self.pushed_ns) = (false, 0);
        self.holders.iter_mut().for_each(|one| one.saved = 0);
    }

    /// Counts what a holder admitted; whether others should know.
    pub(super) fn hear(
        &mut self,
        now_ns: u64,
        (holder, incarnation): (u64, u64),
        news: &CountReportV1,
        spec: &Spec,
    ) -> bool {
        self.refill(now_ns, spec);
        self.heard_ns = now_ns;
        let at = self.holders.iter().position(|one| one.holder == holder).unwrap_or_else(|| {
            self.holders.push(Holder {
                holder,
                incarnation,
                spent: 0,
                saved: news.settled,
                demand: 0.0,
                refused: 0.0,
                heard_ns: now_ns,
            });
            self.holders.len() - 1
        });
        let Some(one) = self.holders.get_mut(at) else { return false };
        if incarnation < one.incarnation {
            return false;
        }
        // A node that was started again counts from nothing.
        let (known, saved) = if incarnation == one.incarnation { (one.spent, one.saved) } else { (0, 0) };
        let counted = known.max(news.settled);
        let more = news.spent.saturating_sub(counted);
        *one = Holder {
            holder,
            incarnation,
            spent: counted.max(news.spent),
            saved: saved.max(news.settled),
            demand: news.demand.max(0.0),
            refused: news.refused.max(0.0),
            heard_ns: now_ns,
        };
        // Debt is bounded, so that a flood is not paid for longer than a full bucket takes to fill.
        self.level = (self.level - more as f64).max(-spec.burst);
        self.level < SHORT * spec.burst
    }

    fn refill(&mut self, now_ns: u64, spec: &Spec) {
        let elapsed_s = now_ns.saturating_sub(self.level_ns) as f64 / 1e9;
        self.level_ns = self.level_ns.max(now_ns);
        self.level = (self.level + spec.rate * elapsed_s).min(spec.burst);
    }

    /// Tells the level to everybody involved; whether it has to be looked at again at the next tick.
    pub(super) fn tend(&mut self, limit: u64, spec: &Spec, sequence: u64, bench: &mut Bench<'_>) -> bool {
        self.refill(bench.now_ns, spec);
        if bench.now_ns.saturating_sub(self.pushed_ns) < PUSH_NS {
            return true;
        }
        self.pushed_ns = bench.now_ns;
        let level = (self.level * 1e3).floor() as i64;
        for one in &self.holders {
            let is_involved = bench.now_ns.saturating_sub(one.heard_ns) < INVOLVED_NS;
            if is_involved && bench.ledger.sessions.contains_key(&one.holder) {
                let Holder { spent, saved, .. } = *one;
                bench.mail(one.holder).levels.push(LevelGrantV1 { limit, level, spent, saved, sequence });
            }
        }
        false
    }

    /// The level for the next leader, when it is worth a change.
    pub(super) fn save(&mut self, limit: u64, now_ns: u64, spec: &Spec, ledger: &Ledger) -> Option<ChangeV1> {
        self.refill(now_ns, spec);
        let (level, full) = ((self.level * 1e3).floor() as i64, (spec.burst * 1e3) as i64);
        let is_short = self.level < SHORT * spec.burst;
        let is_saved = ledger.levels.contains_key(&limit);
        self.holders.iter_mut().for_each(|one| one.saved = one.spent);
        if is_short {
            return Some(ChangeV1::Level { limit, level, full });
        }
        is_saved.then_some(ChangeV1::Level { limit, level: full, full })
    }

    pub(super) fn is_idle(&self, now_ns: u64, spec: &Spec) -> bool {
        self.level >= spec.burst && now_ns.saturating_sub(self.heard_ns) > IDLE_NS
    }

    pub(super) fn demand(&self, now_ns: u64) -> f32 {
        self.heard(now_ns).map(|one| one.demand).sum()
    }

    pub(super) fn describe(&self, limit: u64, now_ns: u64, spec: &Spec) -> BusyV1 {
        let elapsed_s = now_ns.saturating_sub(self.level_ns) as f64 / 1e9;
        let level = (self.level + spec.rate * elapsed_s).min(spec.burst);
        let holders = self.heard(now_ns).map(|one| BusyHolderV1 {
            holder: one.holder,
            demand: one.demand,
            refused: one.refused,
            share: 0,
        });
        summed(limit, (level * 1e3) as i64, level < 1.0, holders.collect())
    }

    fn heard(&self, now_ns: u64) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(move |one| now_ns.saturating_sub(one.heard_ns) < SILENT_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Policy;

    #[test]
    fn what_a_node_admitted_counts_once_and_from_nothing_when_it_was_started_again() {
        let spec = Spec::rate(1.0, 10.0, Policy::default(), 3);
        let mut desk = CountDesk::begin(0, &spec, None);
        for (incarnation, spent, settled, level) in [
            (1, 4, 0, 6.0),
            (1, 4, 0, 6.0),
            (1, 3, 0, 6.0),
            (1, 6, 0, 4.0),
            (2, 1, 0, 3.0),
            (1, 9, 0, 3.0),
            (2, 3, 0, 1.0),
            (3, 5, 4, 0.0),
        ] {
            let news = CountReportV1 { limit: 7, demand: 1.0, spent, settled, ..CountReportV1::default() };
            desk.hear(0, (5, incarnation), &news, &spec);
            assert_eq!(desk.level, level, "{incarnation} {spent}");
        }
    }
}
