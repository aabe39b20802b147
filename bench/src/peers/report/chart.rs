//! One bar chart per scenario as SVG, readable on light and dark pages.

use std::fmt::Write;

use super::figure;
use crate::peers::results::{Comparison, Row};

const WIDTH: f64 = 720.0;
const LABEL_WIDTH: f64 = 120.0;
const VALUE_WIDTH: f64 = 180.0;
const ROW_HEIGHT: f64 = 26.0;
const TOP: f64 = 52.0;

/// Bars to the median, a thin line from the least to the most round, lower is better.
pub(crate) fn svg(comparison: &Comparison) -> String {
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| row.measured.is_ok()).collect();
    let most = rows
        .iter()
        .filter_map(|row| row.measured.as_ref().ok())
        .map(|measured| measured.figure.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + ROW_HEIGHT * rows.len() as f64 + 12.0;
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{title}">
<style>
text {{ font: 13px system-ui, sans-serif; fill: #24292f }}
.title {{ font-weight: 600; font-size: 15px }}
.faint {{ fill: #6e7781 }}
.bar {{ fill: #8c959f }}
.ours {{ fill: #0a7ea4 }}
.range {{ stroke: #24292f; stroke-width: 1.5 }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #e6edf3 }}
  .faint {{ fill: #9198a1 }}
  .bar {{ fill: #656c76 }}
  .ours {{ fill: #3fb6dc }}
  .range {{ stroke: #e6edf3 }}
}}
</style>
<text class="title" x="8" y="20">{title}</text>
<text class="faint" x="8" y="38">{unit}, median of interleaved rounds, lower is better</text>
"##,
        title = escaped(comparison.title),
        unit = escaped(comparison.unit),
    );
    for (at, row) in rows.into_iter().enumerate() {
        bar(&mut out, comparison, row, TOP + ROW_HEIGHT * at as f64, most);
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, comparison: &Comparison, row: &Row, y: f64, most: f64) {
    let Ok(measured) = &row.measured else { return };
    let scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
    let [median, least, end] =
        [measured.figure.median, measured.figure.least, measured.figure.most].map(|value| value * scale);
    let class = if row.kind.is_ours() { "bar ours" } else { "bar" };
    let ratio = comparison.ratio(row).map_or_else(String::new, |ratio| format!(" ({ratio:.2} x nginx)"));
    let (baseline, middle) = (y + 16.0, y + 11.0);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r#"<text x="{label}" y="{baseline}" text-anchor="end">{name}</text><rect class="{class}" x="{LABEL_WIDTH}" y="{top}" width="{median:.1}" height="18" rx="2"/><line class="range" x1="{from:.1}" x2="{to:.1}" y1="{middle}" y2="{middle}"/><text x="{value:.1}" y="{baseline}">{figure}{ratio}</text>"#,
        label = LABEL_WIDTH - 8.0,
        name = row.kind.name(),
        top = y + 2.0,
        from = LABEL_WIDTH + least,
        to = LABEL_WIDTH + end,
        value = LABEL_WIDTH + end + 8.0,
        figure = figure(measured.figure.median),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn bars_are_to_scale() {
        let svg = svg(&results(5).scenarios[0]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        // The longest round, 10.2 us of nginx, spans all of the 420 units; its median is 10.1 us.
        assert!(svg.contains(r#"width="415.9""#), "{svg}");
        assert!(svg.contains(r#"class="bar ours" x="120" y="54" width="210.0""#), "{svg}");
        assert!(svg.contains("5.10 (0.50 x nginx)"), "{svg}");
        assert!(!svg.contains("haproxy"), "a failed gateway has no bar: {svg}");
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn markup_in_words_stays_words() {
        assert_eq!(escaped(r#"a<b>&"c""#), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
