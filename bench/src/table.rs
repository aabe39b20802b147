//! Prints measurements: a table for people, JSON for programs.

use comfy_table::{Table, presets};
use serde::Serialize;

/// A measured case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Subject.
    pub group: &'static str,
    /// What was measured.
    pub name: String,
    /// Nanoseconds of processor time per operation, batch at the 10th percentile.
    pub p10_ns: f64,
    /// Nanoseconds per operation, median batch.
    pub median_ns: f64,
    /// Nanoseconds per operation, 90th percentile of batches.
    pub p90_ns: f64,
    /// `p10_ns` must be below this, or below `sum_ns`.
    pub bound_ns: Option<f64>,
    /// Or below this, which other cases of the run take together.
    pub sum_ns: Option<f64>,
    /// Whether it is; absent without a bound.
    pub kept: Option<bool>,
}

/// Aligned columns without rules.
pub fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["GROUP", "WHAT", "P10 ns", "MEDIAN", "P90", "BOUND", ""]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        let verdict = match row.kept {
            None => "",
            Some(true) => "ok",
            Some(false) => "MISSED",
        };
        let mut bound = row.bound_ns.map_or(String::new(), |bound| format!("< {}", figure(bound)));
        if let Some(sum_ns) = row.sum_ns {
            bound += &format!(" or {}", figure(sum_ns));
        }
        let [p10, median, p90] = [row.p10_ns, row.median_ns, row.p90_ns].map(figure);
        table.add_row([row.group, &row.name, &p10, &median, &p90, &bound, verdict]);
    }
    let trimmed: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    trimmed.join("\n")
}

/// Nanoseconds with thousands apart, one decimal below 100.
fn figure(ns: f64) -> String {
    if ns < 100.0 {
        return format!("{ns:.1}");
    }
    thousands(ns)
}

/// A whole number with thousands apart.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (ns, expect) in
            [(0.0, "0.0"), (99.94, "99.9"), (150.4, "150"), (1_000.0, "1,000"), (12_345_678.0, "12,345,678")]
        {
            assert_eq!(figure(ns), expect);
        }
    }
}
