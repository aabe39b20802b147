//! Tidegate against the real peers: one interleaved run, processor time per request first, and gates that fail it.
//!
//! Installs nothing. Leaves no process and no file behind but the report.

mod certificate;
mod floor;
mod gate;
mod gateway;
mod hold;
mod interrupt;
mod limits;
mod load;
mod loader;
mod order;
mod ports;
mod probe;
mod processes;
mod processor;
mod report;
mod results;
mod runner;
mod scenario;
mod statistics;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use self::{floor::serve as floor, gateway::Kind, hold::Place, hold::run as hold, load::serve as load};
use crate::peers::{
    gateway::Search,
    interrupt::Interrupt,
    limits::{ROUNDS_MAX, SECONDS_MAX},
    runner::Program,
    scenario::{Figure, Scenario},
};

/// Where complete reports go, and below it those of parts.
const RESULTS: &str = "bench/results";
/// Part of [`RESULTS`] that is not kept in the repository.
const LOCAL: &str = "local";
const WARM_UP_SECONDS: f64 = 0.4;
/// For a look in passing.
const QUICK: (u32, f64, f64) = (2, 0.3, 0.2);
const QUICK_IDLE_CONNECTIONS: usize = 500;

/// What a person asks for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How often each gateway is driven in each scenario
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    rounds: u32,
    /// Seconds that count in each round, after a warm-up
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Only these scenarios; `--list` shows them
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = scenario_named)]
    scenario: Vec<Scenario>,
    /// Only these gateways
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_enum, hide_possible_values = true)]
    gateway: Vec<Kind>,
    /// Niceness of everything that is measured; below 0, which needs root, a busy machine disturbs less
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-20..=19))]
    nice: Option<i32>,
    /// A look in passing: two rounds of a third of a second
    #[arg(long)]
    quick: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Show scenarios, gateways and gates, and measure nothing
    #[arg(long)]
    list: bool,
    /// The `tidegate` binary to measure; target/dist/tidegate when absent
    #[arg(long, value_name = "PATH")]
    tidegate: Option<PathBuf>,
    /// Folder for report.md, report.json and charts; bench/results when everything is measured, else bench/results/local
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Measures, prints, writes the report. 0: every gate that was measured is kept; 1: one is missed; 2: nothing was measured.
pub fn run(arguments: &Arguments) -> ExitCode {
    match try_run(arguments) {
        Ok(bad) => ExitCode::from(u8::from(bad)),
        Err(reason) => {
            eprintln!("bench peers: {reason}");
            ExitCode::from(2)
        }
    }
}

fn try_run(arguments: &Arguments) -> Result<bool, String> {
    let search = Search::new(arguments.tidegate.clone()).map_err(|error| error.to_string())?;
    if arguments.list {
        println!("{}", list(&search));
        return Ok(false);
    }
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build; figures mean something only with --release");
    }
    let program = program(arguments);
    for kind in program.gateways.iter().filter(|kind| kind.is_ours()) {
        // A peer may be missing; without Tidegate there is nothing to compare.
        search.find(*kind).map_err(|absent| absent.to_string())?;
    }
    let interrupt = Interrupt::listen().map_err(|error| error.to_string())?;
    let results = runner::run(&program, &search, &interrupt).map_err(|error| error.to_string())?;
    let text = match arguments.json {
        true => report::json(&results).map_err(|error| error.to_string())?,
        false => report::text(&results),
    };
    println!("{text}");
    let folder = folder(arguments);
    report::write(&results, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    eprintln!("the report is in {}", folder.display());
    Ok(results.is_bad())
}

fn program(arguments: &Arguments) -> Program {
    let all_unless = |empty| if empty { Kind::ALL.to_vec() } else { arguments.gateway.clone() };
    let mut scenarios =
        if arguments.scenario.is_empty() { scenario::ALL.to_vec() } else { arguments.scenario.clone() };
    let (rounds, seconds, warm_up_seconds) = match arguments.quick {
        true => QUICK,
        false => (arguments.rounds, arguments.seconds, WARM_UP_SECONDS),
    };
    if arguments.quick {
        for scenario in scenarios.iter_mut().filter(|scenario| scenario.figure == Figure::Memory) {
            scenario.connections = QUICK_IDLE_CONNECTIONS;
        }
    }
    Program {
        gateways: all_unless(arguments.gateway.is_empty()),
        scenarios,
        rounds,
        seconds,
        warm_up_seconds,
        nice: arguments.nice,
    }
}

fn folder(arguments: &Arguments) -> PathBuf {
    let complete = arguments.scenario.is_empty() && arguments.gateway.is_empty() && !arguments.quick;
    arguments.out.clone().unwrap_or_else(|| match complete {
        true => PathBuf::from(RESULTS),
        false => Path::new(RESULTS).join(LOCAL),
    })
}

fn list(search: &Search) -> String {
    let mut lines = vec!["SCENARIOS".to_owned()];
    lines.extend(scenario::ALL.iter().map(|scenario| format!("  {:10} {}", scenario.name, scenario.title)));
    lines.push("\nGATEWAYS".into());
    lines.extend(Kind::ALL.into_iter().map(|kind| {
        let found = search.find(kind).map_or_else(|absent| absent.to_string(), |found| found.version);
        format!("  {:13} {found}", kind.name())
    }));
    lines.push("\nGATES".into());
    lines.extend(gate::ALL.iter().map(|gate| format!("  {}", gate.text())));
    lines.join("\n")
}

fn scenario_named(name: &str) -> Result<Scenario, String> {
    let names = || scenario::ALL.map(|scenario| scenario.name).join(", ");
    scenario::named(name).ok_or_else(|| format!("there are: {}", names()))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.05..=SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| format!("must be 0.05 to {SECONDS_MAX}"))
}
