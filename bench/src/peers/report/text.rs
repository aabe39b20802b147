//! Results for a terminal.

use comfy_table::{CellAlignment, Table, presets};

use super::{figure, figure_if_any};
use crate::peers::{
    gate::Verdict,
    results::{Comparison, Judged, Results},
};

/// One table per scenario, then all promises.
pub(crate) fn text(results: &Results) -> String {
    let scenarios = results.scenarios.iter().map(scenario);
    scenarios.chain([gates(&results.gates)]).collect::<Vec<_>>().join("\n\n")
}

fn scenario(comparison: &Comparison) -> String {
    let unit = comparison.unit.to_uppercase();
    let header = ["GATEWAY", &unit, "+-", "x NGINX", "REQ/S", "P50 us", "P99 us", "BUSY", "DISTURBED", ""];
    let rows = comparison.rows.iter().map(|row| {
        let mut cells = vec![row.kind.name().to_owned()];
        match &row.measured {
            Ok(measured) => {
                let percent = |share: f64| format!("{:.0} %", share * 100.0);
                cells.extend([
                    figure(measured.figure.median),
                    percent(measured.figure.noise()),
                    comparison.ratio(row).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                    figure_if_any(measured.requests_per_second.round()),
                    figure_if_any(measured.p50_us),
                    figure_if_any(measured.p99_us),
                    percent(measured.gateway_busy),
                    percent(measured.disturbance),
                    String::new(),
                ]);
            }
            Err(gap) => {
                cells.extend((0..header.len() - 2).map(|_| String::new()));
                cells.push(gap.to_string().lines().next().unwrap_or_default().chars().take(90).collect());
            }
        }
        cells
    });
    format!("{}: {}\n{}", comparison.name, comparison.title, columns(&header, rows))
}

fn gates(gates: &[Judged]) -> String {
    let rows = gates.iter().map(|judged| {
        let (word, detail) = match &judged.verdict {
            Verdict::Kept(value) => ("kept", judged.gate.value_text(*value)),
            Verdict::Missed(value) => ("MISSED", judged.gate.value_text(*value)),
            Verdict::NotMeasured(reason) => {
                ("not measured", reason.lines().next().unwrap_or_default().chars().take(90).collect())
            }
        };
        vec![judged.text.clone(), word.to_owned(), detail]
    });
    columns(&["GATE", "VERDICT", ""], rows)
}

/// Aligned columns without rules; all but the first and last to the right when there are many.
fn columns(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    rows.for_each(|row| {
        table.add_row(row);
    });
    let last = header.len() - 1;
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if header.len() > 4 && at > 0 && at < last {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let trimmed: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    trimmed.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn ratios_failures_and_verdicts_are_shown() {
        let text = text(&results(7));
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("tidegate").contains("7.10") && line("tidegate").contains("0.70"), "{text}");
        assert!(line("haproxy").contains("FAILED: 3 x wrong status"), "{text}");
        assert!(line("proxy-128: CPU <= 0.78 x nginx").contains("kept"), "{text}");
        assert!(line("local: CPU").contains("not measured"), "{text}");
    }
}
