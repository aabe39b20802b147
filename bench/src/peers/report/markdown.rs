//! The report that is kept in the repository.

use std::fmt::Write;

use super::{chart_name, figure, figure_if_any};
use crate::peers::{
    gate::Verdict,
    results::{Comparison, Results},
};

/// The whole report.
pub(crate) fn markdown(results: &Results) -> String {
    let mut out = String::from("# Tidegate against its peers\n\n");
    preface(&mut out, results);
    gates(&mut out, results);
    for comparison in &results.scenarios {
        scenario(&mut out, comparison);
    }
    gateways(&mut out, results);
    out
}

// Writing to a string cannot fail, so the results of `write!` are dropped in this file.

fn preface(out: &mut String, results: &Results) {
    let machine = &results.machine;
    let _ = write!(
        out,
        "Made by `cargo run --release -p tidegate-bench -- peers` on {}: {} rounds of {} s per scenario, {} with {} processors, \
         Linux {}.\n\n\
         All gateways run at the same time on one processor and are driven in turn, round after round; clients and origin are one \
         process on another processor. The figure is the processor time of the gateway's processes per request at full load \
         (`schedstat`), median over rounds, so other work on the machine moves it little. `+-` is half of the range over rounds. \
         Status and length of every answer are checked; one wrong answer fails a gateway in a scenario. Where answers come from a \
         cache, the origin may see one request in a whole round, and requests carry no `Authorization`: shared caches refuse to \
         answer those. `tidegate` has everything \
         switched on (200 routes, access log, metrics, request ids, deadlines, a ceiling on requests); the peers log nothing. \
         `floor` copies bytes between two sockets and understands none of them: no proxy on these system calls can be cheaper.\n\n",
        results.date,
        results.rounds,
        results.seconds,
        escaped(&machine.processor),
        machine.processors,
        escaped(&machine.kernel),
    );
}

fn gates(out: &mut String, results: &Results) {
    out.push_str("## Gates\n\n| gate | verdict | measured |\n|---|---|---|\n");
    for judged in &results.gates {
        let (word, detail) = match &judged.verdict {
            Verdict::Kept(value) => ("kept", judged.gate.value_text(*value)),
            Verdict::Missed(value) => ("**missed**", judged.gate.value_text(*value)),
            Verdict::NotMeasured(reason) => ("not measured", first_line(reason)),
        };
        let _ = writeln!(out, "| {} | {word} | {} |", judged.text, escaped(&detail));
    }
    out.push('\n');
}

fn scenario(out: &mut String, comparison: &Comparison) {
    let _ = write!(
        out,
        "## {}\n\n![{} by gateway]({})\n\n| {} | {} | +- | x nginx | req/s | p50 us | p99 us | busy |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
        comparison.title,
        comparison.unit,
        chart_name(comparison.name),
        comparison.name,
        comparison.unit,
    );
    for row in &comparison.rows {
        let name = row.kind.name();
        let _ = match &row.measured {
            Ok(measured) => writeln!(
                out,
                "| {name} | {} | {:.0} % | {} | {} | {} | {} | {:.0} % |",
                figure(measured.figure.median),
                measured.figure.noise() * 100.0,
                comparison.ratio(row).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                figure_if_any(measured.requests_per_second.round()),
                figure_if_any(measured.p50_us),
                figure_if_any(measured.p99_us),
                measured.gateway_busy * 100.0,
            ),
            Err(gap) => writeln!(out, "| {name} | {} | | | | | | |", escaped(&first_line(&gap.to_string()))),
        };
    }
    out.push('\n');
}

fn gateways(out: &mut String, results: &Results) {
    out.push_str("## Versions\n\n| gateway | version |\n|---|---|\n");
    for participant in &results.gateways {
        let version = participant.version.as_ref().unwrap_or_else(|absent| absent);
        let _ = writeln!(out, "| {} | {} |", participant.kind.name(), escaped(&first_line(version)));
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn the_report_holds_gates_charts_and_versions() {
        let text = markdown(&results(8));
        for part in [
            "| proxy-128: CPU &lt;= 0.78 x nginx | **missed** | 0.802 x |",
            "| tidegate | 8.10 | 1 % | 0.80 | 1,000 | 500 | 900 | 1 % |",
            "| haproxy | FAILED: 3 x wrong status | | | | | | |",
            "](proxy-128.svg)",
            "| envoy | envoy is not here |",
            "P &amp; &lt;Q> with 2 processors",
        ] {
            let found = text.contains(part) || text.contains(&part.replace("&lt;=", "<="));
            assert!(found, "{part} is not in\n{text}");
        }
        assert_eq!(text.matches("not measured").count(), 17);
    }
}
