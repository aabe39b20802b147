//! What a storm is, as a small TOML file: the layout, the traffic, the faults by the clock, and what has to hold. Reads and checks;
//! every error names the field, the value and the rule.

mod check;
mod expect;
mod fault;

use serde::{Deserialize, Serialize};

pub(crate) use expect::{Expectation, Limit, Measure, Scope};
pub(crate) use fault::{DiskFault, Fault, NetworkFault, Planned};

/// A scenario that can be run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// Name on the command line and in reports.
    pub(crate) name: String,
    /// The promises it puts to the test, such as `P2`.
    pub(crate) promise: String,
    /// One line.
    pub(crate) summary: String,
    /// What it does, what it checks, and what it does not.
    pub(crate) description: String,
    /// How long traffic flows before the first fault and after the last one has been undone, in seconds.
    pub(crate) calm_s: u64,
    /// Traffic flows at least so long before everything is undone, in seconds.
    pub(crate) lasts_s: f64,
    /// Regions, zones and distances.
    pub(crate) layout: Layout,
    /// Requests and writes.
    pub(crate) traffic: Traffic,
    /// Faults, in the order of their beginning.
    pub(crate) faults: Vec<Planned>,
    /// What has to hold.
    pub(crate) expectations: Vec<Expectation>,
}

/// Regions, zones and distances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Layout {
    /// Regions.
    pub(crate) regions: u8,
    /// Zones of each region, with one node each.
    pub(crate) azs: u8,
    /// Round trip between regions.
    pub(crate) wan_rtt_ms: u32,
    /// More than that, at most, on each way between regions.
    pub(crate) wan_jitter_ms: u32,
    /// Round trip between zones of a region.
    pub(crate) az_rtt_ms: u32,
    /// Timing of the consensus: `lan`, `wan` or `geo`.
    pub(crate) profile: String,
    /// Requests per second that each node admits at most; 0 is no ceiling.
    pub(crate) admitted_per_second: u32,
}

/// Requests and writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traffic {
    /// Requests per second of each region's clients.
    pub(crate) requests_per_second: u32,
    /// Of a hundred requests, those that are not idempotent.
    pub(crate) post_percent: u32,
    /// Configuration writes per second through each region's nodes, by the clock.
    pub(crate) writes_per_second: u32,
    /// Changes per second of what every answer of the churn reader consists of; 0 is no churn.
    pub(crate) changes_per_second: u32,
    /// Requests per second of each region against a limit of 20 requests per second; 0 is no limit.
    pub(crate) limited_per_second: u32,
}

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: {reason}; `chaos list` shows the scenarios that are built in")]
    Read {
        /// As given.
        path: String,
        /// From the operating system.
        reason: std::io::Error,
    },
    /// The text is not TOML, or has fields that there are not.
    #[error("{path}: {reason}")]
    Parse {
        /// Where it came from.
        path: String,
        /// With line and column.
        reason: Box<toml::de::Error>,
    },
    /// A value breaks a rule.
    #[error("{path}: {field} = {value}: {rule}")]
    Rule {
        /// Where it came from.
        path: String,
        /// The field, with its place.
        field: String,
        /// The value.
        value: String,
        /// The rule.
        rule: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    promise: String,
    summary: String,
    description: String,
    #[serde(default = "default_calm")]
    calm_s: u64,
    #[serde(default)]
    lasts_s: u32,
    #[serde(default)]
    layout: Layout,
    #[serde(default)]
    traffic: Traffic,
    #[serde(default)]
    fault: Vec<fault::Written>,
    expect: Vec<expect::Written>,
}

/// A rule that was broken: field, value, rule.
type Broken = (String, String, String);

impl Scenario {
    /// Reads a scenario; `path` is for errors.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub(crate) fn parse(path: &str, text: &str, short: bool) -> Result<Self, ScenarioError> {
        let written: Written = toml::from_str(text)
            .map_err(|reason| ScenarioError::Parse { path: path.into(), reason: Box::new(reason) })?;
        Self::assemble(written, short).map_err(|(field, value, rule)| ScenarioError::Rule {
            path: path.into(),
            field,
            value,
            rule,
        })
    }

    fn assemble(written: Written, short: bool) -> Result<Self, Broken> {
        check::layout(&written.layout)?;
        check::traffic(&written.traffic)?;
        check::head(&written.name, &written.promise, written.calm_s)?;
        let mut faults = Vec::new();
        for (number, fault) in written.fault.into_iter().enumerate() {
            faults.push(fault.plan(&format!("fault {}", number + 1), &written.layout, short)?);
        }
        faults.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        if written.expect.is_empty() {
            return Err(("expect".into(), "nothing".into(), "must state at least one expectation".into()));
        }
        let expect = written.expect.into_iter().enumerate();
        let expectations = expect
            .map(|(number, one)| one.check(&format!("expect {}", number + 1), &written.promise))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: written.name,
            promise: written.promise,
            summary: written.summary,
            description: written.description,
            calm_s: written.calm_s,
            lasts_s: f64::from(written.lasts_s),
            layout: written.layout,
            traffic: written.traffic,
            faults,
            expectations,
        })
    }

    /// Whether some fault needs disks that can fail.
    pub(crate) fn needs_disks(&self) -> bool {
        self.faults.iter().any(|planned| planned.fault.needs_disks())
    }

    /// Whether some fault needs wall clocks of the nodes' own.
    pub(crate) fn needs_clocks(&self) -> bool {
        self.faults.iter().any(|planned| matches!(planned.fault, Fault::ClockJump { .. }))
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            regions: 3,
            azs: 3,
            wan_rtt_ms: 80,
            wan_jitter_ms: 2,
            az_rtt_ms: 1,
            profile: "wan".into(),
            admitted_per_second: 0,
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests_per_second: 100,
            post_percent: 20,
            writes_per_second: 5,
            changes_per_second: 0,
            limited_per_second: 0,
        }
    }
}

fn default_calm() -> u64 {
    5
}

#[cfg(test)]
mod tests;
