//! What was promised and seen in a run, and what contradicts it. One lock for all that watch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tidegate_cluster_sim::{NodeId, sim::Stopwatch};

use super::{
    clock, config,
    invariants::{
        Acknowledged, Invariant, LastKnownGood, Leaders, Linearizable, Restore, StateHash, ThrottleBounds,
    },
    land::{Land, REGIONS},
};

/// Violations of one run that are kept.
const VIOLATIONS: usize = 8;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) invariant: Invariant,
    /// When it came to light, in milliseconds of the run.
    pub(crate) at_ms: u64,
    /// What contradicts it.
    pub(crate) text: String,
}

/// What was counted in a run, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Writes that were acknowledged.
    pub(crate) writes: u64,
    /// Writes that met another's.
    pub(crate) conflicts: u64,
    /// Writes that were refused, or of which nothing is known.
    pub(crate) failed: u64,
    /// Linearizable reads.
    pub(crate) reads: u64,
    /// Requests to the data plane.
    pub(crate) requests: u64,
    /// Those that a limit admitted.
    pub(crate) admitted: u64,
    /// Looks at what is served.
    pub(crate) served: u64,
    /// Those while the node had no quorum.
    pub(crate) served_alone: u64,
    /// Comparisons of states.
    pub(crate) compared: u64,
    /// Restores that were compared.
    pub(crate) restores: u64,
    /// Terms with a leader.
    pub(crate) terms: u64,
    /// Faults by kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Adds another run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, one) in [
            (&mut self.writes, other.writes),
            (&mut self.conflicts, other.conflicts),
            (&mut self.failed, other.failed),
            (&mut self.reads, other.reads),
            (&mut self.requests, other.requests),
            (&mut self.admitted, other.admitted),
            (&mut self.served, other.served),
            (&mut self.served_alone, other.served_alone),
            (&mut self.compared, other.compared),
            (&mut self.restores, other.restores),
            (&mut self.terms, other.terms),
        ] {
            *sum += one;
        }
        for (name, count) in &other.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}

/// All records of a run.
pub(crate) struct Oracle {
    began: Stopwatch,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) linearizable: Linearizable,
    pub(crate) leaders: Leaders,
    pub(crate) states: StateHash,
    pub(crate) restore: Restore,
    pub(crate) throttle: ThrottleBounds,
    pub(crate) served: LastKnownGood,
    pub(crate) counts: Counts,
    violations: Vec<Violation>,
}

/// A way to the oracle; cheap to clone.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Oracle>>);

impl Watch {
    /// An oracle that has seen nothing.
    pub(crate) fn new(began: Stopwatch, seed: u64, land: &Land) -> Self {
        let nodes = REGIONS.map(|region| (region, land.nodes_in(region)));
        let fastest = 1.0 + clock::DRIFT_PPM as f64 / 1e6;
        Self(Arc::new(Mutex::new(Oracle {
            began,
            acknowledged: Acknowledged::default(),
            linearizable: Linearizable::default(),
            leaders: Leaders::default(),
            states: StateHash::default(),
            restore: Restore::default(),
            throttle: ThrottleBounds::new(config::numbers(seed), fastest, BTreeMap::from(nodes)),
            served: LastKnownGood::default(),
            counts: Counts::default(),
            violations: Vec::new(),
        })))
    }

    /// The records.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Oracle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node has ended although nothing explains it.
    pub(crate) fn ended(&self, node: NodeId, reason: &str) {
        self.lock().note(Invariant::Endurance, Some(format!("node {node} ended: {reason}")));
    }
}

impl Oracle {
    /// Since the run began, in nanoseconds.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began.ns()
    }

    /// Since the run began, in microseconds.
    pub(crate) fn now_us(&self) -> u64 {
        self.began.ns() / 1_000
    }

    /// Keeps what contradicts an invariant.
    pub(crate) fn note(&mut self, invariant: Invariant, complaint: Option<String>) {
        if let Some(text) = complaint.filter(|_| self.violations.len() < VIOLATIONS) {
            let at_ms = self.began.ns() / 1_000_000;
            self.violations.push(Violation { invariant, at_ms, text });
        }
    }

    /// What does not hold.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Judges what is judged at the end, and sums up.
    pub(crate) fn finish(&mut self) -> (Counts, Vec<Violation>) {
        for complaint in self.linearizable.judge() {
            self.note(Invariant::Linearizable, Some(complaint));
        }
        let (served, served_alone) = self.served.counts();
        let counts = Counts {
            reads: self.linearizable.reads(),
            admitted: self.throttle.count(),
            served,
            served_alone,
            compared: self.states.compared(),
            restores: self.restore.count(),
            terms: self.leaders.count(),
            ..self.counts.clone()
        };
        (counts, self.violations.clone())
    }
}
