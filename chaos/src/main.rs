//! `chaos`: breaks real Tidegate clusters on purpose and checks what they promise. Starts its own processes only. And holds two
//! ways through the data plane against each other, in this process.
//!
//! Exit status: 0 when every promise is kept, 1 when one is broken or something differs, 2 when it could not be run.

mod agreement;
mod clock;
mod clocks;
mod disk;
mod exchange;
mod flood;
mod fuzz;
mod guard;
mod lab;
mod limits;
mod link;
mod load;
mod nemesis;
mod oracle;
mod ports;
mod promise;
mod region;
mod report;
mod scenario;
mod sim;
mod storm;
mod writer;

// The node's own files that the simulation runs name the consensus as the node does.
extern crate tidegate_cluster_sim as tidegate_cluster;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use tokio::signal::unix::{SignalKind, signal};

use fuzz::FuzzOptions;
use scenario::{Scenario, StormOptions};
use tidegate_fuzz::Property;

/// A simulation allocates for every message and every timer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of each stream of clients, when nothing else is said.
const REQUESTS_PER_SECOND: u32 = 150;

/// Breaks Tidegate clusters on purpose and checks what they promise
#[derive(Parser)]
#[command(name = "chaos", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a scenario against real processes
    Storm(storm::StormArguments),
    /// Check on random input what must always hold
    Fuzz(FuzzArguments),
    /// Simulate distributed rate limits and quotas
    #[command(subcommand)]
    Limits(flood::Verb),
    /// Simulate whole clusters on virtual time
    Sim(sim::SimArguments),
    /// List the scenarios
    List,
    /// Say what a scenario does and checks
    Describe {
        /// Name of a scenario, or a file
        scenario: String,
    },
    /// Run a command until standard input ends
    #[command(hide = true)]
    Guard {
        /// Program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(clap::Args)]
struct FuzzArguments {
    /// What is fuzzed
    target: FuzzTarget,
    /// Decides every case; drawn when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds after which no case is begun
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seconds: u64,
    /// Cases at most
    #[arg(long, default_value_t = u64::MAX)]
    cases: u64,
    /// Only the case of this number
    #[arg(long, conflicts_with = "cases")]
    case: Option<u64>,
    /// Only the cases of the corpus whose names contain this
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["cases", "case", "seed", "seconds"])]
    corpus: Option<String>,
    /// Cases at a time
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum FuzzTarget {
    /// HTTP/1 with the fast path against HTTP/1 without
    Http1,
    /// The router against a matcher that tries every route
    Router,
    /// OpenAPI documents: refused, or read and written and read again
    Openapi,
    /// Signatures: taken as they were made, and not otherwise
    Sigv4,
    /// Frames between nodes: opened as sealed, damage noticed
    Frames,
    /// Two replicas of one log, one of them restored on the way
    Apply,
}

impl FuzzTarget {
    /// The property, where the target is one.
    fn property(self) -> Option<Property> {
        match self {
            Self::Http1 => None,
            Self::Router => Some(Property::Router),
            Self::Openapi => Some(Property::Openapi),
            Self::Sigv4 => Some(Property::Sigv4),
            Self::Frames => Some(Property::Frames),
            Self::Apply => Some(Property::Apply),
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Fuzz(arguments) => fuzz(&arguments),
        Verb::Limits(verb) => flood::run(&verb),
        Verb::Storm(arguments) => storm(&arguments),
        Verb::Sim(arguments) => sim::run(&arguments),
        Verb::List => list(),
        Verb::Describe { scenario } => describe(&scenario),
        Verb::Guard { command } => guard::run(&command),
    }
}

fn list() -> ExitCode {
    println!("in namespaces, by files (chaos/README.md):");
    for (name, promise, summary) in storm::list() {
        println!("  {name:<24}{promise:<5}{summary}");
    }
    println!("on loopback:");
    for scenario in Scenario::value_variants() {
        println!("  {:<29}{}", scenario.name(), scenario.summary());
    }
    ExitCode::SUCCESS
}

fn describe(name: &str) -> ExitCode {
    let told = match Scenario::from_str(name, false) {
        Ok(scenario) => {
            Ok(format!("{}: {}\n\n{}", scenario.name(), scenario.summary(), scenario.description()))
        }
        Err(_) => storm::describe(name).map_err(|error| error.to_string()),
    };
    match told {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(reason) => failed(&reason),
    }
}

fn storm(arguments: &storm::StormArguments) -> ExitCode {
    let Ok(scenario) = Scenario::from_str(&arguments.scenario, false) else {
        return match (arguments.rounds, arguments.seconds) {
            (None, None) => storm::run(arguments),
            _ => failed("--rounds and --seconds are for az-outage and limits; a file says how long it takes"),
        };
    };
    match scenario {
        Scenario::AzOutage if arguments.seconds.is_some() => return failed("az-outage takes no --seconds"),
        Scenario::Limits if arguments.rate.is_some() => return failed("limits takes no --rate"),
        Scenario::AzOutage | Scenario::Limits => {}
    }
    let beside = || std::env::current_exe().map(|own| own.with_file_name("tidegate")).unwrap_or_default();
    let options = StormOptions {
        rounds: arguments.rounds,
        calm_s: arguments.seconds,
        seed: arguments.seed.unwrap_or_else(|| u64::from(StdRng::from_os_rng().next_u32())),
        requests_per_second: arguments.rate.unwrap_or(REQUESTS_PER_SECOND),
        program: arguments.tidegate.clone().unwrap_or_else(beside),
        data: arguments.data.clone(),
        keep: arguments.keep,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            report = scenario.run(&options) => report.map_err(|e| e.to_string()),
            name = interrupted() => Err(format!("interrupted by {name}; every process of the region has ended")),
        }
    });
    match outcome {
        Ok(report) => {
            let json = || serde_json::to_string_pretty(&report).unwrap_or_default();
            println!("{}", if arguments.json { json() } else { report.text() });
            ExitCode::from(u8::from(!report.kept()))
        }
        Err(reason) => failed(&reason),
    }
}

fn fuzz(arguments: &FuzzArguments) -> ExitCode {
    let property = arguments.target.property();
    if property.is_some() && arguments.corpus.is_some() {
        return failed("--corpus is for http1");
    }
    if let Some(part) = &arguments.corpus {
        return match fuzz::run_corpus(part) {
            Ok((complaints, runs)) => {
                println!("{}\n{runs} runs, {} complaints", complaints.join("\n"), complaints.len());
                ExitCode::from(u8::from(!complaints.is_empty()))
            }
            Err(reason) => failed(&reason),
        };
    }
    let seed = arguments.seed.unwrap_or_else(|| u64::from(StdRng::from_os_rng().next_u32()));
    let only = arguments.case.map(|_| 1);
    let options = FuzzOptions {
        seed,
        time: Duration::from_secs(arguments.seconds),
        cases: only.unwrap_or(arguments.cases),
        first: arguments.case.unwrap_or_default(),
        lanes: arguments.lanes.into(),
    };
    if let Some(property) = property {
        let report = fuzz::property::run(property, &options);
        println!("{}", report.text(seed));
        return ExitCode::from(u8::from(report.is_broken()));
    }
    match fuzz::run(options) {
        Ok(report) => {
            println!("{}", report.text(seed));
            ExitCode::from(u8::from(report.found.is_some()))
        }
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(2)
}

/// Resolves with the name of the signal that asks this process to end.
pub(crate) async fn interrupted() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
