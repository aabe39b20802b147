//! What was measured against what was promised. Pure.

use serde::Serialize;

use super::{
    evidence::Evidence,
    measure,
    record::Outcome,
    scenario::{Expectation, Limit, Measure, Scenario},
};
use crate::limits::STALL_EXCUSE_MS;

/// How a promise fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    /// It is kept.
    Kept,
    /// It is broken.
    Broken,
    /// It looks broken, and the tool itself stood still at that time: nothing can be said.
    Unclear,
    /// It is broken, and the product is known to lack what it takes.
    Awaited,
    /// It could not be rehearsed here.
    NotRehearsed,
}

/// The verdict on one expectation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// The promise it is part of.
    pub(crate) promise: String,
    /// What was measured, and where.
    pub(crate) measure: String,
    /// What was measured; absent when there was nothing to measure.
    pub(crate) measured: Option<f64>,
    /// The gate.
    pub(crate) gate: String,
    /// How it fared.
    pub(crate) fate: Fate,
    /// Why it is not simply kept or broken.
    pub(crate) remark: Option<String>,
}

/// Verdicts on everything the scenario states, and on what always has to hold.
pub(crate) fn all(scenario: &Scenario, evidence: &Evidence) -> Vec<Verdict> {
    let stated = scenario.expectations.iter().map(|expectation| judge(expectation, evidence));
    stated.chain(always(evidence)).collect()
}

fn judge(expectation: &Expectation, evidence: &Evidence) -> Verdict {
    let measured = measure::take(evidence, expectation, false);
    let holds = measured.is_some_and(|value| expectation.limit.holds(value));
    let (fate, remark) = match (holds, &expectation.awaits) {
        (true, _) => (Fate::Kept, None),
        (false, _) if evidence.happened.is_empty() && !evidence.skipped.is_empty() => {
            (Fate::NotRehearsed, evidence.skipped.first().cloned())
        }
        (false, Some(awaited)) => (Fate::Awaited, Some(format!("awaits {awaited}"))),
        (false, None) => match excuse(expectation, evidence, measured) {
            Some(remark) => (Fate::Unclear, Some(remark)),
            None => (Fate::Broken, None),
        },
    };
    Verdict {
        promise: expectation.promise.clone(),
        measure: told(expectation),
        measured,
        gate: expectation.limit.to_string(),
        fate,
        remark,
    }
}

/// Whether the tool's own standing still may be why a timing looks broken.
fn excuse(expectation: &Expectation, evidence: &Evidence, measured: Option<f64>) -> Option<String> {
    if !expectation.measure.is_timing() {
        return None;
    }
    let is_latency =
        matches!(expectation.measure, Measure::LatencyP99Ms | Measure::ShedP99Ms | Measure::CommitP99Ms);
    let late_ms = evidence.late_p99_ms;
    if is_latency && measured.is_some_and(|value| expectation.limit.holds(value - late_ms)) {
        return Some(format!("this tool's own sleeper woke up {late_ms:.1} ms late at the same quantile"));
    }
    let window = measure::window(evidence, expectation);
    let lost_ms = evidence.stalls.lost_ms(window);
    if lost_ms < STALL_EXCUSE_MS {
        return None;
    }
    let patient = measure::take(evidence, expectation, true);
    let counts = patient.is_some_and(|value| expectation.limit.holds(value));
    let times = match (expectation.measure, expectation.limit, measured) {
        (Measure::GoodputPercent, ..) => true,
        (Measure::LeaderChanges | Measure::LeaderChangesHealed | Measure::ElectionsPerMinute, ..) => true,
        (_, Limit::AtMost(most), Some(value)) => value - lost_ms <= most,
        _ => false,
    };
    (counts || times).then(|| format!("this tool itself stood still for {lost_ms:.0} ms of that time"))
}

/// What holds whatever happens.
fn always(evidence: &Evidence) -> Vec<Verdict> {
    let found = &evidence.findings;
    let wrong = evidence.records.iter().filter(|record| record.outcome == Outcome::Wrong).count();
    let unsent = evidence.records.iter().filter(|record| record.outcome == Outcome::Unsent).count();
    let zero = |measure: &str, value: u64| verdict(measure, Some(value as f64), value == 0, "0");
    let recovery_ms = evidence.recovered_us.map(|us| us.saturating_sub(evidence.trouble.to_us) as f64 / 1e3);
    let mut all = vec![
        zero("acknowledged writes lost on some node", found.lost),
        zero("values that nobody wrote", found.unexplained),
        zero("registers whose history is not linearizable", found.not_linearizable),
        zero("linearizable reads that were stale", found.stale_reads),
        zero("state hashes that differ at the same index, or two leaders in a term", found.conflicts),
        zero("answers that belong to another request", wrong as u64),
        zero("nodes not at rest in the end", found.unsettled),
        zero("requests that the clients could not send", unsent as u64 + evidence.unkept),
        zero("packets that the emulated network had no room for", evidence.carried.refused),
    ];
    let is_well = recovery_ms.is_some_and(|ms| ms <= 15_000.0);
    all.push(verdict(
        "ms until everything is well after everything was undone",
        recovery_ms,
        is_well,
        "<= 15000",
    ));
    if let Some(last) = all.last_mut().filter(|_| !is_well && evidence.stalls.longest_ms() > 5_000.0) {
        last.fate = Fate::Unclear;
        last.remark =
            Some(format!("this tool itself stood still for {:.0} ms", evidence.stalls.longest_ms()));
    }
    all
}

fn verdict(measure: &str, measured: Option<f64>, kept: bool, gate: &str) -> Verdict {
    Verdict {
        promise: "all".into(),
        measure: measure.into(),
        measured,
        gate: gate.into(),
        fate: if kept { Fate::Kept } else { Fate::Broken },
        remark: None,
    }
}

fn told(expectation: &Expectation) -> String {
    let mut told = expectation.measure.name();
    if expectation.scope == super::scenario::Scope::Everywhere {
        told.push_str(", struck places too");
    }
    match (expectation.from_s, expectation.to_s) {
        (0.0, None) => {}
        (from_s, None) => told.push_str(&format!(", from {from_s} s")),
        (from_s, Some(to_s)) => told.push_str(&format!(", {from_s} to {to_s} s")),
    }
    told
}

impl Fate {
    /// For people.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "BROKEN",
            Self::Unclear => "unclear",
            Self::Awaited => "awaited",
            Self::NotRehearsed => "not rehearsed",
        }
    }
}

#[cfg(test)]
mod tests;
