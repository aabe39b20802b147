//! What a whole run of `bench peers` found, gateway by gateway and scenario by scenario.

use serde::Serialize;

use crate::peers::{
    gate::{self, Gate, Verdict},
    gateway::Kind,
    order::Outcome,
    scenario::{Figure, Scenario},
    statistics::Spread,
};

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Results {
    /// Day of the run, UTC.
    pub(crate) date: String,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Rounds per scenario.
    pub(crate) rounds: u32,
    /// Counted seconds per round.
    pub(crate) seconds: f64,
    /// Who took part, and who did not.
    pub(crate) gateways: Vec<Participant>,
    /// What was measured.
    pub(crate) scenarios: Vec<Comparison>,
    /// All promises.
    pub(crate) gates: Vec<Judged>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Machine {
    /// As the processor calls itself.
    pub(crate) processor: String,
    /// How many there are to use.
    pub(crate) processors: usize,
    /// Version, without what a distribution added.
    pub(crate) kernel: String,
}

/// A gateway that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Participant {
    /// Which.
    pub(crate) kind: Kind,
    /// Its version, or why it is not there.
    pub(crate) version: Result<String, String>,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// In words.
    pub(crate) title: &'static str,
    /// Unit of the figures.
    pub(crate) unit: &'static str,
    /// One row per gateway that was asked for.
    pub(crate) rows: Vec<Row>,
}

/// A gateway in a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Which.
    pub(crate) kind: Kind,
    /// What it did, or why it did nothing.
    pub(crate) measured: Result<Measured, Gap>,
}

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Gap {
    /// It is not there, or was not asked for.
    Absent(String),
    /// It has no such way in.
    NotOffered,
    /// It answered wrongly, or did not run.
    Failed(String),
}

/// Figures of a gateway in a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// What is compared, in the unit of the scenario; lower is better.
    pub(crate) figure: Spread,
    /// Median of right answers per second.
    pub(crate) requests_per_second: f64,
    /// Median over rounds of the median latency.
    pub(crate) p50_us: f64,
    /// Median over rounds of the 99th percentile.
    pub(crate) p99_us: f64,
    /// Median share of time in which the gateway computed.
    pub(crate) gateway_busy: f64,
    /// Largest share that others took from the gateway's processor in a round.
    pub(crate) disturbance: f64,
    /// All rounds.
    pub(crate) rounds: Vec<Outcome>,
}

/// A promise and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    /// The promise.
    pub(crate) gate: Gate,
    /// In words.
    pub(crate) text: String,
    /// What came of it.
    pub(crate) verdict: Verdict,
}

impl Measured {
    /// Of the rounds of a scenario; none makes a gap.
    pub(crate) fn of(scenario: &Scenario, rounds: Vec<Outcome>) -> Result<Self, Gap> {
        let figure = |outcome: &Outcome| match scenario.figure {
            Figure::Cpu => outcome.cpu_us_per_request(),
            Figure::Latency(_) => (outcome.answered > 0).then_some(outcome.p50_us),
            Figure::Memory => {
                let grown = outcome.memory_idle_bytes.saturating_sub(outcome.memory_before_bytes);
                Some(grown as f64 / scenario.connections as f64)
            }
        };
        let nothing = || Gap::Failed("nothing was answered".into());
        let figures: Option<Vec<f64>> = rounds.iter().map(figure).collect();
        let figure = figures.and_then(Spread::of).ok_or_else(nothing)?;
        let median =
            |value: fn(&Outcome) -> f64| Spread::of(rounds.iter().map(value)).map_or(0.0, |s| s.median);
        Ok(Self {
            figure,
            requests_per_second: median(Outcome::requests_per_second),
            p50_us: median(|outcome| outcome.p50_us),
            p99_us: median(|outcome| outcome.p99_us),
            gateway_busy: median(Outcome::gateway_busy),
            disturbance: rounds.iter().map(|outcome| outcome.disturbance).fold(0.0, f64::max),
            rounds,
        })
    }
}

impl Comparison {
    /// Rows of a scenario.
    pub(crate) fn new(scenario: &Scenario, rows: Vec<Row>) -> Self {
        let unit = match scenario.figure {
            Figure::Cpu => "CPU us per request",
            Figure::Latency(_) => "p50 us",
            Figure::Memory => "bytes per connection",
        };
        Self { name: scenario.name, title: scenario.title, unit, rows }
    }

    /// Median figure of a gateway, or why there is none.
    pub(crate) fn figure(&self, kind: Kind) -> Result<f64, String> {
        let row = self.rows.iter().find(|row| row.kind == kind);
        match row.map(|row| &row.measured) {
            None => Err(format!("{} was not asked for", kind.name())),
            Some(Ok(measured)) => Ok(measured.figure.median),
            Some(Err(gap)) => Err(format!("{}: {gap}", kind.name())),
        }
    }

    /// How many times the figure of nginx this row's figure is.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        let base = self.figure(Kind::Nginx).ok().filter(|base| *base > 0.0)?;
        row.measured.as_ref().ok().map(|measured| measured.figure.median / base)
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent(reason) => f.write_str(reason),
            Self::NotOffered => f.write_str("not offered"),
            Self::Failed(reason) => write!(f, "FAILED: {reason}"),
        }
    }
}

/// Judges all promises by the comparisons at hand.
pub(crate) fn judge(comparisons: &[Comparison]) -> Vec<Judged> {
    let judge = |gate: Gate| {
        let comparison = comparisons.iter().find(|comparison| comparison.name == gate.scenario);
        let verdict = gate.judge(|kind| match comparison {
            Some(comparison) => comparison.figure(kind),
            None => Err("the scenario was not asked for".into()),
        });
        Judged { gate, text: gate.text(), verdict }
    };
    gate::ALL.into_iter().map(judge).collect()
}

impl Results {
    /// Whether a promise is broken, or Tidegate answered wrongly.
    pub(crate) fn is_bad(&self) -> bool {
        let missed = self.gates.iter().any(|judged| matches!(judged.verdict, Verdict::Missed(_)));
        let wrong = |row: &Row| row.kind.is_ours() && matches!(row.measured, Err(Gap::Failed(_)));
        missed || self.scenarios.iter().any(|comparison| comparison.rows.iter().any(wrong))
    }
}

impl Machine {
    /// This one.
    pub(crate) fn here(processors: usize) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            processors,
            kernel: read("/proc/sys/kernel/osrelease").split('.').take(2).collect::<Vec<_>>().join("."),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::peers::scenario;

    /// A run in which Tidegate needs `tidegate_us`, nginx 10 us, and HAProxy fails.
    pub(crate) fn results(tidegate_us: u64) -> Results {
        let scenario = scenario::named("proxy-128").unwrap();
        let row = |kind, cpu_us: u64| {
            let round = |more: u64| Outcome {
                answered: 1_000,
                measured_ns: 1_000_000_000,
                gateway_cpu_ns: 1_000 * (cpu_us * 1_000 + more),
                p50_us: 500.0,
                p99_us: 900.0,
                disturbance: 0.02,
                ..Outcome::default()
            };
            Row { kind, measured: Measured::of(&scenario, vec![round(100), round(0), round(200)]) }
        };
        let failed = Row { kind: Kind::Haproxy, measured: Err(Gap::Failed("3 x wrong status".into())) };
        let rows = vec![row(Kind::Tidegate, tidegate_us), row(Kind::Nginx, 10), failed];
        let scenarios = vec![Comparison::new(&scenario, rows)];
        Results {
            date: "2026-01-02".into(),
            machine: Machine { processor: "P & <Q>".into(), processors: 2, kernel: "6.1".into() },
            rounds: 3,
            seconds: 1.0,
            gateways: vec![
                Participant { kind: Kind::Tidegate, version: Ok("tidegate 0.1.0".into()) },
                Participant { kind: Kind::Envoy, version: Err("envoy is not here".into()) },
            ],
            gates: judge(&scenarios),
            scenarios,
        }
    }

    #[test]
    fn a_missed_gate_is_bad_and_an_unmeasured_one_is_not_kept() {
        let good = results(7);
        assert!(!good.is_bad());
        let of = |text: &str| good.gates.iter().find(|j| j.text.contains(text)).unwrap().verdict.clone();
        assert!(matches!(of("0.78 x nginx"), Verdict::Kept(ratio) if (0.70..0.71).contains(&ratio)));
        assert!(matches!(of("haproxy"), Verdict::NotMeasured(reason) if reason.contains("FAILED")));
        assert!(matches!(of("envoy"), Verdict::NotMeasured(reason) if reason.contains("not asked for")));
        assert!(matches!(of("local"), Verdict::NotMeasured(_)));
        assert!(results(8).is_bad());
    }

    #[test]
    fn wrong_answers_of_tidegate_are_bad() {
        let mut results = results(7);
        results.scenarios[0].rows[0].measured = Err(Gap::Failed("1 x wrong length".into()));
        assert!(results.is_bad());
        results.scenarios[0].rows[0].measured = Err(Gap::NotOffered);
        assert!(!results.is_bad());
    }

    #[test]
    fn no_answer_is_no_figure() {
        let scenario = scenario::named("proxy-128").unwrap();
        assert!(Measured::of(&scenario, vec![Outcome::default()]).is_err());
        assert!(Measured::of(&scenario, vec![]).is_err());
    }
}
