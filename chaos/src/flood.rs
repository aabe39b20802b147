//! `limits`: the distributed rate limits of the product, and those of others, on simulated machines in virtual time. Owns the
//! verbs; a run is decided by its seed and touches neither clock nor network.

mod baseline;
mod chance;
mod contestant;
mod course;
mod demand;
mod fault;
mod judge;
mod level;
mod limiter;
mod moment;
mod network;
mod places;
mod race;
mod scenario;
mod table;
mod tidegate;
mod world;

use std::process::ExitCode;

use contestant::Contestant;
use scenario::Scenario;
use table::{Layout, Plan};

/// What is simulated.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Compare limiters on rate limits
    Table {
        /// Scenarios; all of rate limits when absent
        #[arg(ignore_case = true)]
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        options: TableOptions,
    },
    /// Tell second by second what one limiter does
    Story {
        /// Scenario
        #[arg(ignore_case = true)]
        scenario: Scenario,
        /// Limiter
        limiter: Contestant,
        /// Decides everything else
        #[arg(long, default_value_t = 42)]
        seed: u64,
    },
    /// Compare limiters on quotas
    Quota(TableOptions),
    /// Compare limiters on limits that span regions
    Global(TableOptions),
}

/// How a table is made.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TableOptions {
    /// Only these limiters
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Seeds to run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Part of the load
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Runs at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs a verb: 0 when everything is as demanded, 1 when not, 2 when it could not be run.
pub(crate) fn run(verb: &Verb) -> ExitCode {
    match verb {
        Verb::Table { scenarios, options } if scenarios.is_empty() => compare(&Scenario::RATES, options),
        Verb::Table { scenarios, options } => compare(scenarios, options),
        Verb::Story { scenario, limiter, seed } => {
            let outcome = limiter.run(&scenario.course(*seed));
            println!("{}{}", outcome.story, outcome.complaints.join("\n"));
            ExitCode::SUCCESS
        }
        Verb::Quota(options) => compare(&Scenario::QUOTAS, options),
        Verb::Global(_) => {
            eprintln!("not available: {} scenarios need limits that span regions", Scenario::GLOBAL.len());
            ExitCode::from(2)
        }
    }
}

fn compare(scenarios: &[Scenario], options: &TableOptions) -> ExitCode {
    let layout = match (options.markdown, options.json) {
        (true, _) => Layout::Markdown,
        (_, true) => Layout::Json,
        _ => Layout::Text,
    };
    let plan = Plan {
        scenarios: scenarios.to_vec(),
        only: options.only.clone(),
        seed: options.seed,
        seeds: options.seeds,
        scale: options.scale,
        threads: options.threads.into(),
    };
    let rows = table::rows(&plan);
    println!("{}", table::show(&rows, layout));
    ExitCode::SUCCESS
}
