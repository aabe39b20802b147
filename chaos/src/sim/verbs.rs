//! The command line of `sim`: which cases are run, what is printed, and how the exit status comes about. Progress goes to standard error.

use std::{cell::RefCell, path::PathBuf, process::ExitCode, str::FromStr, time::Instant};

use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::{
    case::{Case, SECONDS},
    defect::Defect,
    minimize,
    oracle::Counts,
    run::{self as runs, Outcome},
    seeds,
};
use crate::flood::in_parallel;

/// Seeds of one command.
const SEEDS_MAX: u64 = 10_000_000;

/// What `chaos sim` is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SimArguments {
    /// Decides a run; drawn when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Many runs: the first seed, and the one after the last
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// A kept case, or a folder of them
    #[arg(long, value_name = "PATH", conflicts_with_all = ["seed", "seeds", "seconds"])]
    case: Option<PathBuf>,
    /// Time in which faults begin, of each cluster
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seconds: u64,
    /// Make the first run that breaks something as small as possible
    #[arg(long)]
    minimize: bool,
    /// Runs at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// How results are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// A defect to build in, which must be found
    #[arg(long)]
    defect: Option<Defect>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// A range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(u64, u64);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match parts {
            Some((from, to)) if from < to && to - from <= SEEDS_MAX => Ok(Self(from, to)),
            _ => Err(format!("must be two numbers such as 0..1000, growing, at most {SEEDS_MAX} seeds")),
        }
    }
}

/// What all runs came to.
#[derive(Debug, Default, Serialize)]
struct Summary {
    runs: u64,
    cluster_s: f64,
    wall_s: f64,
    /// Seconds of cluster time per second.
    ratio: f64,
    counts: Counts,
    broken: Vec<Broken>,
}

/// A run that broke something.
#[derive(Debug, Serialize)]
struct Broken {
    /// What repeats it.
    repeat: String,
    outcome: Outcome,
    /// Whether the defect that was built in is what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_the_defect: Option<bool>,
}

/// Runs what is asked for: 0 when everything holds, 1 when something does not, 2 when it could not be run.
pub(crate) fn run(arguments: &SimArguments) -> ExitCode {
    let cases = match cases(arguments) {
        Ok(cases) => cases,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(2);
        }
    };
    let defect = arguments.defect;
    let began = Instant::now();
    name_panics();
    let outcomes = in_parallel(arguments.threads.into(), &cases, |(repeat, case)| {
        REPEAT.set(repeat.clone());
        runs::run(case, defect)
    });
    let summary = sum(&cases, outcomes, began.elapsed().as_secs_f64(), defect);
    match arguments.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&summary).unwrap_or_default()),
        Output::Text => println!("{}", summary.text()),
    }
    let Some(first) = summary.broken.first() else { return ExitCode::SUCCESS };
    if arguments.minimize
        && let Some(invariant) = first.outcome.broken()
        && let Some((_, case)) = cases.iter().find(|(repeat, _)| *repeat == first.repeat)
    {
        let (mut small, runs) = minimize::minimize(case, invariant, defect);
        small.note = first.outcome.violations.first().map(|one| one.text.clone()).unwrap_or_default();
        small.broke = Some(invariant);
        eprintln!(
            "made small in {runs} runs; keep it in chaos/corpus/sim, repeat it with chaos sim --case FILE"
        );
        println!("\n{}", small.text());
    }
    ExitCode::FAILURE
}

thread_local! {
    /// What repeats the run of this thread.
    static REPEAT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where a panic ends the process, the run that met it is known all the same.
fn name_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        REPEAT.with_borrow(|repeat| eprintln!("a panic; repeat it: {repeat}"));
    }));
}

/// Every case with the command that repeats it.
fn cases(arguments: &SimArguments) -> Result<Vec<(String, Case)>, String> {
    if let Some(path) = &arguments.case {
        let named = |(file, case): (PathBuf, Case)| (format!("chaos sim --case {}", file.display()), case);
        return Ok(seeds::kept(path)?.into_iter().map(named).collect());
    }
    let Seeds(from, to) = arguments.seeds.unwrap_or_else(|| {
        let seed = arguments.seed.unwrap_or_else(|| u64::from(StdRng::from_os_rng().next_u32()));
        Seeds(seed, seed.saturating_add(1))
    });
    let seconds = arguments.seconds;
    let case = |seed| (format!("chaos sim --seed {seed} --seconds {seconds}"), Case::of(seed, seconds));
    Ok((from..to).map(case).collect())
}

fn sum(cases: &[(String, Case)], outcomes: Vec<Outcome>, wall_s: f64, defect: Option<Defect>) -> Summary {
    let mut summary = Summary { runs: outcomes.len() as u64, wall_s, ..Summary::default() };
    for ((repeat, _), outcome) in cases.iter().zip(outcomes) {
        summary.cluster_s += outcome.cluster_ms as f64 / 1e3;
        summary.counts.add(&outcome.counts);
        if !outcome.violations.is_empty() {
            let is_the_defect = defect.map(|defect| outcome.breaks(defect.invariant()));
            summary.broken.push(Broken { repeat: repeat.clone(), outcome, is_the_defect });
        }
    }
    summary.ratio = summary.cluster_s / wall_s.max(1e-9);
    summary
}

impl Summary {
    fn text(&self) -> String {
        let mut text = String::new();
        for Broken { repeat, outcome, .. } in &self.broken {
            for violation in &outcome.violations {
                let at_s = violation.at_ms as f64 / 1e3;
                text += &format!("BROKEN  {:?} at {at_s:.3} s: {}\n", violation.invariant, violation.text);
            }
            text += &format!("        repeat it: {repeat}\n");
        }
        let Counts { writes, conflicts, failed, reads, requests, admitted, .. } = &self.counts;
        let Counts { served, served_alone, compared, restores, terms, .. } = &self.counts;
        let faults: Vec<String> =
            self.counts.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        text + &format!(
            "{} seeds, {:.0} s of cluster time in {:.1} s ({:.0} times as fast), {} broken\n\
                 checked: {writes} writes acknowledged, {conflicts} conflicts, {failed} failed; {reads} linearizable reads; \
                 {requests} requests, {admitted} admitted; {served} looks at what is served, {served_alone} without a quorum; \
                 {compared} states compared, {restores} restores, {terms} terms of ledgers\n\
                 faults: {}",
            self.runs,
            self.cluster_s,
            self.wall_s,
            self.ratio,
            self.broken.len(),
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
        )
    }
}
