//! The figures of a run: which there are, how they are shown, and how several runs become one. Owns names and units; computes
//! none.

use serde::{Serialize, Serializer, ser::SerializeMap};

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Admitted beyond the limits, in percent of what the ideal admits; short limits only.
    Over,
    /// Most tokens beyond burst and rate of any limit over any window, in seconds of its rate.
    ExcessSeconds,
    /// The same in tokens.
    ExcessTokens,
    /// [`Figure::Over`] in the 20 s after the first fault.
    OverAfterFault,
    /// Admitted within the limits, in percent of what the ideal admits; short limits only.
    Fill,
    /// [`Figure::Fill`] in the 20 s after the first fault.
    FillAfterFault,
    /// Fill of the limit that is worse than 95 % of them.
    FillP05,
    /// Refused although a client stays below 70 % of its limit, in percent.
    FalseRejects,
    /// What part more or less than fair a node refuses of a short limit, in points, at the 95th percentile of limits.
    Unfairness,
    /// Messages between nodes per second.
    Messages,
    /// Their size.
    Kilobytes,
    /// Entries of the busiest log per second.
    Commits,
    /// Changes in all logs per second.
    Changes,
    /// Median wait for a decision.
    WaitP50,
    /// 99th percentile.
    WaitP99,
    /// Decisions that waited, in percent.
    Waited,
    /// Requests that waited and were refused, in percent.
    InVain,
    /// Seconds from the first fault until the fill stays at 95 %.
    Recovery,
}

/// How the figures of several runs become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    Mean,
    Largest,
}

struct Column {
    figure: Figure,
    key: &'static str,
    title: &'static str,
    decimals: usize,
    merge: Merge,
}

const COUNT: usize = 18;

const fn column(
    figure: Figure,
    key: &'static str,
    title: &'static str,
    decimals: usize,
    merge: Merge,
) -> Column {
    Column { figure, key, title, decimals, merge }
}

const COLUMNS: [Column; COUNT] = [
    column(Figure::Over, "over_percent", "OVER %", 3, Merge::Mean),
    column(Figure::ExcessSeconds, "excess_s", "EXCESS s", 2, Merge::Largest),
    column(Figure::ExcessTokens, "excess_tokens", "EXCESS", 0, Merge::Largest),
    column(Figure::OverAfterFault, "over_after_fault_percent", "OVER 20s %", 2, Merge::Mean),
    column(Figure::Fill, "fill_percent", "FILL %", 2, Merge::Mean),
    column(Figure::FillAfterFault, "fill_after_fault_percent", "FILL 20s %", 2, Merge::Mean),
    column(Figure::FillP05, "fill_p05_percent", "FILL P05 %", 1, Merge::Mean),
    column(Figure::FalseRejects, "false_rejects_percent", "FALSE %", 3, Merge::Mean),
    column(Figure::Unfairness, "unfairness_points", "UNFAIR", 1, Merge::Mean),
    column(Figure::Messages, "messages_per_s", "MSG/s", 0, Merge::Mean),
    column(Figure::Kilobytes, "kilobytes_per_s", "kB/s", 0, Merge::Mean),
    column(Figure::Commits, "commits_per_s", "COMMIT/s", 1, Merge::Mean),
    column(Figure::Changes, "changes_per_s", "CHANGE/s", 0, Merge::Mean),
    column(Figure::WaitP50, "wait_p50_ms", "WAIT P50 ms", 2, Merge::Mean),
    column(Figure::WaitP99, "wait_p99_ms", "P99 ms", 2, Merge::Mean),
    column(Figure::Waited, "waited_percent", "WAITED %", 3, Merge::Mean),
    column(Figure::InVain, "in_vain_percent", "IN VAIN %", 3, Merge::Mean),
    column(Figure::Recovery, "recovery_s", "RECOVER s", 2, Merge::Largest),
];

/// All figures of a run; absent ones are not a number.
#[derive(Clone, Debug)]
pub(crate) struct Figures([f64; COUNT]);

impl Figures {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self([f64::NAN; COUNT])
    }

    /// A figure; not a number when absent.
    pub(crate) fn get(&self, figure: Figure) -> f64 {
        COLUMNS.iter().zip(self.0).find(|(c, _)| c.figure == figure).map_or(f64::NAN, |(_, value)| value)
    }

    /// Sets a figure.
    pub(crate) fn set(&mut self, figure: Figure, value: f64) {
        for (column, slot) in COLUMNS.iter().zip(&mut self.0) {
            if column.figure == figure {
                *slot = value;
            }
        }
    }

    /// Several runs in one: means, and the worst where only the worst matters.
    pub(crate) fn merge(runs: &[Self]) -> Self {
        let mut merged = Self::new();
        for (at, (column, slot)) in COLUMNS.iter().zip(&mut merged.0).enumerate() {
            let values: Vec<f64> = runs.iter().map(|run| run.0[at]).filter(|v| v.is_finite()).collect();
            if values.is_empty() {
                continue;
            }
            *slot = match column.merge {
                Merge::Mean => values.iter().sum::<f64>() / values.len() as f64,
                Merge::Largest => values.iter().copied().fold(f64::MIN, f64::max),
            };
        }
        merged
    }

    /// The headings of [`Self::cells`].
    pub(crate) fn titles() -> Vec<&'static str> {
        COLUMNS.iter().map(|column| column.title).collect()
    }

    /// Each figure as text.
    pub(crate) fn cells(&self) -> Vec<String> {
        let cell = |(column, value): (&Column, &f64)| {
            if value.is_finite() { format!("{value:.*}", column.decimals) } else { "-".into() }
        };
        COLUMNS.iter().zip(&self.0).map(cell).collect()
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COUNT))?;
        for (column, value) in COLUMNS.iter().zip(&self.0) {
            map.serialize_entry(column.key, &value.is_finite().then_some(value))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_runs_become_one() {
        let run = |over: f64, excess: f64| {
            let mut figures = Figures::new();
            figures.set(Figure::Over, over);
            figures.set(Figure::ExcessTokens, excess);
            figures
        };
        let merged = Figures::merge(&[run(1.0, 1.0), run(3.0, 3.0), run(f64::NAN, 2.0)]);
        assert_eq!((merged.get(Figure::Over), merged.get(Figure::ExcessTokens)), (2.0, 3.0));
        assert!(merged.get(Figure::Fill).is_nan());
        assert_eq!(merged.cells()[0], "2.000");
        assert_eq!(Figures::titles().len(), merged.cells().len());
    }
}
