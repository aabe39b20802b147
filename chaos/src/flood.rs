//! `limits`: the distributed rate limits of the product, and those of others, on simulated machines in virtual time. Owns the
//! verbs; a run is decided by its seed and touches neither clock nor network.

mod baseline;
mod chance;
mod contestant;
mod course;
mod demand;
mod fault;
mod fuzz;
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

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use contestant::Contestant;
use fuzz::{Hunt, Mode};
use moment::MS;
use scenario::Scenario;
use table::{Layout, Plan};
use tidegate::Settings;

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
        /// Only this limit
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Compare limiters on quotas
    Quota(TableOptions),
    /// Try random faults on Tidegate until a promise breaks
    Fuzz(FuzzOptions),
    /// Run kept schedules again
    Replay {
        /// A schedule, or a folder of them
        path: PathBuf,
        /// Tell second by second what happened
        #[arg(long)]
        story: bool,
    },
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

/// How random faults are tried.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FuzzOptions {
    /// Schedules of each mode
    #[arg(long, default_value_t = 250)]
    schedules: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these modes
    #[arg(long, value_delimiter = ',')]
    mode: Vec<Mode>,
    /// Runs at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Look inside every so many milliseconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    look_ms: u64,
    /// Keep what breaks a promise as a file in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs a verb: 0 when everything is as demanded, 1 when not, 2 when it could not be run.
pub(crate) fn run(verb: &Verb) -> ExitCode {
    match verb {
        Verb::Table { scenarios, options } if scenarios.is_empty() => compare(&Scenario::RATES, options),
        Verb::Table { scenarios, options } => compare(scenarios, options),
        Verb::Story { scenario, limiter, seed, limit } => {
            let outcome = limiter.run(&scenario.course(*seed));
            let story = limit.map_or_else(|| outcome.judge.story(), |limit| outcome.judge.story_of(limit));
            println!("{story}{}", outcome.complaints.join("\n"));
            ExitCode::SUCCESS
        }
        Verb::Fuzz(options) => fuzz(options),
        Verb::Replay { path, story } => replay(path, *story),
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

fn fuzz(options: &FuzzOptions) -> ExitCode {
    let every = [Mode::Strict, Mode::Default, Mode::Quota, Mode::Mixed];
    let modes = if options.mode.is_empty() { every.to_vec() } else { options.mode.clone() };
    let settings = Settings { look_ns: options.look_ms * MS, ..Settings::default() };
    let hunt = Hunt {
        modes,
        schedules: options.schedules,
        seed: options.seed,
        threads: options.threads.into(),
        settings,
    };
    let bag = fuzz::hunt(&hunt);
    println!(
        "{} schedules, {} broke a promise, lowest fill {:.1} %",
        bag.cases,
        bag.catches.len(),
        bag.fill_min
    );
    for found in bag.catches.clone() {
        let number = found.number;
        let small = fuzz::shrink(found, settings);
        println!("\nnumber {number}:\n  {}\n", small.complaints.join("\n  "));
        let text = small.text();
        println!("{text}");
        if let Some(folder) = &options.keep
            && let Err(reason) = std::fs::write(folder.join(small.file_name()), text)
        {
            return failed(&format!("{}: {reason}", folder.display()));
        }
    }
    ExitCode::from(u8::from(!bag.catches.is_empty()))
}

fn replay(path: &Path, story: bool) -> ExitCode {
    let cases = match fuzz::kept(path) {
        Ok(cases) => cases,
        Err(reason) => return failed(&reason),
    };
    let settings = Settings { look_ns: 10 * MS, ..Settings::default() };
    let mut broken = 0;
    for (file, case) in &cases {
        let (complaints, outcome) = fuzz::replay(case, settings);
        if let Some(outcome) = outcome.filter(|_| story) {
            println!("{}", outcome.judge.story());
        }
        broken += usize::from(!complaints.is_empty());
        let verdict = if complaints.is_empty() { "kept".into() } else { complaints.join("; ") };
        println!("{}  {verdict}", file.display());
    }
    ExitCode::from(u8::from(broken > 0))
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(2)
}
