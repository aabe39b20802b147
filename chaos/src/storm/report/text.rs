//! The table at the end of a run.

use std::fmt::Write;

use super::Report;
use crate::{lab::site::Ground, report::table};

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let layout = &self.layout;
        let mut text = format!(
            "\nstorm {} ({}), seed {}: {:.0} s, {} region(s) of {} zone(s), {} ms between regions\n",
            self.scenario,
            self.promise,
            self.seed,
            self.seconds,
            layout.regions,
            layout.azs,
            layout.wan_rtt_ms
        );
        self.network_lines(&mut text);
        for fault in &self.faults {
            let (from, to) = (self.at_s(fault.span.from_us), self.at_s(fault.span.to_us));
            let _ = writeln!(
                text,
                "  {from:>6.1} to {to:.1} s  {}; longest without an answer {:.0} ms",
                fault.told, fault.unavailable_ms
            );
        }
        text.push('\n');
        text += &self.client_table();
        let writes = &self.writes;
        let _ = writeln!(
            text,
            "\nwrites: {} acknowledged, {} refused, {} blamed, {} silent; p50 {:.0} ms, p99 {:.0} ms, longest gap {:.0} ms; {} operations on registers judged\n",
            writes.acknowledged,
            writes.refused,
            writes.blamed,
            writes.silent,
            writes.p50_ms,
            writes.p99_ms,
            writes.gap_ms,
            self.findings.deeds
        );
        text += &self.verdict_table();
        for told in &self.not_rehearsed {
            let _ = write!(text, "\nnot rehearsed: {told}");
        }
        for (reason, count) in &self.reasons {
            let _ = write!(text, "\n  {count} x {reason}");
        }
        for problem in &self.findings.problems {
            let _ = write!(text, "\n  {problem}");
        }
        let _ = write!(text, "\n{}; again: {}", self.outcome.word(), self.command);
        text
    }

    fn network_lines(&self, text: &mut String) {
        if self.ground == Ground::Namespaces {
            let (cost, carried) = (&self.network_cost, &self.network);
            let _ = writeln!(
                text,
                "network: {} us round trip and {} packets/s ({} Mbit/s) by itself, {} ns of a processor per packet; carried {} packets, {} cut, {} lost, the latest {} us late",
                cost.rtt_us,
                cost.packets_per_s,
                cost.mbit_per_s,
                cost.cpu_ns_per_packet,
                carried.packets,
                carried.cut,
                carried.lost,
                carried.late_us
            );
        }
        let (count, longest_ms) = self.stalls;
        let _ = writeln!(
            text,
            "this tool itself stood still {count} times, {longest_ms:.0} ms at most; 99 of 100 of its naps ended at most {:.1} ms late\n",
            self.late_p99_ms
        );
    }

    fn client_table(&self) -> String {
        let rows = self.clients.iter().map(|row| {
            vec![
                row.region.clone(),
                row.class.to_owned(),
                row.total.to_string(),
                row.failed.to_string(),
                row.failed_struck.to_string(),
                format!("{:.0}", row.unavailable_ms),
                format!("{:.1}", row.p50_ms),
                format!("{:.1}", row.p99_ms),
            ]
        });
        let header = [
            "REGION",
            "CLASS",
            "REQUESTS",
            "FAILED",
            "AT STRUCK PLACES",
            "LONGEST WITHOUT ms",
            "P50 ms",
            "P99 ms",
        ];
        table(&header, rows.collect()) + "\n"
    }

    fn verdict_table(&self) -> String {
        let rows = self.verdicts.iter().map(|verdict| {
            let measured = verdict.measured.map_or("nothing".into(), |value| match value.fract() == 0.0 {
                true => format!("{value:.0}"),
                false => format!("{value:.2}"),
            });
            vec![
                verdict.fate.word().into(),
                verdict.promise.clone(),
                verdict.measure.clone(),
                measured,
                verdict.gate.clone(),
                verdict.remark.clone().unwrap_or_default(),
            ]
        });
        table(&["", "PROMISE", "", "MEASURED", "GATE", ""], rows.collect()) + "\n"
    }

    /// Seconds since the first request.
    pub(super) fn at_s(&self, at_us: u64) -> f64 {
        (at_us as f64 - self.timeline.begin_us as f64) / 1e6
    }
}
