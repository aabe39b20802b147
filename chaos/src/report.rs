//! What a storm found, as one document: a table for people or JSON for programs. Measures nothing itself.

use std::{collections::BTreeMap, fmt::Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::promise::Verdict;

/// The result of one storm.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    /// Repeats the same choices.
    pub(crate) seed: u64,
    /// Requests per second of each stream.
    pub(crate) requests_per_second: u32,
    /// Seconds from the first request to the last.
    pub(crate) seconds: f64,
    /// Outage by outage.
    pub(crate) rounds: Vec<Round>,
    /// Stream by stream.
    pub(crate) streams: Vec<StreamRow>,
    /// All writers together.
    pub(crate) writes: WriteRow,
    /// First acknowledged write sent after a kill.
    pub(crate) recovery_ms: Spread,
    /// The same, only where the leader was killed.
    pub(crate) recovery_leader_ms: Spread,
    /// Longest time without an acknowledged write, per round.
    pub(crate) write_gap_ms: Spread,
    /// From start to caught up, per round.
    pub(crate) catch_up_ms: Spread,
    /// Comparisons of two nodes' hashes at the same index.
    pub(crate) hashes_compared: u64,
    /// The promises.
    pub(crate) verdicts: Vec<Verdict>,
    /// What went wrong, with how often.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Whether every promise is kept.
    pub(crate) kept: bool,
}

/// One outage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// From 1.
    pub(crate) round: u32,
    /// Zone that was killed.
    pub(crate) az: String,
    /// Whether the leader was in it.
    pub(crate) leader: bool,
    /// From the kill to the first acknowledged write that was sent after it; absent when there was none in time.
    pub(crate) recovery_ms: Option<u64>,
    /// Longest time without an acknowledged write from the kill to the end of the round.
    pub(crate) write_gap_ms: u64,
    /// From the start of the process until it served what the others did.
    pub(crate) catch_up_ms: u64,
    /// Failed requests on the other zones.
    pub(crate) failed_survivors: u64,
    /// Failed requests through the balancer.
    pub(crate) failed_balancer: u64,
    /// Failed requests on the killed zone: expected.
    pub(crate) failed_killed: u64,
}

/// One stream of clients.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamRow {
    /// Zone, or `balancer`.
    pub(crate) stream: String,
    /// Requests with an outcome.
    pub(crate) total: u64,
    /// Failures that count.
    pub(crate) failed: u64,
    /// Failures while its zone was down.
    pub(crate) excused: u64,
    /// Requests sent a second time.
    pub(crate) retries: u64,
    /// Median latency from the scheduled time.
    pub(crate) p50_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
    /// Longest.
    pub(crate) max_ms: f64,
}

/// All writes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct WriteRow {
    /// Acknowledged.
    pub(crate) acknowledged: u64,
    /// Without a clear answer.
    pub(crate) uncertain: u64,
    /// Answered with a client error.
    pub(crate) blamed: u64,
    /// Acknowledged and gone or outdated on some node.
    pub(crate) lost: u64,
    /// Values nobody wrote.
    pub(crate) unexplained: u64,
}

/// Median and largest of a few figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    /// How many figures.
    pub(crate) count: usize,
    /// Median, the larger of the two in the middle.
    pub(crate) p50: u64,
    /// Largest.
    pub(crate) max: u64,
}

impl Spread {
    /// Of figures in any order.
    pub(crate) fn of(figures: impl IntoIterator<Item = u64>) -> Self {
        let mut figures: Vec<u64> = figures.into_iter().collect();
        figures.sort_unstable();
        let at = |index: usize| figures.get(index).copied().unwrap_or(0);
        Self { count: figures.len(), p50: at(figures.len() / 2), max: figures.last().copied().unwrap_or(0) }
    }
}

impl Round {
    /// The line that is shown when the round is over.
    pub(crate) fn line(&self, rounds: u32) -> String {
        let role = if self.leader { "leader" } else { "follower" };
        let recovery = self.recovery_ms.map_or("never".into(), |ms| format!("after {ms} ms"));
        format!(
            "round {}/{rounds}  kill -9 {} ({role})  next write {recovery}, longest gap {} ms  restart caught up in {} ms  \
             failed: survivors {}, balancer {}, killed zone {} (expected)",
            self.round,
            self.az,
            self.write_gap_ms,
            self.catch_up_ms,
            self.failed_survivors,
            self.failed_balancer,
            self.failed_killed
        )
    }
}

impl Report {
    /// The table.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "storm {}, seed {}: {} rounds, {:.0} s, {} requests/s per stream\n\n",
            self.scenario,
            self.seed,
            self.rounds.len(),
            self.seconds,
            self.requests_per_second
        );
        let rows = self.streams.iter().map(|row| {
            vec![
                row.stream.clone(),
                row.total.to_string(),
                row.failed.to_string(),
                row.excused.to_string(),
                row.retries.to_string(),
                format!("{:.1}", row.p50_ms),
                format!("{:.1}", row.p99_ms),
                format!("{:.1}", row.max_ms),
            ]
        });
        text += &table(
            &["STREAM", "REQUESTS", "FAILED", "WHILE DOWN", "RETRIED", "P50 ms", "P99 ms", "MAX ms"],
            rows.collect(),
        );
        text += &self.write_lines();
        let rows = self.verdicts.iter().map(|verdict| {
            let mark = if verdict.kept { "kept" } else { "BROKEN" };
            vec![
                mark.into(),
                verdict.sentence.into(),
                format!("{} {}", verdict.measured, verdict.unit),
                verdict.bound.to_string(),
            ]
        });
        text += &table(&["PROMISE", "", "MEASURED", "BOUND"], rows.collect());
        for (reason, count) in &self.reasons {
            let _ = write!(text, "\n  {count} x {reason}");
        }
        text
    }

    fn write_lines(&self) -> String {
        let spread = |name: &str, spread: &Spread| {
            format!(
                "{name:<28}p50 {:>5} ms   max {:>5} ms   ({} rounds)\n",
                spread.p50, spread.max, spread.count
            )
        };
        let writes = self.writes;
        let mut text = format!(
            "\n\nwrites                      {} acknowledged, {} uncertain, {} blamed, {} lost, {} unexplained\n",
            writes.acknowledged, writes.uncertain, writes.blamed, writes.lost, writes.unexplained
        );
        text += &spread("next write after a kill", &self.recovery_ms);
        text += &spread("  where the leader died", &self.recovery_leader_ms);
        text += &spread("longest gap of writes", &self.write_gap_ms);
        text += &spread("restart to caught up", &self.catch_up_ms);
        let _ =
            writeln!(text, "state hashes                {} compared at equal index\n", self.hashes_compared);
        text
    }
}

/// Aligned columns without rules.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.add_rows(rows);
    let trimmed: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    trimmed.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        for (figures, p50, max) in [(&[][..], 0, 0), (&[7], 7, 7), (&[9, 1, 5], 5, 9), (&[4, 3, 2, 1], 3, 4)]
        {
            let spread = Spread::of(figures.iter().copied());
            assert_eq!((spread.count, spread.p50, spread.max), (figures.len(), p50, max), "{figures:?}");
        }
    }
}
