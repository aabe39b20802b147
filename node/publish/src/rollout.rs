//! How far a rollout may go: watches what the zones that have a new version answer, next to those that do not. Owns the decision; must
//! never ask a node or change a record.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_proto::document::{RolloutPolicy, StageRollout, Zone};

/// Requests below which a share of errors says nothing.
const REQUESTS_MIN: u64 = 20;
/// The new version must have this many times the errors of the old one, where both are asked: an upstream that fails for everybody is no
/// reason to take a deployment back.
const TIMES_OLD: u64 = 2;

/// A node as the watch sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub node: u64,
    /// Where it is.
    pub zone: Zone,
    /// What it said; `None` when it did not answer.
    pub counted: Option<Counted>,
}

/// What one node says about a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests answered since the node started.
    pub requests: u64,
    /// Of these, answered with a status of 500 or above.
    pub errors: u64,
    /// Why the node does not serve the version that it should.
    pub trouble: Option<Trouble>,
}

/// Why a node does not serve the version that it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does not compile there.
    DoesNotCompile,
    /// The node kept ending, and serves what it served before.
    CrashLoop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Let a zone serve the new version.
    Reach(Zone),
    /// Every zone has had it long enough.
    Finish,
    /// Take it back, for this reason.
    RollBack(String),
}

/// Watches one rollout, from when its last zone was reached or this watch began.
#[derive(Debug, Default)]
pub struct Watch {
    /// Zones reached, and since when, on the watcher's monotonic clock.
    since: Option<(usize, u64)>,
    /// Requests and errors of each node at that time.
    base: BTreeMap<u64, (u64, u64)>,
}

/// Requests and errors.
#[derive(Clone, Copy, Default)]
struct Sum {
    requests: u64,
    errors: u64,
}

impl Sum {
    /// Whether errors are more than a percentage of enough requests.
    fn exceeds(self, percent: f64) -> bool {
        self.requests >= REQUESTS_MIN && self.errors as f64 * 100.0 > percent * self.requests as f64
    }

    /// Whether the share of errors is `times` that of another, or there is nothing to compare it with.
    fn is_worse(self, other: Self, times: u64) -> bool {
        let (own, its) = (
            u128::from(self.errors) * u128::from(other.requests),
            u128::from(other.errors) * u128::from(self.requests),
        );
        other.requests < REQUESTS_MIN || own > its * u128::from(times)
    }
}

impl Watch {
    /// One look at all `nodes` of the cluster, at `now_ms` on a clock that never goes back.
    pub fn look(
        &mut self,
        rollout: &StageRollout,
        policy: &RolloutPolicy,
        nodes: &[Seen],
        now_ms: u64,
    ) -> Step {
        if !policy.is_staged {
            return Step::Finish;
        }
        let zones: BTreeSet<&Zone> = nodes.iter().map(|node| &node.zone).collect();
        let next = zones.into_iter().find(|zone| !rollout.reached.contains(zone)).cloned();
        let Some(newest) = rollout.reached.last() else { return next.map_or(Step::Wait, Step::Reach) };
        let since_ms = match self.since {
            Some((count, since_ms)) if count == rollout.reached.len() => since_ms,
            _ => {
                self.since = Some((rollout.reached.len(), now_ms));
                self.base.clear();
                now_ms
            }
        };
        if let Some(reason) = self.judge(rollout, policy, nodes) {
            return Step::RollBack(reason);
        }
        // A zone in which nobody answers has proven nothing.
        let answers = nodes.iter().any(|node| node.zone == *newest && node.counted.is_some());
        let is_done = now_ms.saturating_sub(since_ms) >= u64::from(policy.bake_s) * 1_000;
        if !answers || !is_done {
            return Step::Wait;
        }
        next.map_or(Step::Finish, Step::Reach)
    }

    /// Why the new version is bad, if it is.
    fn judge(&mut self, rollout: &StageRollout, policy: &RolloutPolicy, nodes: &[Seen]) -> Option<String> {
        let (mut new, mut old) = (Sum::default(), Sum::default());
        for Seen { node, zone, counted } in nodes {
            let Some(counted) = counted else { continue };
            let is_new = rollout.reached.contains(zone);
            match counted.trouble.filter(|_| is_new) {
                Some(Trouble::DoesNotCompile) => {
                    return Some(format!("it does not compile on node {node} in {}", zone.az));
                }
                Some(Trouble::CrashLoop) => return Some(format!("node {node} in {} kept ending", zone.az)),
                None => {}
            }
            let base = self.base.entry(*node).or_insert((counted.requests, counted.errors));
            if counted.requests < base.0 {
                // The node has started anew, and counts from nothing.
                *base = (0, 0);
            }
            let sum = if is_new { &mut new } else { &mut old };
            sum.requests += counted.requests - base.0;
            sum.errors += counted.errors.saturating_sub(base.1);
        }
        let is_bad = new.exceeds(policy.errors_percent) && new.is_worse(old, TIMES_OLD);
        is_bad.then(|| {
            let Sum { requests, errors } = new;
            let azs: Vec<&str> = rollout.reached.iter().map(|zone| zone.az.as_str()).collect();
            let limit = policy.errors_percent;
            format!("{errors} of {requests} requests in {} failed, more than {limit} %", azs.join(", "))
        })
    }
}

#[cfg(test)]
mod tests;
