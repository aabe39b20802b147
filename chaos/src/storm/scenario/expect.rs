//! What a scenario says has to hold: a measure, the part of the run it is taken from, and a limit.

use serde::{Deserialize, Serialize};

use super::{Broken, check::rule};

/// What can be measured. Times of the data plane count from when a request was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Failed requests.
    Errors,
    /// Failed requests, of a hundred.
    ErrorPercent,
    /// The longest time in which some region's requests of some class had no success, in milliseconds.
    UnavailableMs,
    /// 99th percentile of the latency of right answers, in milliseconds.
    LatencyP99Ms,
    /// The longest time without an acknowledged write, in milliseconds.
    WriteGapMs,
    /// 99th percentile of the latency of acknowledged writes, in milliseconds.
    CommitP99Ms,
    /// The longest time until a write that was not done was answered, in milliseconds.
    RefusalMs,
    /// Times that another node was seen to lead.
    LeaderChanges,
    /// Times that another node was seen to lead after everything was undone.
    LeaderChangesHealed,
    /// Elections won or lost per minute.
    ElectionsPerMinute,
    /// Reads said to be linearizable that returned an overwritten value.
    StaleReads,
    /// Answers that mix two revisions of the configuration, or go back to an older one on the same node.
    TornAnswers,
    /// Changes made by the churn.
    Changes,
    /// 99th percentile of the time from an acknowledged change until the last node served it, in milliseconds.
    PropagationP99Ms,
    /// The longest time from the start of a node's process until it answered a request, in milliseconds.
    RestartMs,
    /// From when everything was undone until every node and every region's writes were well, in milliseconds.
    RecoveryMs,
    /// Right answers per second, of a hundred that all nodes together admit; where no ceiling is set, of the best second.
    GoodputPercent,
    /// 99th percentile of the latency of requests that were turned away, in milliseconds.
    ShedP99Ms,
    /// From the end of the last fault until a whole second without a failed request, in milliseconds.
    BackToNormalMs,
    /// Requests admitted above what the limit allows in the busiest second, in requests.
    OverAdmitted,
    /// Growth of the largest node's memory from the first fault to the end, in percent.
    MemoryGrowthPercent,
    /// Failed requests to APIs other than the one whose configuration is bad.
    ErrorsElsewhere,
    /// Bad configurations that were accepted although they cannot work.
    PoisonAccepted,
    /// Struck nodes that kept their seat although their disk refuses to keep anything: still leading, neither ended nor degraded.
    Unfenced,
    /// Struck nodes that do not answer requests while their disk refuses to keep anything: they neither went on nor, started again,
    /// served what they had.
    Unserved,
}

/// Which requests count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// Those that did not enter at a struck place while it was struck.
    #[default]
    Elsewhere,
    /// Every one.
    Everywhere,
}

/// Where a measure has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Limit {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

/// Something that has to hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expectation {
    /// The promise it is part of.
    pub(crate) promise: String,
    /// What is measured.
    pub(crate) measure: Measure,
    /// Which requests count.
    pub(crate) scope: Scope,
    /// Seconds after the first fault where the measure begins.
    pub(crate) from_s: f64,
    /// Seconds after the first fault where it ends; at the end of the run when absent.
    pub(crate) to_s: Option<f64>,
    /// Where it has to stay.
    pub(crate) limit: Limit,
    /// What the product lacks for this today, where it lacks something: a break is then shown and does not count.
    pub(crate) awaits: Option<String>,
}

/// An expectation as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    measure: Measure,
    promise: Option<String>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    from_s: f64,
    to_s: Option<f64>,
    at_most: Option<f64>,
    at_least: Option<f64>,
    awaits: Option<String>,
}

impl Written {
    pub(super) fn check(self, place: &str, promise: &str) -> Result<Expectation, Broken> {
        let limit = match (self.at_most, self.at_least) {
            (Some(most), None) => Limit::AtMost(most),
            (None, Some(least)) => Limit::AtLeast(least),
            (most, least) => {
                let value = format!("{most:?}, {least:?}");
                let told = "exactly one of at_most and at_least must be given";
                return Err((format!("{place}: at_most, at_least"), value, told.into()));
            }
        };
        let sane = |value: f64| value.is_finite() && (0.0..=86_400.0).contains(&value);
        rule(sane(self.from_s), &format!("{place}: from_s"), &self.from_s.to_string(), "must be 0 to 86400")?;
        if let Some(to_s) = self.to_s {
            let holds = sane(to_s) && to_s > self.from_s;
            rule(
                holds,
                &format!("{place}: to_s"),
                &to_s.to_string(),
                "must be over from_s and at most 86400",
            )?;
        }
        Ok(Expectation {
            promise: self.promise.unwrap_or_else(|| promise.to_owned()),
            measure: self.measure,
            scope: self.scope,
            from_s: self.from_s,
            to_s: self.to_s,
            limit,
            awaits: self.awaits,
        })
    }
}

impl Measure {
    /// Name in scenarios and reports.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether a tool that stood still for a while makes it look worse.
    pub(crate) fn is_timing(self) -> bool {
        match self {
            Self::ErrorPercent | Self::Errors | Self::ErrorsElsewhere => true,
            Self::UnavailableMs | Self::LatencyP99Ms | Self::WriteGapMs | Self::CommitP99Ms => true,
            Self::RefusalMs | Self::PropagationP99Ms | Self::RestartMs | Self::RecoveryMs => true,
            Self::GoodputPercent | Self::ShedP99Ms | Self::BackToNormalMs => true,
            Self::LeaderChanges | Self::LeaderChangesHealed | Self::ElectionsPerMinute => true,
            Self::StaleReads | Self::TornAnswers | Self::Changes | Self::OverAdmitted => false,
            Self::MemoryGrowthPercent | Self::PoisonAccepted | Self::Unfenced | Self::Unserved => false,
        }
    }
}

impl Limit {
    /// Whether a value stays there; what could not be measured does not.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}
