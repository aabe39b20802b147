//! Starts everything, drives the gateways in turn, round after round, and gathers what the load process reports.

use std::{collections::BTreeMap, path::Path};

use crate::peers::{
    certificate::Certificate,
    gateway::{Found, GatewayError, Kind, Running, Search, Site},
    hold::Place,
    interrupt::Interrupt,
    limits::OPENING_MAX,
    loader::{Loader, LoaderError},
    order::Outcome,
    ports::Ports,
    processor,
    results::{Comparison, Gap, Machine, Measured, Participant, Results, Row, judge},
    scenario::{Conditions, Figure, Scenario},
};

/// What to do.
pub(crate) struct Program {
    /// Gateways, in the order in which they are driven.
    pub(crate) gateways: Vec<Kind>,
    /// Scenarios, in order.
    pub(crate) scenarios: Vec<Scenario>,
    /// Rounds per scenario.
    pub(crate) rounds: u32,
    /// Counted seconds per round.
    pub(crate) seconds: f64,
    /// Seconds before they count.
    pub(crate) warm_up_seconds: f64,
    /// Niceness of gateways and load.
    pub(crate) nice: Option<i32>,
}

/// Why there are no results at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunnerError {
    /// The operating system.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Its answer.
        reason: std::io::Error,
    },
    /// The load process.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A signal.
    #[error("interrupted")]
    Interrupted,
}

struct Runner<'a> {
    program: &'a Program,
    interrupt: &'a Interrupt,
    folder: &'a Path,
    loader: Loader,
    certificate: Certificate,
    ports: Ports,
    found: BTreeMap<Kind, Result<Found, Gap>>,
    processor: usize,
    starts: usize,
    runs: usize,
}

/// Measures.
pub(crate) fn run(program: &Program, search: &Search, interrupt: &Interrupt) -> Result<Results, RunnerError> {
    let system = |what| move |reason| RunnerError::System { what, reason };
    let processors = processor::usable().map_err(system("processors"))?;
    let (gateway, load) = (processors.first().copied(), processors.get(1).copied());
    if load.is_none() {
        eprintln!("there is only one processor: gateways and load share it, and figures mean little");
    }
    let folder = memory_folder().map_err(system("temporary folder"))?;
    let loader = Loader::start(load.or(gateway), program.nice, folder.path())?;
    let certificate = Certificate::make(folder.path()).map_err(system("certificate"))?;
    let found = program.gateways.iter().map(|kind| {
        let found = search.find(*kind).map_err(|absent| Gap::Absent(absent.to_string()));
        (*kind, found)
    });
    let mut runner = Runner {
        program,
        interrupt,
        folder: folder.path(),
        loader,
        certificate,
        ports: Ports::default(),
        found: found.collect(),
        processor: gateway.unwrap_or(0),
        starts: 0,
        runs: 0,
    };
    let scenarios = runner.measure()?;
    let participant = |(kind, found): (&Kind, &Result<Found, Gap>)| Participant {
        kind: *kind,
        version: found.as_ref().map(|f| f.version.clone()).map_err(Gap::to_string),
    };
    Ok(Results {
        date: time::OffsetDateTime::now_utc().date().to_string(),
        machine: Machine::here(processors.len()),
        rounds: program.rounds,
        seconds: program.seconds,
        gateways: runner.found.iter().map(participant).collect(),
        gates: judge(&scenarios),
        scenarios,
    })
}

impl Runner<'_> {
    fn measure(&mut self) -> Result<Vec<Comparison>, RunnerError> {
        let (crowds, loads): (Vec<Scenario>, Vec<Scenario>) =
            self.program.scenarios.iter().partition(|scenario| scenario.figure == Figure::Memory);
        let mut comparisons = Vec::new();
        if !loads.is_empty() {
            let mut running = self.start_all()?;
            for scenario in &loads {
                comparisons.push(self.interleave(scenario, &mut running)?);
            }
        }
        for scenario in &crowds {
            comparisons.push(self.one_by_one(scenario)?);
        }
        Ok(comparisons)
    }

    fn start_all(&mut self) -> Result<BTreeMap<Kind, Result<Running, Gap>>, RunnerError> {
        let mut all = BTreeMap::new();
        for kind in &self.program.gateways {
            self.go_on()?;
            all.insert(*kind, self.start(*kind));
        }
        Ok(all)
    }

    fn go_on(&self) -> Result<(), RunnerError> {
        if self.interrupt.is_asked() { Err(RunnerError::Interrupted) } else { Ok(()) }
    }

    fn start(&mut self, kind: Kind) -> Result<Running, Gap> {
        let found = match self.found.get(&kind) {
            Some(Ok(found)) => found,
            Some(Err(gap)) => return Err(gap.clone()),
            None => return Err(Gap::Absent("was not asked for".into())),
        };
        eprintln!("starting {} ({})", kind.name(), found.version);
        self.starts += 1;
        let folder = self.folder.join(format!("{}-{}", kind.name(), self.starts));
        let made = std::fs::create_dir(&folder)
            .map_err(|reason| GatewayError::File { path: folder.clone(), reason });
        let site = Site {
            folder: &folder,
            origin: self.loader.origin(),
            certificate: &self.certificate,
            ports: &mut self.ports,
            found,
        };
        let running = made.and_then(|()| {
            Running::start(kind, site, Place { processor: self.processor, nice: self.program.nice })
        });
        running.map_err(|error| {
            eprintln!("{} does not run: {error}", kind.name());
            Gap::Failed(error.to_string())
        })
    }

    /// All gateways in turn, round after round, so that whatever else the machine does hits all of them.
    fn interleave(
        &mut self,
        scenario: &Scenario,
        running: &mut BTreeMap<Kind, Result<Running, Gap>>,
    ) -> Result<Comparison, RunnerError> {
        let mut rounds: BTreeMap<Kind, Result<Vec<Outcome>, Gap>> = BTreeMap::new();
        for round in 1..=self.program.rounds {
            for kind in &self.program.gateways {
                let so_far = rounds.entry(*kind).or_insert_with(|| Ok(Vec::new()));
                let Ok(outcomes) = so_far else { continue };
                let outcome = match running.get(kind) {
                    Some(Ok(running)) => self.one_run(scenario, running)?,
                    Some(Err(gap)) => Err(gap.clone()),
                    None => Err(Gap::Absent("was not asked for".into())),
                };
                match outcome {
                    Ok(outcome) => {
                        progress(scenario, *kind, round, &outcome);
                        outcomes.push(outcome);
                    }
                    Err(gap) => {
                        if let Gap::Failed(reason) = &gap {
                            eprintln!("{:10} {:13} FAILED: {reason}", scenario.name, kind.name());
                        }
                        *so_far = Err(gap);
                    }
                }
            }
        }
        let row = |kind: &Kind| {
            let outcomes = rounds.remove(kind).unwrap_or(Err(Gap::NotOffered));
            Row { kind: *kind, measured: outcomes.and_then(|outcomes| Measured::of(scenario, outcomes)) }
        };
        Ok(Comparison::new(scenario, self.program.gateways.iter().map(row).collect()))
    }

    /// Each gateway fresh and alone: memory that an earlier run left behind would be taken for the connections'.
    fn one_by_one(&mut self, scenario: &Scenario) -> Result<Comparison, RunnerError> {
        let mut rows = Vec::new();
        for kind in &self.program.gateways {
            let outcome = match self.start(*kind) {
                Ok(running) => {
                    // What the first requests make a gateway load and keep is not the connections' either.
                    let first = Scenario { connections: OPENING_MAX, ..*scenario };
                    match self.one_run(&first, &running)? {
                        Ok(_) => self.one_run(scenario, &running)?,
                        Err(gap) => Err(gap),
                    }
                }
                Err(gap) => Err(gap),
            };
            let measured = outcome.and_then(|outcome| Measured::of(scenario, vec![outcome]));
            if let Ok(measured) = &measured {
                eprintln!("{:10} {:13} {:9.0} B", scenario.name, kind.name(), measured.figure.median);
            }
            rows.push(Row { kind: *kind, measured });
        }
        Ok(Comparison::new(scenario, rows))
    }

    fn one_run(
        &mut self,
        scenario: &Scenario,
        running: &Running,
    ) -> Result<Result<Outcome, Gap>, RunnerError> {
        self.go_on()?;
        let target = running.target(scenario.port, scenario.route);
        let Some(target) = target.filter(|_| scenario.suits(running.kind)) else {
            return Ok(Err(Gap::NotOffered));
        };
        self.runs += 1;
        let order = scenario.order(Conditions {
            target: target.clone(),
            gateway_pid: running.pid(),
            gateway_processor: self.processor,
            certificate: self.certificate.certificate.clone(),
            warm_up_ms: (self.program.warm_up_seconds * 1_000.0) as u64,
            measure_ms: (self.program.seconds * 1_000.0) as u64,
            run: self.runs,
        });
        let outcome = self.loader.perform(&order)?;
        running.tidy_up();
        Ok(match outcome {
            Err(reason) => Err(Gap::Failed(reason)),
            Ok(_) if !running.is_running() => Err(Gap::Failed("the gateway ended".into())),
            Ok(outcome) => match outcome.complaint() {
                Some(complaint) => Err(Gap::Failed(complaint)),
                None => Ok(outcome),
            },
        })
    }
}

/// In memory where there is such a file system, so that no gateway waits for a disk.
fn memory_folder() -> std::io::Result<tempfile::TempDir> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tidegate-bench-");
        builder
    };
    builder().tempdir_in("/dev/shm").or_else(|_| builder().tempdir())
}

fn progress(scenario: &Scenario, kind: Kind, round: u32, outcome: &Outcome) {
    eprintln!(
        "{:10} {:13} round {round}: {:8.2} us CPU, {:8.0} req/s, p50 {:7.0} us, p99 {:7.0} us, busy {:3.0} %, disturbed {:3.0} %",
        scenario.name,
        kind.name(),
        outcome.cpu_us_per_request().unwrap_or(0.0),
        outcome.requests_per_second(),
        outcome.p50_us,
        outcome.p99_us,
        outcome.gateway_busy() * 100.0,
        outcome.disturbance * 100.0,
    );
}
