//! One page that needs nothing else: time lines as SVG, promises, faults, and how to repeat it.

use std::fmt::Write;

use super::Report;
use crate::storm::verdict::Fate;

/// Size of a time line, in pixels.
const WIDTH: f64 = 1_100.0;
const HEIGHT: f64 = 110.0;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;max-width:1140px;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}\
h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin:2em 0 .4em}h3{font-size:.9em;margin:1em 0 0;font-weight:600}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25em .8em .25em 0;border-bottom:1px solid #e3e6ea;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.kept{color:#18794e}.broken{color:#c62a2f;font-weight:700}\
.unclear,.awaited,.not-rehearsed{color:#9a6700;font-weight:600}code{background:#f3f4f6;padding:.1em .4em;border-radius:3px}\
svg{width:100%;height:auto;background:#fafbfc;border:1px solid #e3e6ea}.muted{color:#6b7280}\
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e3e6ea}svg{background:#1b1f24;border-color:#30363d}\
td,th{border-color:#30363d}code{background:#22272e}.kept{color:#46c37b}.broken{color:#ff6369}}";

/// The page of some reports.
pub(crate) fn page(reports: &[Report]) -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    let _ = write!(
        page,
        "<meta name=\"viewport\" content=\"width=device-width\"><title>Tidegate storms</title><style>{STYLE}</style><body>"
    );
    if reports.len() > 1 {
        overview(&mut page, reports);
    }
    for report in reports {
        section(&mut page, report);
    }
    page.push_str("</body></html>\n");
    page
}

fn overview(page: &mut String, reports: &[Report]) {
    page.push_str(
        "<h1>Storms</h1><table><tr><th>Scenario<th>Promise<th>Outcome<th>Broken<th class=n>Seconds</tr>",
    );
    for report in reports {
        let broken: Vec<String> = report
            .verdicts
            .iter()
            .filter(|verdict| verdict.fate != Fate::Kept)
            .map(|verdict| format!("{} ({})", verdict.measure, verdict.fate.word()))
            .collect();
        let _ = write!(
            page,
            "<tr><td><a href=\"#{0}\">{0}</a><td>{1}<td class={2}>{3}<td>{4}<td class=n>{5:.0}</tr>",
            escaped(&report.scenario),
            escaped(&report.promise),
            class(&report.outcome),
            report.outcome.word(),
            escaped(&broken.join(", ")),
            report.seconds
        );
    }
    page.push_str("</table>");
}

fn section(page: &mut String, report: &Report) {
    let _ = write!(
        page,
        "<h1 id=\"{0}\">{0} <span class={1}>{2}</span></h1><p>{3}<br><span class=muted>{4}, seed {5}, {6:.0} s; again: </span><code>{7}</code></p>",
        escaped(&report.scenario),
        class(&report.outcome),
        report.outcome.word(),
        escaped(&report.summary),
        escaped(&report.promise),
        report.seed,
        report.seconds,
        escaped(&report.command)
    );
    charts(page, report);
    page.push_str(
        "<h2>Promises</h2><table><tr><th><th>Promise<th>Measure<th class=n>Measured<th class=n>Gate<th></tr>",
    );
    for verdict in &report.verdicts {
        let measured = verdict.measured.map_or("nothing".into(), |value| {
            format!("{:.2}", value).trim_end_matches('0').trim_end_matches('.').to_owned()
        });
        let _ = write!(
            page,
            "<tr><td class={}>{}<td>{}<td>{}<td class=n>{}<td class=n>{}<td class=muted>{}</tr>",
            class(&verdict.fate),
            verdict.fate.word(),
            escaped(&verdict.promise),
            escaped(&verdict.measure),
            measured,
            escaped(&verdict.gate),
            escaped(verdict.remark.as_deref().unwrap_or_default())
        );
    }
    page.push_str("</table><h2>Faults</h2><table><tr><th class=n>From s<th class=n>To s<th>What<th class=n>Longest without an answer, ms</tr>");
    for fault in &report.faults {
        let (from, to) = (report.at_s(fault.span.from_us), report.at_s(fault.span.to_us));
        let _ = write!(
            page,
            "<tr><td class=n>{from:.1}<td class=n>{to:.1}<td>{}<td class=n>{:.0}</tr>",
            escaped(&fault.told),
            fault.unavailable_ms
        );
    }
    page.push_str("</table>");
    clients(page, report);
    remarks(page, report);
}

fn clients(page: &mut String, report: &Report) {
    page.push_str("<h2>Clients</h2><table><tr><th>Region<th>Class<th class=n>Requests<th class=n>Failed<th class=n>Failed at struck places<th class=n>Longest without, ms<th class=n>p50, ms<th class=n>p99, ms</tr>");
    for row in &report.clients {
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{:.0}<td class=n>{:.1}<td class=n>{:.1}</tr>",
            row.region,
            row.class,
            row.total,
            row.failed,
            row.failed_struck,
            row.unavailable_ms,
            row.p50_ms,
            row.p99_ms
        );
    }
    let writes = &report.writes;
    let _ = write!(
        page,
        "</table><p>Writes: {} acknowledged, {} refused, {} blamed, {} silent; p50 {:.0} ms, p99 {:.0} ms, longest gap {:.0} ms.</p>",
        writes.acknowledged,
        writes.refused,
        writes.blamed,
        writes.silent,
        writes.p50_ms,
        writes.p99_ms,
        writes.gap_ms
    );
}

fn remarks(page: &mut String, report: &Report) {
    page.push_str("<h2>Remarks</h2><ul>");
    for told in &report.not_rehearsed {
        let _ = write!(page, "<li>not rehearsed: {}", escaped(told));
    }
    let (count, longest_ms) = report.stalls;
    let _ = write!(page, "<li>this tool itself stood still {count} times, {longest_ms:.0} ms at most");
    let (cost, carried) = (&report.network_cost, &report.network);
    let _ = write!(
        page,
        "<li>the emulated network by itself: {} us round trip, {} packets/s, {} ns of a processor per packet; carried {} packets, {} cut, {} lost, the latest {} us late",
        cost.rtt_us,
        cost.packets_per_s,
        cost.cpu_ns_per_packet,
        carried.packets,
        carried.cut,
        carried.lost,
        carried.late_us
    );
    for problem in &report.findings.problems {
        let _ = write!(page, "<li>{}", escaped(problem));
    }
    for (reason, count) in &report.reasons {
        let _ = write!(page, "<li>{count} × {}", escaped(reason));
    }
    page.push_str("</ul><h2>Course</h2><table>");
    for (at_us, note) in &report.timeline.notes {
        let _ = write!(page, "<tr><td class=n>{:.2}<td>{}</tr>", report.at_s(*at_us), escaped(note));
    }
    page.push_str("</table>");
}

fn charts(page: &mut String, report: &Report) {
    let line = &report.timeline;
    let per_second = |counts: &[u64]| -> Vec<f64> {
        counts.iter().map(|count| *count as f64 * 1e6 / line.step_us as f64).collect()
    };
    for (title, colour, values) in [
        ("Right answers per second", "#2f81f7", per_second(&line.right)),
        ("Failed requests per second, at places that were well", "#e5484d", per_second(&line.failed)),
        ("Failed requests per second, at struck places", "#f5a623", per_second(&line.failed_struck)),
        ("99th percentile of the latency, ms", "#8e4ec6", line.p99_ms.clone()),
        ("Acknowledged writes per second", "#30a46c", per_second(&line.commits)),
    ] {
        chart(page, report, title, colour, &values);
    }
    leaders(page, report);
}

/// One time line: faults as bands, times in which the tool stood still as grey bands, values as an area.
fn chart(page: &mut String, report: &Report, title: &str, colour: &str, values: &[f64]) {
    let most = values.iter().copied().fold(0.0, f64::max);
    let scale = if most > 0.0 { (HEIGHT - 18.0) / most } else { 0.0 };
    let _ = write!(
        page,
        "<h3>{title} <span class=muted>(at most {most:.0})</span></h3><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\">"
    );
    bands(page, report);
    let step = WIDTH / values.len().max(1) as f64;
    let _ = write!(page, "<path fill=\"{colour}\" fill-opacity=\".55\" d=\"M0 {HEIGHT}");
    for (place, value) in values.iter().enumerate() {
        let (left, top) = (place as f64 * step, HEIGHT - value * scale);
        let _ = write!(page, "L{left:.1} {top:.1}L{:.1} {top:.1}", left + step);
    }
    let _ = write!(page, "L{WIDTH} {HEIGHT}Z\"/></svg>");
}

fn bands(page: &mut String, report: &Report) {
    let band = |page: &mut String, from_us: u64, to_us: u64, colour: &str, told: &str| {
        let (left, right) = (place(report, from_us), place(report, to_us));
        let _ = write!(
            page,
            "<rect x=\"{left:.1}\" width=\"{:.1}\" y=\"0\" height=\"{HEIGHT}\" fill=\"{colour}\" fill-opacity=\".13\"><title>{}</title></rect>",
            (right - left).max(1.0),
            escaped(told)
        );
    };
    for fault in &report.faults {
        band(page, fault.span.from_us, fault.span.to_us, "#e5484d", &fault.told);
        let left = place(report, fault.span.from_us) + 3.0;
        let _ = write!(
            page,
            "<text x=\"{left:.1}\" y=\"12\" font-size=\"11\" fill=\"currentColor\">{}</text>",
            escaped(fault.fault)
        );
    }
    for stall in &report.timeline.stalls {
        band(page, stall.from_us, stall.to_us, "#6b7280", "this tool itself stood still");
    }
}

fn leaders(page: &mut String, report: &Report) {
    page.push_str("<h3>Leader of the configuration</h3>");
    let _ = write!(page, "<svg viewBox=\"0 0 {WIDTH} 34\">");
    let line = &report.timeline;
    let end_us = line.begin_us + line.right.len() as u64 * line.step_us;
    for (number, (from_us, term, who)) in line.leaders.iter().enumerate() {
        let to_us = line.leaders.get(number + 1).map_or(end_us, |(next_us, ..)| *next_us);
        let (left, right) = (place(report, *from_us), place(report, to_us));
        let colour = ["#2f81f7", "#30a46c", "#8e4ec6", "#f5a623"][number % 4];
        let _ = write!(
            page,
            "<rect x=\"{left:.1}\" width=\"{:.1}\" y=\"4\" height=\"26\" fill=\"{colour}\" fill-opacity=\".35\"/><text x=\"{:.1}\" y=\"21\" font-size=\"11\" fill=\"currentColor\">{} term {term}</text>",
            (right - left).max(1.0),
            left + 4.0,
            escaped(who)
        );
    }
    page.push_str("</svg>");
}

fn place(report: &Report, at_us: u64) -> f64 {
    let line = &report.timeline;
    let whole = (line.right.len() as u64 * line.step_us).max(1) as f64;
    (at_us.saturating_sub(line.begin_us) as f64 / whole).min(1.0) * WIDTH
}

fn class(fate: &Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Broken => "broken",
        Fate::Unclear => "unclear",
        Fate::Awaited => "awaited",
        Fate::NotRehearsed => "not-rehearsed",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
