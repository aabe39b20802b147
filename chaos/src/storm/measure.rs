//! Figures out of what was seen. Pure.

use super::{
    evidence::Evidence,
    record::{Class, Outcome, Record},
    scenario::{Expectation, Measure, Scope},
    watch::Sight,
    writers::{End, WriteRecord},
};
use crate::{clock::Span, lab::site::Site};

/// How long after a fault its consequences are counted as its own, in microseconds.
const AFTER_US: u64 = 5_000_000;

/// Takes a figure; `None` where there is nothing to take it from. With `patient`, what happened while the tool stood still is left out.
pub(crate) fn take(evidence: &Evidence, expectation: &Expectation, patient: bool) -> Option<f64> {
    let window = window(evidence, expectation);
    // Nothing happens in no time, so nothing would ever be broken there.
    if window.from_us >= window.to_us {
        return None;
    }
    let sample = Sample { evidence, window, scope: expectation.scope, patient };
    match expectation.measure {
        Measure::Errors => Some(sample.errors(|class| class.is_judged()) as f64),
        Measure::ErrorPercent => sample.error_percent(),
        Measure::ErrorsElsewhere => Some(sample.errors(|class| class.is_judged()) as f64),
        Measure::UnavailableMs => Some(sample.unavailable_ms()),
        Measure::LatencyP99Ms => sample.latency_p99_ms(),
        Measure::WriteGapMs => Some(write_gap_ms(&evidence.writes, window, None)),
        Measure::CommitP99Ms => sample.commit_p99_ms(),
        Measure::RefusalMs => Some(sample.refusal_ms()),
        Measure::LeaderChanges => Some(evidence.seen.changes(window.from_us, window.to_us) as f64),
        Measure::LeaderChangesHealed => {
            Some(evidence.seen.changes(evidence.trouble.to_us, evidence.span.to_us) as f64)
        }
        Measure::ElectionsPerMinute => {
            let terms = evidence.seen.term_at(window.to_us) - evidence.seen.term_at(window.from_us);
            Some(terms as f64 * 60e6 / (window.to_us - window.from_us).max(1) as f64)
        }
        Measure::StaleReads => Some(evidence.findings.stale_reads as f64),
        Measure::TornAnswers => {
            Some(sample.count(|record| record.class == Class::Churn && record.outcome == Outcome::Wrong)
                as f64)
        }
        Measure::Changes => Some(evidence.changes.len() as f64),
        Measure::PropagationP99Ms => propagation_p99_ms(evidence, window),
        Measure::RestartMs => restart_ms(evidence),
        Measure::RecoveryMs => {
            evidence.recovered_us.map(|us| us.saturating_sub(evidence.trouble.to_us) as f64 / 1e3)
        }
        Measure::GoodputPercent => sample.goodput_percent(),
        Measure::ShedP99Ms => sample.shed_p99_ms(),
        Measure::BackToNormalMs => back_to_normal_ms(evidence),
        Measure::OverAdmitted => Some(evidence.over_admitted),
        Measure::MemoryGrowthPercent => memory_growth_percent(evidence),
        Measure::PoisonAccepted | Measure::Unfenced | Measure::Unserved => {
            let own = evidence.measured.iter().filter(|(measure, _)| *measure == expectation.measure);
            own.map(|(_, value)| *value).reduce(f64::max)
        }
    }
}

/// The longest time without a success of some region and class while a fault lasted and a little after, in milliseconds.
pub(crate) fn unavailable_ms(evidence: &Evidence, fault: Span) -> f64 {
    let window = Span { from_us: fault.from_us, to_us: (fault.to_us + AFTER_US).min(evidence.span.to_us) };
    Sample { evidence, window, scope: Scope::Elsewhere, patient: false }.unavailable_ms()
}

/// The part of the run that an expectation is about.
pub(crate) fn window(evidence: &Evidence, expectation: &Expectation) -> Span {
    let at = |seconds: f64| evidence.trouble.from_us + (seconds * 1e6) as u64;
    let to_us = expectation.to_s.map_or(evidence.span.to_us, at).min(evidence.span.to_us);
    Span { from_us: at(expectation.from_s).min(to_us), to_us }
}

/// Requests of a window and a scope.
struct Sample<'a> {
    evidence: &'a Evidence,
    window: Span,
    scope: Scope,
    patient: bool,
}

impl Sample<'_> {
    /// A request belongs to the moment it was due.
    fn records(&self) -> impl Iterator<Item = &Record> {
        let inside = |record: &&Record| {
            (self.window.from_us..self.window.to_us).contains(&record.span.from_us)
                && (self.scope == Scope::Everywhere || !self.evidence.is_struck(record))
                && !(self.patient && self.evidence.stalls.touch(record.span))
        };
        self.evidence.records.iter().filter(inside)
    }

    fn count(&self, chosen: impl Fn(&Record) -> bool) -> usize {
        self.records().filter(|record| chosen(record)).count()
    }

    fn errors(&self, judged: impl Fn(Class) -> bool) -> usize {
        self.count(|record| judged(record.class) && record.outcome.is_error())
    }

    fn error_percent(&self) -> Option<f64> {
        let all = self.count(|record| record.class.is_judged());
        (all > 0).then(|| self.errors(Class::is_judged) as f64 * 100.0 / all as f64)
    }

    /// The longest time without a success, of any region and class whose clients are not struck as a whole.
    fn unavailable_ms(&self) -> f64 {
        let mut groups: Vec<(u8, Class)> = self
            .evidence
            .records
            .iter()
            .filter(|record| record.class.is_judged() && !self.is_dark(record.region))
            .map(|record| (record.region, record.class))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let gap = |(region, class): (u8, Class)| {
            let of = self.evidence.records.iter().filter(|record| {
                record.region == region && record.class == class && record.outcome == Outcome::Right
            });
            longest_gap_ms(of.map(|record| record.span.to_us), self.window)
        };
        groups.into_iter().map(gap).fold(0.0, f64::max)
    }

    /// Whether all zones of a region were struck at one moment of the window, so that its clients had nobody to ask.
    fn is_dark(&self, region: u8) -> bool {
        let zones: Vec<Site> =
            self.evidence.seen.now.keys().copied().filter(|site| site.region() == Some(region)).collect();
        let struck_at = |us: u64| {
            let at =
                |site: &Site| self.evidence.struck.iter().any(|(own, span)| own == site && span.holds(us));
            zones.iter().all(at)
        };
        // Where all are struck at some moment, all are at the moment when the last of them was.
        let begins = self.evidence.struck.iter().map(|(_, span)| span.from_us.max(self.window.from_us));
        self.scope == Scope::Elsewhere
            && !zones.is_empty()
            && begins.filter(|us| self.window.holds(*us)).any(struck_at)
    }

    fn latency_p99_ms(&self) -> Option<f64> {
        let right = self.records().filter(|r| r.class.is_judged() && r.outcome == Outcome::Right);
        quantile_ms(right.map(|record| record.span.to_us - record.span.from_us), 0.99)
    }

    fn writes(&self) -> impl Iterator<Item = &WriteRecord> {
        let inside = |write: &&WriteRecord| {
            (self.window.from_us..self.window.to_us).contains(&write.span.from_us)
                && !(self.patient && self.evidence.stalls.touch(write.span))
        };
        self.evidence.writes.iter().filter(inside)
    }

    fn commit_p99_ms(&self) -> Option<f64> {
        let done = self.writes().filter(|write| write.end == End::Acknowledged);
        quantile_ms(done.map(|write| write.span.to_us - write.span.from_us), 0.99)
    }

    /// The longest time until a node that was well said no, or did not answer.
    fn refusal_ms(&self) -> f64 {
        let struck = |write: &&WriteRecord| {
            let here = |(site, span): &(_, Span)| *site == write.site && span.overlaps(&write.span);
            self.evidence.struck.iter().any(here)
        };
        let refused = self.writes().filter(|write| write.end != End::Acknowledged && !struck(write));
        refused.map(|write| (write.span.to_us - write.span.from_us) as f64 / 1e3).fold(0.0, f64::max)
    }

    fn shed_p99_ms(&self) -> Option<f64> {
        let shed = self.records().filter(|record| record.outcome == Outcome::Shed);
        quantile_ms(shed.map(|record| record.span.to_us - record.span.from_us), 0.99)
    }

    /// Right answers per second in the window, of what all nodes together admit; where that is not set, of the best second anywhere.
    fn goodput_percent(&self) -> Option<f64> {
        let second = |record: &Record| record.span.to_us / 1_000_000;
        let mut per_second = std::collections::BTreeMap::<u64, u64>::new();
        for record in self.evidence.records.iter().filter(|record| record.outcome == Outcome::Right) {
            *per_second.entry(second(record)).or_default() += 1;
        }
        let best = self.evidence.capacity.or_else(|| Some(*per_second.values().max()? as f64))?;
        let whole = self.window.from_us.div_ceil(1_000_000)..self.window.to_us / 1_000_000;
        let seconds = whole.clone().count() as f64;
        let inside: u64 = whole.map(|second| per_second.get(&second).copied().unwrap_or_default()).sum();
        (seconds > 0.0).then(|| inside as f64 / seconds * 100.0 / best)
    }
}

/// The longest stretch of a window without one of these moments, in milliseconds.
pub(crate) fn longest_gap_ms(moments: impl Iterator<Item = u64>, window: Span) -> f64 {
    let mut inside: Vec<u64> = moments.filter(|us| (window.from_us..=window.to_us).contains(us)).collect();
    inside.extend([window.from_us, window.to_us]);
    inside.sort_unstable();
    inside.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default() as f64 / 1e3
}

/// The longest time without an acknowledged write, of one region or of all together.
pub(crate) fn write_gap_ms(writes: &[WriteRecord], window: Span, region: Option<u8>) -> f64 {
    let done = writes
        .iter()
        .filter(|write| write.end == End::Acknowledged && region.is_none_or(|region| write.region == region));
    longest_gap_ms(done.map(|write| write.span.to_us), window)
}

/// A quantile of times in microseconds, in milliseconds.
pub(crate) fn quantile_ms(times_us: impl Iterator<Item = u64>, quantile: f64) -> Option<f64> {
    let mut times: Vec<u64> = times_us.collect();
    times.sort_unstable();
    let place = (times.len() as f64 * quantile).ceil() as usize;
    times.get(place.saturating_sub(1)).map(|us| *us as f64 / 1e3)
}

/// From the acknowledgement of a change until the last node that was well served it.
fn propagation_p99_ms(evidence: &Evidence, window: Span) -> Option<f64> {
    let served = |acknowledged_us: u64, revision: u64, site| {
        let sights = evidence.seen.history.get(&site)?;
        let is_served =
            |s: &&Sight| s.answers && s.at_us >= acknowledged_us && s.serving_revision >= revision;
        let first = sights.iter().find(is_served)?;
        let span = Span { from_us: acknowledged_us, to_us: first.at_us };
        let struck = evidence.struck.iter().any(|(own, struck)| *own == site && struck.overlaps(&span));
        (!struck).then_some(first.at_us - acknowledged_us)
    };
    let mut times = Vec::new();
    for change in evidence.changes.iter().filter(|change| window.holds(change.acknowledged_us)) {
        // The revision of a change is not known; what the newest node had when it was acknowledged is no newer.
        let at_us = change.acknowledged_us;
        let known = evidence.seen.history.values().filter_map(|sights| {
            sights.iter().rfind(|sight| sight.answers && sight.at_us <= at_us).map(|sight| sight.revision)
        });
        let Some(revision) = known.max() else { continue };
        let nodes = evidence.seen.now.keys().copied();
        if let Some(longest) = nodes.filter_map(|site| served(at_us, revision, site)).max() {
            times.push(longest);
        }
    }
    quantile_ms(times.into_iter(), 0.99)
}

fn restart_ms(evidence: &Evidence) -> Option<f64> {
    let times = evidence.starts.iter().map(|start| (start.to_us - start.from_us) as f64 / 1e3);
    times.reduce(f64::max)
}

/// From the end of the last fault until the beginning of the first whole second without a failure.
fn back_to_normal_ms(evidence: &Evidence) -> Option<f64> {
    let end_us = evidence.trouble.to_us;
    let mut failed: Vec<u64> = evidence
        .records
        .iter()
        .filter(|r| r.class.is_judged() && r.outcome.is_error() && r.span.to_us > end_us)
        .map(|record| record.span.to_us)
        .collect();
    failed.push(end_us);
    failed.sort_unstable();
    let calm = |from_us: &u64| {
        let next = failed.iter().find(|us| *us > from_us).copied().unwrap_or(evidence.span.to_us);
        next >= from_us + 1_000_000
    };
    failed.iter().find(|us| calm(us)).map(|us| (us - end_us) as f64 / 1e3)
}

fn memory_growth_percent(evidence: &Evidence) -> Option<f64> {
    let growth = |sights: &Vec<Sight>| {
        let before =
            sights.iter().rfind(|s| s.answers && s.memory > 0 && s.at_us <= evidence.trouble.from_us)?;
        // What reads everything back afterwards is no part of what was rehearsed.
        let after = sights.iter().rfind(|s| s.answers && s.memory > 0 && s.at_us <= evidence.span.to_us)?;
        Some((after.memory as f64 / before.memory as f64 - 1.0) * 100.0)
    };
    evidence.seen.history.values().filter_map(growth).reduce(f64::max)
}

#[cfg(test)]
pub(crate) mod tests;
