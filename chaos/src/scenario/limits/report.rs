//! What `storm limits` found, as one document: tables for people or JSON for programs. Measures nothing itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    judge::{ClientRow, Phase, Row, seconds},
    promise::Verdict,
};
use crate::report::table;

/// The result of one storm.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LimitsReport {
    pub(super) scenario: &'static str,
    /// Repeats the same choices.
    pub(super) seed: u64,
    /// How to run it again.
    pub(super) command: String,
    /// Seconds from the first request to the last.
    pub(super) seconds: f64,
    pub(super) phases: Vec<Phase>,
    pub(super) rows: Vec<Row>,
    pub(super) clients: Vec<ClientRow>,
    pub(super) quotas: Vec<QuotaRow>,
    /// From sending to arrival at the upstream, over all admitted requests.
    pub(super) delay: Delay,
    /// Datagrams between zones that were forwarded, and that were dropped.
    pub(super) datagrams: (u64, u64),
    pub(super) verdicts: Vec<Verdict>,
    /// Why requests to zones that were up have no answer, with how often.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Whether every promise is kept.
    pub(crate) kept: bool,
}

/// One quota over the whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct QuotaRow {
    pub(super) quota: &'static str,
    pub(super) limit: u64,
    /// Requests that had arrived at the upstream when the first fault began; only where it was used up by then.
    pub(super) by_steady: Option<u64>,
    /// Requests that arrived at the upstream in all.
    pub(super) admitted: u64,
    /// As `GetUsage` has it in the end.
    pub(super) used: u64,
    /// As `GetUsage` has it in the end.
    pub(super) remaining: u64,
}

/// Milliseconds between sending and arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Delay {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Delay {
    /// Of delays in microseconds, in any order.
    pub(super) fn of(mut delays_us: Vec<u64>) -> Self {
        delays_us.sort_unstable();
        let at = |percent: usize| {
            let place = delays_us.len().saturating_sub(1) * percent / 100;
            delays_us.get(place).copied().unwrap_or(0) as f64 / 1e3
        };
        Self { p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

impl LimitsReport {
    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("storm {}, seed {}: {:.0} s\n\n", self.scenario, self.seed, self.seconds);
        text += &self.phase_table();
        text += "\n\n";
        text += &self.limit_table();
        text += "\n\n";
        text += &self.client_table();
        text += "\n\n";
        text += &self.quota_table();
        let Delay { p50_ms, p99_ms, max_ms } = self.delay;
        text += &format!(
            "\n\nOVER counts the requests that no delay can excuse: each was admitted at some moment between its sending and its\n\
             arrival at the upstream (p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.0} ms). ARRIVED OVER counts as if each were admitted on arrival.\n\
             datagrams between zones: {} carried, {} dropped\n\n",
            self.datagrams.0, self.datagrams.1
        );
        text += &self.verdict_table();
        for (reason, count) in &self.reasons {
            text += &format!("\n  {count} x {reason}");
        }
        text += &format!("\n\nrepeat with: {}", self.command);
        text
    }

    fn phase_table(&self) -> String {
        let row = |(number, phase): (usize, &Phase)| {
            let from_s = phase.span.from_us as f64 / 1e6;
            vec![
                (number + 1).to_string(),
                name(phase),
                format!("{from_s:.1}"),
                format!("{:.1}", seconds(phase.span)),
                phase.elections.to_string(),
                phase.what.clone(),
            ]
        };
        let rows = self.phases.iter().enumerate().map(row).collect();
        table(&["PHASE", "", "FROM s", "LASTS s", "ELECTIONS", "WHAT HAPPENS"], rows)
    }

    fn limit_table(&self) -> String {
        let row = |row: &Row| {
            let recovery = row.recovery_ms.map_or("-".into(), |ms| format!("{:.2}", ms as f64 / 1e3));
            vec![
                (row.phase + 1).to_string(),
                row.limit.to_owned(),
                format!("{}/s + {}", row.rate.per_s, row.rate.burst),
                row.asked.to_string(),
                row.admitted.to_string(),
                row.ideal.to_string(),
                format!("{:.1}", row.fill_percent),
                row.over.to_string(),
                format!("{:.2}", row.over_percent),
                row.over_at_arrival.to_string(),
                recovery,
            ]
        };
        let header = [
            "PHASE",
            "LIMIT",
            "RATE + BURST",
            "ASKED",
            "ADMITTED",
            "IDEAL",
            "FILL %",
            "OVER",
            "OVER %",
            "ARRIVED OVER",
            "RECOVERY s",
        ];
        table(&header, self.rows.iter().map(row).collect())
    }

    fn client_table(&self) -> String {
        let row = |row: &ClientRow| {
            let note = if row.struck { "its own zone is struck" } else { "" };
            vec![
                (row.phase + 1).to_string(),
                row.client.to_owned(),
                row.asked.to_string(),
                row.refused.to_string(),
                note.to_owned(),
            ]
        };
        let rows = self.clients.iter().filter(|row| row.refused > 0).map(row);
        let (asked, refused) =
            self.clients.iter().fold((0, 0), |sum, row| (sum.0 + row.asked, sum.1 + row.refused));
        let all = ["all".into(), "modest".into(), asked.to_string(), refused.to_string(), String::new()];
        table(&["PHASE", "CLIENT", "ASKED", "REFUSED", ""], rows.chain([all.to_vec()]).collect())
    }

    fn quota_table(&self) -> String {
        let row = |row: &QuotaRow| {
            vec![
                row.quota.to_owned(),
                row.limit.to_string(),
                row.by_steady.map_or("-".into(), |count| count.to_string()),
                row.admitted.to_string(),
                row.used.to_string(),
                row.remaining.to_string(),
            ]
        };
        let header = ["QUOTA", "LIMIT", "BEFORE FAULTS", "ADMITTED", "USED", "REMAINING"];
        table(&header, self.quotas.iter().map(row).collect())
    }

    fn verdict_table(&self) -> String {
        let row = |verdict: &Verdict| {
            let mark = if verdict.kept { "kept" } else { "BROKEN" };
            let measured = (verdict.measured * 100.0).round() / 100.0;
            vec![
                mark.to_owned(),
                verdict.sentence.to_owned(),
                format!("{measured} {}", verdict.unit),
                verdict.bound.to_string(),
                verdict.place.clone(),
            ]
        };
        table(&["PROMISE", "", "WORST", "BOUND", "WHERE"], self.verdicts.iter().map(row).collect())
    }
}

fn name(phase: &Phase) -> String {
    serde_json::to_value(phase.stage).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays() {
        assert_eq!(Delay::of(Vec::new()), Delay::default());
        let delay = Delay::of((0..=100).rev().map(|i| i * 1_000).collect());
        assert_eq!(delay, Delay { p50_ms: 50.0, p99_ms: 99.0, max_ms: 100.0 });
    }
}
