//! The verbs of `limits`: what each runs, what it prints, and whether that is as demanded. Owns the command line; progress goes to
//! standard error.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    attack,
    contestant::Contestant,
    fuzz::{self, Catch, Hunt, Mode},
    gates,
    judge::Figures,
    moment::MS,
    scale::{self, Size},
    scenario::Scenario,
    table::{self, Layout, Plan},
    tidegate::Settings,
};

/// Runs at a time where that cannot be chosen.
const THREADS: usize = 2;
/// Between two looks inside, in milliseconds.
const LOOK_MS: u64 = 10;

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
    /// Flood limits that nobody has used yet
    Attack {
        /// Decides everything else
        #[arg(long, default_value_t = 5)]
        seed: u64,
    },
    /// Run very many limits
    Scale {
        /// Clients and requests per second, such as 500000@300000
        #[arg(required = true)]
        sizes: Vec<Size>,
        /// Decides everything else
        #[arg(long, default_value_t = 42)]
        seed: u64,
    },
    /// Try random faults on Tidegate until a promise breaks
    Fuzz(FuzzOptions),
    /// Run kept schedules again
    Replay(ReplayOptions),
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
    /// Schedules, shared among the modes
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
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
    #[arg(long, default_value_t = LOOK_MS, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    look_ms: u64,
    /// Keep what breaks a promise as a file in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// A defect to build in, which the hunt must find
    #[cfg(feature = "seeded-bugs")]
    #[arg(long)]
    bug: Option<Defect>,
}

/// What is run again.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReplayOptions {
    /// A schedule, or a folder of them
    path: PathBuf,
    /// Tell second by second what happened
    #[arg(long)]
    story: bool,
    /// A defect to build in
    #[cfg(feature = "seeded-bugs")]
    #[arg(long)]
    bug: Option<Defect>,
}

/// A defect of the product, for trying the hunt itself.
#[cfg(feature = "seeded-bugs")]
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Defect {
    /// The ledger ends sessions before their holders do
    ExpireEarly,
    /// What a holder shall give up is given away before it has confirmed
    GrowBeforeAck,
    /// A repeated grant counts twice
    CreditTwice,
    /// A holder goes on after its lease
    IgnoreExpiry,
    /// Nodes go on after the lease of their region
    OutliveRegion,
    /// A region confirms that it has given up what its nodes still use
    ConfirmEarly,
}

#[cfg(feature = "seeded-bugs")]
impl Defect {
    /// As the product knows it.
    pub(crate) fn bug(self) -> tidegate_throttle::Bug {
        use tidegate_throttle::Bug;
        match self {
            Self::ExpireEarly => Bug::ExpireEarly,
            Self::GrowBeforeAck => Bug::GrowBeforeAck,
            Self::CreditTwice => Bug::CreditTwice,
            Self::IgnoreExpiry => Bug::IgnoreExpiry,
            Self::OutliveRegion => Bug::OutliveRegion,
            Self::ConfirmEarly => Bug::ConfirmEarly,
        }
    }
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
        Verb::Attack { seed } => {
            let (table, broken) = attack::run(*seed, THREADS);
            println!("{table}");
            judged(&broken)
        }
        Verb::Scale { sizes, seed } => many(sizes, *seed),
        Verb::Fuzz(options) => fuzz(options),
        Verb::Replay(options) => replay(options),
        Verb::Quota(options) => compare(&Scenario::QUOTAS, options),
        Verb::Global(options) => compare(&Scenario::GLOBAL, options),
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
    // The demands are for the load that the design was measured with.
    if options.scale < 1.0 { ExitCode::SUCCESS } else { judged(&gates::broken(&rows)) }
}

fn many(sizes: &[Size], seed: u64) -> ExitCode {
    let mut broken = Vec::new();
    for size in sizes {
        let (figures, missed) = scale::run(*size, seed);
        println!("{} keys at {} requests/s", size.keys, size.requests_per_second);
        for (title, cell) in
            Figures::titles().into_iter().zip(figures.cells()).filter(|(_, cell)| cell != "-")
        {
            println!("  {title:<12} {cell}");
        }
        broken.extend(missed);
    }
    judged(&broken)
}

fn judged(broken: &[String]) -> ExitCode {
    for sentence in broken {
        println!("BROKEN  {sentence}");
    }
    ExitCode::from(u8::from(!broken.is_empty()))
}

fn fuzz(options: &FuzzOptions) -> ExitCode {
    let modes = if options.mode.is_empty() { Mode::ALL.to_vec() } else { options.mode.clone() };
    let settings = looking(options.look_ms);
    #[cfg(feature = "seeded-bugs")]
    let settings = with(settings, options.bug);
    let hunt = Hunt {
        schedules: options.schedules.div_ceil(modes.len() as u64),
        modes,
        seed: options.seed,
        threads: options.threads.into(),
        settings,
    };
    let bag = fuzz::hunt(&hunt);
    let (cases, catches) = (bag.cases, bag.catches.len());
    println!("{cases} schedules, {catches} broke a promise, lowest fill {:.1} %", bag.fill_min);
    for found in bag.catches {
        if let Err(reason) = tell(found, settings, options.keep.as_deref()) {
            return failed(&reason);
        }
    }
    ExitCode::from(u8::from(catches > 0))
}

/// The product as it comes, looked into.
fn looking(every_ms: u64) -> Settings {
    Settings { look_ns: every_ms * MS, ..Settings::default() }
}

#[cfg(feature = "seeded-bugs")]
fn with(mut settings: Settings, defect: Option<Defect>) -> Settings {
    settings.timing.bug = defect.map(Defect::bug);
    settings
}

/// Makes a catch small, prints it, and keeps it if a folder is given.
fn tell(found: Catch, settings: Settings, folder: Option<&Path>) -> Result<(), String> {
    let number = found.number;
    let small = fuzz::shrink(found, settings);
    println!("\nnumber {number}:\n  {}\n\n{}", small.complaints.join("\n  "), small.text());
    folder.map_or(Ok(()), |folder| {
        std::fs::write(folder.join(small.file_name()), small.text())
            .map_err(|e| format!("{}: {e}", folder.display()))
    })
}

fn replay(options: &ReplayOptions) -> ExitCode {
    let cases = match fuzz::kept(&options.path) {
        Ok(cases) => cases,
        Err(reason) => return failed(&reason),
    };
    let settings = looking(LOOK_MS);
    #[cfg(feature = "seeded-bugs")]
    let settings = with(settings, options.bug);
    let mut broken = 0;
    for (file, case) in &cases {
        let (complaints, outcome) = fuzz::replay(case, settings);
        if let Some(outcome) = outcome.filter(|_| options.story) {
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
