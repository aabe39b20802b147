//! The command line of storms: which scenarios to run, and what to do with their reports.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use rand::{RngCore, SeedableRng, rngs::StdRng};

use super::{
    catalog::{SCENARIOS, SHORT},
    error::StormError,
    progress,
    report::{Report, html},
    run::run as rehearsal,
    scenario::{Scenario, ScenarioError},
    stage::{Options, Stage},
    verdict::Fate,
};
use crate::lab::kernel;

/// Flags of `chaos storm`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StormArguments {
    /// A scenario of `chaos list`, a file SCENARIO.toml, `short` for a part of them or `all`
    pub(crate) scenario: String,
    /// Rounds of faults; 10 kills (az-outage) or one of each fault (limits) when absent
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: Option<u32>,
    /// Length of the phases in which nothing is started or ended, in seconds; 12 when absent (limits)
    #[arg(long, value_parser = clap::value_parser!(u64).range(12..=3_600))]
    pub(crate) seconds: Option<u64>,
    /// Repeats the choices of an earlier run; drawn when absent
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Requests per second of each stream of clients, instead of the scenario's own
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) rate: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page with time lines
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Data directory, empty or absent; a temporary one when not given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Keep data and logs even when every promise is kept
    #[arg(long)]
    pub(crate) keep: bool,
    /// The binary under test; the one beside this program when not given
    #[arg(long, value_name = "PATH")]
    pub(crate) tidegate: Option<PathBuf>,
    /// The binary that a rolling upgrade goes to and comes back from; the same one when not given
    #[arg(long, value_name = "PATH")]
    pub(crate) upgrade_to: Option<PathBuf>,
    /// Take the short lengths of faults that have some
    #[arg(long)]
    pub(crate) short: bool,
    /// Use loopback, without network namespaces, also where there is the right to make them
    #[arg(long)]
    pub(crate) loopback: bool,
}

/// Name and summary of each scenario.
pub(crate) fn list() -> Vec<(String, String, String)> {
    let scenario = |(name, text): &(&str, &str)| Scenario::parse(name, text, false).ok();
    SCENARIOS.iter().filter_map(scenario).map(|s| (s.name, s.promise, s.summary)).collect()
}

/// What a scenario does and checks, with its file.
pub(crate) fn describe(name: &str) -> Result<String, ScenarioError> {
    let (path, text) = find(name)?;
    let scenario = Scenario::parse(&path, &text, false)?;
    Ok(format!(
        "{} ({}): {}\n\n{}\n\n{text}",
        scenario.name,
        scenario.promise,
        scenario.summary,
        scenario.description.trim()
    ))
}

/// Runs what the flags ask for.
pub(crate) fn run(arguments: &StormArguments) -> ExitCode {
    match all(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn all(arguments: &StormArguments) -> Result<ExitCode, StormError> {
    let short = arguments.short || arguments.scenario == "short";
    let names: Vec<&str> = match arguments.scenario.as_str() {
        "short" => SHORT.to_vec(),
        "all" => SCENARIOS.iter().map(|(name, _)| *name).collect(),
        one => vec![one],
    };
    // All are read before the first is run.
    let scenarios =
        names.into_iter().map(|name| read(name, arguments.rate, short)).collect::<Result<Vec<_>, _>>()?;
    // What is mounted from here on is gone with this process, however it ends. Without the right to it there is nothing to mount.
    let _ = kernel::leave_mounts();
    let (mut reports, mut failed) = (Vec::new(), 0);
    for scenario in &scenarios {
        let outcome = one(scenario, arguments);
        match outcome {
            Ok(report) => {
                if !arguments.json {
                    println!("{}", report.text());
                }
                reports.push(report);
            }
            Err(error) if scenarios.len() == 1 => return Err(error),
            Err(error) => {
                eprintln!("{}: {error}", scenario.name);
                failed += 1;
                if matches!(error, StormError::Interrupted(_)) {
                    break;
                }
            }
        }
        if let Some(path) = &arguments.html {
            std::fs::write(path, html::page(&reports))
                .map_err(StormError::system(path.display().to_string()))?;
        }
    }
    if arguments.json {
        let printed = match reports.as_slice() {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        println!("{}", printed.unwrap_or_default());
    } else if scenarios.len() > 1 {
        println!("\n{}", summary(&reports, failed));
    }
    Ok(exit(&reports, failed))
}

/// 1 when a promise is broken, 2 when something could not be run or said, else 0.
fn exit(reports: &[Report], failed: usize) -> ExitCode {
    let has = |fate: Fate| reports.iter().any(|report| report.outcome == fate);
    match (has(Fate::Broken), has(Fate::Unclear) || failed > 0) {
        (true, _) => ExitCode::from(1),
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    }
}

fn summary(reports: &[Report], failed: usize) -> String {
    let mut lines: Vec<String> = reports
        .iter()
        .map(|report| {
            let wrong = report.verdicts.iter().filter(|verdict| verdict.fate != Fate::Kept);
            let wrong: Vec<String> = wrong
                .map(|v| {
                    format!(
                        "{} {} (gate {}) {}",
                        v.measure,
                        v.measured.map_or("nothing".into(), |m| format!("{m:.2}")),
                        v.gate,
                        v.fate.word()
                    )
                })
                .collect();
            format!(
                "{:<8} {:<4} {:<22} {}",
                report.outcome.word(),
                report.promise,
                report.scenario,
                wrong.join("; ")
            )
        })
        .collect();
    if failed > 0 {
        lines.push(format!("{failed} scenario(s) could not be run"));
    }
    lines.join("\n")
}

fn read(name: &str, rate: Option<u32>, short: bool) -> Result<Scenario, ScenarioError> {
    let (path, text) = find(name)?;
    let mut scenario = Scenario::parse(&path, &text, short)?;
    if let Some(rate) = rate {
        scenario.traffic.requests_per_second = rate;
    }
    Ok(scenario)
}

fn find(name: &str) -> Result<(String, String), ScenarioError> {
    if let Some((name, text)) = SCENARIOS.iter().find(|(own, _)| *own == name) {
        return Ok((format!("scenarios/{name}.toml"), (*text).to_owned()));
    }
    let text = std::fs::read_to_string(name);
    text.map(|text| (name.to_owned(), text))
        .map_err(|reason| ScenarioError::Read { path: name.to_owned(), reason })
}

fn one(scenario: &Scenario, arguments: &StormArguments) -> Result<Report, StormError> {
    let seed = arguments.seed.unwrap_or_else(|| u64::from(StdRng::from_os_rng().next_u32()));
    let beside = || std::env::current_exe().map(|own| own.with_file_name("tidegate")).unwrap_or_default();
    let data = data_directory(arguments.data.as_deref(), &scenario.name)?;
    let program = arguments.tidegate.clone().unwrap_or_else(beside);
    let upgrade_to = arguments.upgrade_to.clone();
    let options = Options { seed, program, upgrade_to, data: data.clone(), loopback: arguments.loopback };
    progress::say(0, &format!("storm {}: seed {seed}, data and logs in {}", scenario.name, data.display()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = Arc::new(runtime.map_err(StormError::system("a runtime"))?);
    let outcome = runtime.block_on(async {
        tokio::select! {
            report = rehearse(scenario, &options, again(scenario, arguments, seed)) => report,
            name = crate::interrupted() => Err(StormError::Interrupted(name)),
        }
    });
    let keep = arguments.keep || !matches!(&outcome, Ok(report) if report.outcome == Fate::Kept);
    if !keep {
        let _ = std::fs::remove_dir_all(&data);
    }
    outcome
}

async fn rehearse(scenario: &Scenario, options: &Options, command: String) -> Result<Report, StormError> {
    let stage = Stage::set(scenario, options).await?;
    let evidence = rehearsal(scenario, &stage).await?;
    Ok(Report::new(scenario, options, command, stage.world.lab.ground, stage.cost, &evidence))
}

/// The command that repeats a run: all that changes what happens, and nothing that only says where it is shown.
fn again(scenario: &Scenario, arguments: &StormArguments, seed: u64) -> String {
    let file = SCENARIOS.iter().all(|(name, _)| *name != scenario.name);
    let name = if file { &arguments.scenario } else { &scenario.name };
    let mut command = format!("chaos storm {name}");
    if arguments.short || arguments.scenario == "short" {
        command += " --short";
    }
    if arguments.loopback {
        command += " --loopback";
    }
    if let Some(rate) = arguments.rate {
        command += &format!(" --rate {rate}");
    }
    for (flag, path) in [("--tidegate", &arguments.tidegate), ("--upgrade-to", &arguments.upgrade_to)] {
        if let Some(path) = path {
            command += &format!(" {flag} {}", path.display());
        }
    }
    command + &format!(" --seed {seed}")
}

fn data_directory(given: Option<&Path>, name: &str) -> Result<PathBuf, StormError> {
    let Some(given) = given else {
        let folder = tempfile::Builder::new().prefix(&format!("tidegate-{name}-")).tempdir();
        return folder.map(tempfile::TempDir::keep).map_err(StormError::system("a temporary directory"));
    };
    let own = given.join(name);
    std::fs::create_dir_all(&own).map_err(StormError::system(own.display().to_string()))?;
    std::path::absolute(&own).map_err(StormError::system(own.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        storm: StormArguments,
    }

    #[test]
    fn a_run_can_be_repeated_as_it_was() {
        for (given, again) in [
            ("poison", "poison --seed 7"),
            ("poison --json --keep --html x.html --data d --seed 3", "poison --seed 7"),
            ("short", "poison --short --seed 7"),
            ("poison --loopback --rate 9 --short", "poison --short --loopback --rate 9 --seed 7"),
            ("poison --tidegate a --upgrade-to b", "poison --tidegate a --upgrade-to b --seed 7"),
        ] {
            let line = Line::parse_from(format!("x {given}").split(' '));
            let scenario = read("poison", None, false).unwrap();
            assert_eq!(super::again(&scenario, &line.storm, 7), format!("chaos storm {again}"), "{given}");
        }
    }
}
