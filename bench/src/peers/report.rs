//! Shows results: a table for people, Markdown and charts for the repository, JSON for programs.

mod chart;
mod markdown;
mod text;

use std::{io, path::Path};

pub(crate) use text::text;

use crate::{peers::results::Results, table};

/// Writes `report.md`, `report.json` and one chart per scenario.
pub(crate) fn write(results: &Results, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("report.md"), markdown::markdown(results))?;
    std::fs::write(folder.join("report.json"), json(results)? + "\n")?;
    for comparison in &results.scenarios {
        std::fs::write(folder.join(chart_name(comparison.name)), chart::svg(comparison))?;
    }
    Ok(())
}

/// The results as one document.
pub(crate) fn json(results: &Results) -> io::Result<String> {
    serde_json::to_string_pretty(results).map_err(io::Error::other)
}

fn chart_name(scenario: &str) -> String {
    format!("{scenario}.svg")
}

/// A figure with as many digits as mean something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => table::thousands(value),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 20.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// As above, and nothing for what was not measured.
fn figure_if_any(value: f64) -> String {
    if value > 0.0 { figure(value) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::results::tests::results;

    #[test]
    fn figures() {
        for (value, expect) in [(7.584, "7.58"), (31.14, "31.1"), (524.4, "524"), (131_900.2, "131,900")] {
            assert_eq!(figure(value), expect);
        }
    }

    #[test]
    fn everything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        write(&results(7), &inner).unwrap();
        for name in ["report.md", "report.json", "proxy-128.svg"] {
            assert!(inner.join(name).is_file(), "{name}");
        }
        let text = std::fs::read_to_string(inner.join("report.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["scenarios"][0]["rows"][0]["kind"], "tidegate");
        assert_eq!(json["scenarios"][0]["rows"][0]["measured"]["Ok"]["rounds"][0]["answered"], 1_000);
    }
}
