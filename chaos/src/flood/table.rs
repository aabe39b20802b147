//! Runs scenarios over several seeds and shows the figures side by side. Owns the layout; decides nothing about figures.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::{
    contestant::Contestant, course::Course, judge::Figures, parallel::in_parallel, scenario::Scenario,
};

/// How a table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Aligned columns.
    Text,
    /// For a document.
    Markdown,
    /// For a program.
    Json,
}

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The scenarios.
    pub(crate) scenarios: Vec<Scenario>,
    /// Only these limiters, or all when empty.
    pub(crate) only: Vec<Contestant>,
    /// The first seed.
    pub(crate) seed: u64,
    /// How many seeds.
    pub(crate) seeds: u64,
    /// Part of the scenario's load and length, at most 1.
    pub(crate) scale: f64,
    /// Runs at a time.
    pub(crate) threads: usize,
}

/// A limiter on a scenario, over all seeds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    #[serde(skip)]
    pub(crate) scenario: Scenario,
    #[serde(skip)]
    pub(crate) contestant: Contestant,
    /// What happened.
    title: String,
    /// Who.
    limiter: &'static str,
    /// The figures.
    pub(crate) figures: Figures,
    /// What limiters found wrong with themselves.
    pub(crate) complaints: Vec<String>,
}

/// Runs everything, several runs at a time.
pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let pairs: Vec<(Scenario, Contestant)> = plan
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.contestants().iter().map(|contestant| (*scenario, *contestant)))
        .filter(|(_, contestant)| plan.only.is_empty() || plan.only.contains(contestant))
        .collect();
    let jobs: Vec<(Contestant, Course)> = pairs
        .iter()
        .flat_map(|(scenario, contestant)| {
            (0..plan.seeds).map(|seed| (*contestant, scaled(scenario.course(plan.seed + seed), plan.scale)))
        })
        .collect();
    let outcomes = in_parallel(plan.threads, &jobs, |(contestant, course)| {
        let outcome = contestant.run(course);
        (outcome.figures, outcome.complaints)
    });
    pairs
        .iter()
        .zip(outcomes.chunks(plan.seeds.max(1) as usize))
        .map(|((scenario, contestant), outcomes)| row(*scenario, *contestant, outcomes))
        .collect()
}

/// The rows as text.
pub(crate) fn show(rows: &[Row], layout: Layout) -> String {
    if layout == Layout::Json {
        return serde_json::to_string_pretty(rows).unwrap_or_default();
    }
    let mut text = String::new();
    for part in rows.chunk_by(|a, b| a.scenario == b.scenario) {
        let mut table = Table::new();
        let preset = if layout == Layout::Markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING };
        table.load_style(preset);
        let titles = std::iter::once("LIMITER").chain(Figures::titles());
        table.set_header(titles.collect::<Vec<_>>());
        for row in part {
            let cells = std::iter::once(row.limiter.to_owned()).chain(row.figures.cells());
            table.add_row(cells.collect::<Vec<_>>());
        }
        let title = part.first().map(|row| row.title.as_str()).unwrap_or_default();
        let body: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        let heading = if layout == Layout::Markdown { "### " } else { "" };
        text += &format!("{heading}{title}\n\n{}\n\n", body.join("\n"));
    }
    text
}

fn scaled(mut course: Course, scale: f64) -> Course {
    course.keys = (course.keys as f64 * scale).ceil() as usize;
    course.requests_per_second *= scale;
    course
}

fn row(scenario: Scenario, contestant: Contestant, outcomes: &[(Figures, Vec<String>)]) -> Row {
    let figures: Vec<Figures> = outcomes.iter().map(|(figures, _)| figures.clone()).collect();
    Row {
        scenario,
        contestant,
        title: scenario.title(),
        limiter: contestant.title(),
        figures: Figures::merge(&figures),
        complaints: outcomes.iter().flat_map(|(_, complaints)| complaints.clone()).collect(),
    }
}
