//! The promises a storm puts to the test: each with its sentence, its bound, and the verdict on what was measured.

use serde::Serialize;

/// A promise of `storm az-outage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Promise {
    /// Nodes outside the killed zone answer every request.
    SurvivorsAnswer,
    /// Behind a balancer, with one retry on a new connection, nobody notices.
    BalancerAnswers,
    /// What was acknowledged is there, on every node, and is the newest.
    AcknowledgedWritesStay,
    /// Every acknowledged value and no other is there.
    NothingUnexplained,
    /// Writing goes on soon after a kill, the leader's included.
    WritesResume,
    /// A write that cannot be done now is answered so that a client tries again.
    NobodyIsBlamed,
    /// A restarted node serves what the others serve soon after its start.
    RestartCatchesUp,
    /// Replicas at the same index hold the same state.
    StatesAgree,
    /// In the end all nodes serve the newest revision.
    NodesServeNewest,
    /// The clients sent what the schedule asked for, so the other figures mean something.
    LoadIsReal,
}

/// A limit with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    /// Nothing above it.
    AtMost(u64),
    /// Nothing below it.
    AtLeast(u64),
}

/// What was measured against a promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// The promise.
    pub(crate) promise: Promise,
    /// Its sentence.
    pub(crate) sentence: &'static str,
    /// Its bound.
    pub(crate) bound: Bound,
    /// Unit of the bound and of what was measured.
    pub(crate) unit: &'static str,
    /// What was measured.
    pub(crate) measured: u64,
    /// Whether it is kept.
    pub(crate) kept: bool,
}

impl Promise {
    /// Every promise, in the order of the report.
    pub(crate) const ALL: [Self; 10] = [
        Self::SurvivorsAnswer,
        Self::BalancerAnswers,
        Self::AcknowledgedWritesStay,
        Self::NothingUnexplained,
        Self::WritesResume,
        Self::NobodyIsBlamed,
        Self::RestartCatchesUp,
        Self::StatesAgree,
        Self::NodesServeNewest,
        Self::LoadIsReal,
    ];

    /// What is promised, for people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::SurvivorsAnswer => "failed requests on surviving zones, asked directly, no retry",
            Self::BalancerAnswers => "failed requests through the balancer, one retry on a new connection",
            Self::AcknowledgedWritesStay => "acknowledged writes missing or outdated on a node",
            Self::NothingUnexplained => "values that nobody wrote, or that came back",
            Self::WritesResume => "longest time without an acknowledged write",
            Self::NobodyIsBlamed => {
                "right writes answered with a client error, so that no client repeats them"
            }
            Self::RestartCatchesUp => "longest time from start to caught up",
            Self::StatesAgree => "state hashes that differ at the same index",
            Self::NodesServeNewest => "nodes that do not serve the newest revision at the end",
            Self::LoadIsReal => "share of the scheduled requests that was sent",
        }
    }

    /// Its limit and the unit of it.
    pub(crate) fn bound(self) -> (Bound, &'static str) {
        match self {
            Self::SurvivorsAnswer | Self::BalancerAnswers => (Bound::AtMost(0), "requests"),
            Self::AcknowledgedWritesStay | Self::NobodyIsBlamed => (Bound::AtMost(0), "writes"),
            Self::NothingUnexplained => (Bound::AtMost(0), "values"),
            Self::WritesResume => (Bound::AtMost(2_500), "ms"),
            Self::RestartCatchesUp => (Bound::AtMost(10_000), "ms"),
            Self::StatesAgree => (Bound::AtMost(0), "hashes"),
            Self::NodesServeNewest => (Bound::AtMost(0), "nodes"),
            Self::LoadIsReal => (Bound::AtLeast(99), "%"),
        }
    }

    /// The verdict on a measurement.
    pub(crate) fn judge(self, measured: u64) -> Verdict {
        let (bound, unit) = self.bound();
        let kept = match bound {
            Bound::AtMost(most) => measured <= most,
            Bound::AtLeast(least) => measured >= least,
        };
        Verdict { promise: self, sentence: self.sentence(), bound, unit, measured, kept }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(0) => write!(f, "0"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        for (promise, measured, kept) in [
            (Promise::SurvivorsAnswer, 0, true),
            (Promise::SurvivorsAnswer, 1, false),
            (Promise::WritesResume, 2_500, true),
            (Promise::WritesResume, 2_501, false),
            (Promise::LoadIsReal, 99, true),
            (Promise::LoadIsReal, 98, false),
        ] {
            assert_eq!(promise.judge(measured).kept, kept, "{promise:?} {measured}");
        }
    }

    #[test]
    fn every_promise_can_break() {
        for promise in Promise::ALL {
            assert!(!promise.judge(0).kept || !promise.judge(u64::MAX).kept, "{promise:?}");
        }
    }
}
