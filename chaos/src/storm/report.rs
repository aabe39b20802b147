//! What a storm found, as one document: a table for people, JSON for programs, a page for browsers. Measures nothing itself.

pub(crate) mod html;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    evidence::{Evidence, Findings, Happened},
    measure,
    record::{Class, Outcome},
    scenario::{Layout, Scenario, Traffic},
    stage::Options,
    verdict::{self, Fate, Verdict},
    writers::End,
};
use crate::{
    lab::{
        Carried,
        cost::Cost,
        site::{Ground, region_name},
    },
    limits::STEP_US,
};

/// The result of one storm.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Name of the scenario.
    pub(crate) scenario: String,
    /// The promises it puts to the test.
    pub(crate) promise: String,
    /// One line.
    pub(crate) summary: String,
    /// Repeats the same choices.
    pub(crate) seed: u64,
    /// Repeats the run.
    pub(crate) command: String,
    /// What it ran on.
    pub(crate) ground: Ground,
    /// Regions, zones, distances.
    pub(crate) layout: Layout,
    /// Requests and writes.
    pub(crate) traffic: Traffic,
    /// From the first request to the last.
    pub(crate) seconds: f64,
    /// Whether every promise is kept.
    pub(crate) outcome: Fate,
    /// Promise by promise.
    pub(crate) verdicts: Vec<Verdict>,
    /// Fault by fault.
    pub(crate) faults: Vec<Happened>,
    /// Region by region and class by class.
    pub(crate) clients: Vec<ClientRow>,
    /// All writers together.
    pub(crate) writes: WriteRow,
    /// What the check at the end found.
    pub(crate) findings: Findings,
    /// What could not be rehearsed here.
    pub(crate) not_rehearsed: Vec<String>,
    /// What went wrong, with how often.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// What the emulated network costs by itself.
    pub(crate) network_cost: Cost,
    /// What it carried.
    pub(crate) network: Carried,
    /// Times in which the tool itself stood still: how many, and the longest in milliseconds.
    pub(crate) stalls: (usize, f64),
    /// 99th percentile of how late the tool's own sleeper woke up, in milliseconds.
    pub(crate) late_p99_ms: f64,
    /// The course of the run.
    pub(crate) timeline: Timeline,
}

/// One region's requests of one class.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ClientRow {
    /// The region.
    pub(crate) region: String,
    /// The class.
    pub(crate) class: &'static str,
    /// Requests with an end.
    pub(crate) total: u64,
    /// Failed ones that entered at a place that was well.
    pub(crate) failed: u64,
    /// Failed ones that entered at a struck place.
    pub(crate) failed_struck: u64,
    /// Longest time without a success, in milliseconds.
    pub(crate) unavailable_ms: f64,
    /// Median latency of right answers, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
}

/// All writes to sets.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct WriteRow {
    /// Done.
    pub(crate) acknowledged: usize,
    /// Answered that they cannot be done now.
    pub(crate) refused: usize,
    /// Answered that they are wrong.
    pub(crate) blamed: usize,
    /// Not answered.
    pub(crate) silent: usize,
    /// Longest time without an acknowledged write, in milliseconds.
    pub(crate) gap_ms: f64,
    /// Median latency of acknowledged ones, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
}

/// The course of a run in steps of the same length.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Timeline {
    /// Length of a step, in microseconds.
    pub(crate) step_us: u64,
    /// When it begins, in microseconds of the run.
    pub(crate) begin_us: u64,
    /// Right answers of each step.
    pub(crate) right: Vec<u64>,
    /// Failed requests that entered at places that were well.
    pub(crate) failed: Vec<u64>,
    /// Failed requests that entered at struck places.
    pub(crate) failed_struck: Vec<u64>,
    /// 99th percentile of the latency, in milliseconds.
    pub(crate) p99_ms: Vec<f64>,
    /// Acknowledged writes.
    pub(crate) commits: Vec<u64>,
    /// Who led, from when on, in microseconds of the run.
    pub(crate) leaders: Vec<(u64, u64, String)>,
    /// Remarks.
    pub(crate) notes: Vec<(u64, String)>,
    /// Stretches in which the tool stood still.
    pub(crate) stalls: Vec<crate::clock::Span>,
}

impl Report {
    /// Puts a report together.
    pub(crate) fn new(
        scenario: &Scenario,
        options: &Options,
        command: String,
        ground: Ground,
        cost: Cost,
        evidence: &Evidence,
    ) -> Self {
        let verdicts = verdict::all(scenario, evidence);
        Self {
            scenario: scenario.name.clone(),
            promise: scenario.promise.clone(),
            summary: scenario.summary.clone(),
            seed: options.seed,
            command,
            ground,
            layout: scenario.layout.clone(),
            traffic: scenario.traffic.clone(),
            seconds: (evidence.span.to_us - evidence.span.from_us) as f64 / 1e6,
            outcome: outcome(&verdicts),
            verdicts,
            faults: evidence.happened.clone(),
            clients: client_rows(evidence),
            writes: write_row(evidence),
            findings: evidence.findings.clone(),
            not_rehearsed: evidence.skipped.clone(),
            reasons: evidence.reasons.clone(),
            network_cost: cost,
            network: evidence.carried,
            stalls: (evidence.stalls.0.len(), evidence.stalls.longest_ms()),
            late_p99_ms: evidence.late_p99_ms,
            timeline: timeline(evidence),
        }
    }
}

/// Broken where one promise is; unclear where one is that; kept otherwise.
fn outcome(verdicts: &[Verdict]) -> Fate {
    let has = |fate: Fate| verdicts.iter().any(|verdict| verdict.fate == fate);
    match (has(Fate::Broken), has(Fate::Unclear)) {
        (true, _) => Fate::Broken,
        (false, true) => Fate::Unclear,
        (false, false) => Fate::Kept,
    }
}

fn client_rows(evidence: &Evidence) -> Vec<ClientRow> {
    let mut groups: Vec<(u8, Class)> =
        evidence.records.iter().map(|record| (record.region, record.class)).collect();
    groups.sort_unstable();
    groups.dedup();
    let row = |(region, class): (u8, Class)| {
        let own = || evidence.records.iter().filter(|r| r.region == region && r.class == class);
        let right = || own().filter(|record| record.outcome == Outcome::Right);
        let failed = |struck: bool| {
            own().filter(|r| r.outcome.is_error() && evidence.is_struck(r) == struck).count() as u64
        };
        let times = || right().map(|record| record.span.to_us - record.span.from_us);
        ClientRow {
            region: region_name(region),
            class: class.name(),
            total: own().count() as u64,
            failed: failed(false),
            failed_struck: failed(true),
            unavailable_ms: measure::longest_gap_ms(right().map(|record| record.span.to_us), evidence.span),
            p50_ms: measure::quantile_ms(times(), 0.5).unwrap_or_default(),
            p99_ms: measure::quantile_ms(times(), 0.99).unwrap_or_default(),
        }
    };
    groups.into_iter().map(row).collect()
}

fn write_row(evidence: &Evidence) -> WriteRow {
    let count = |end: End| evidence.writes.iter().filter(|write| write.end == end).count();
    let done = evidence.writes.iter().filter(|write| write.end == End::Acknowledged);
    let times = || done.clone().map(|write| write.span.to_us - write.span.from_us);
    WriteRow {
        acknowledged: count(End::Acknowledged),
        refused: count(End::Refused),
        blamed: count(End::Blamed),
        silent: count(End::Silent),
        gap_ms: measure::write_gap_ms(&evidence.writes, evidence.span, None),
        p50_ms: measure::quantile_ms(times(), 0.5).unwrap_or_default(),
        p99_ms: measure::quantile_ms(times(), 0.99).unwrap_or_default(),
    }
}

fn timeline(evidence: &Evidence) -> Timeline {
    let begin_us = evidence.span.from_us;
    let steps = ((evidence.span.to_us - begin_us) / STEP_US + 1) as usize;
    let step = |us: u64| ((us.saturating_sub(begin_us)) / STEP_US).min(steps as u64 - 1) as usize;
    let mut line = Timeline {
        step_us: STEP_US,
        begin_us,
        right: vec![0; steps],
        failed: vec![0; steps],
        failed_struck: vec![0; steps],
        commits: vec![0; steps],
        notes: evidence.notes.clone(),
        stalls: evidence.stalls.0.clone(),
        ..Timeline::default()
    };
    let mut times = vec![Vec::new(); steps];
    for record in &evidence.records {
        let at = step(record.span.to_us);
        match record.outcome.is_error() {
            true if evidence.is_struck(record) => line.failed_struck[at] += 1,
            true => line.failed[at] += 1,
            false if record.outcome == Outcome::Right => {
                line.right[at] += 1;
                times[at].push(record.span.to_us - record.span.from_us);
            }
            false => {}
        }
    }
    for write in evidence.writes.iter().filter(|write| write.end == End::Acknowledged) {
        line.commits[step(write.span.to_us)] += 1;
    }
    let p99 = |times: Vec<u64>| measure::quantile_ms(times.into_iter(), 0.99).unwrap_or_default();
    line.p99_ms = times.into_iter().map(p99).collect();
    let mut reigns = evidence.seen.reigns.clone();
    reigns.sort_by_key(|reign| reign.term);
    line.leaders = reigns.iter().map(|reign| (reign.at_us, reign.term, reign.site.to_string())).collect();
    line
}

#[cfg(test)]
mod tests;
