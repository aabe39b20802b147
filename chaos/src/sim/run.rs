//! One run: found a cluster, let clients loose on it while its schedule of faults happens, heal it, wait until it is well, and judge.

use std::{panic::AssertUnwindSafe, time::Duration};

use serde::Serialize;
use tidegate_cluster_sim::sim;

use super::{
    case::Case,
    clients,
    defect::Defect,
    fault::Fault,
    invariants::{Invariant, liveness},
    oracle::{Counts, Violation},
    panics, requests,
    weather::Nemesis,
    world::World,
};

/// Before clients begin: the groups find their voters.
const FORM: Duration = Duration::from_secs(2);

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// Its seed.
    pub(crate) seed: u64,
    /// Time of the cluster, in milliseconds.
    pub(crate) cluster_ms: u64,
    /// Equal in equal runs.
    pub(crate) digest: u64,
    /// What was counted.
    pub(crate) counts: Counts,
    /// What does not hold.
    pub(crate) violations: Vec<Violation>,
}

impl Outcome {
    /// The first invariant that does not hold.
    pub(crate) fn broken(&self) -> Option<Invariant> {
        self.violations.first().map(|violation| violation.invariant)
    }

    /// Whether this invariant is among those that do not hold.
    pub(crate) fn breaks(&self, invariant: Invariant) -> bool {
        self.violations.iter().any(|violation| violation.invariant == invariant)
    }
}

/// Runs a case on this thread.
pub(crate) fn run(case: &Case, defect: Option<Defect>) -> Outcome {
    let (schedule, length_ms) = (case.schedule(), case.seconds * 1_000);
    let work = AssertUnwindSafe(|| {
        sim::block_on(case.seed, async {
            let world = World::new(case.seed, defect);
            panics::watch();
            live(&world, &schedule, length_ms).await;
            let digest = world.cluster.switch().digest();
            let mut oracle = world.watch.lock();
            oracle.note(Invariant::Endurance, panics::first().map(|text| format!("a task: {text}")));
            let (counts, violations) = oracle.finish();
            let digest = digest ^ oracle.states.digest() ^ counts.requests.rotate_left(17) ^ counts.served;
            let cluster_ms = oracle.now_us() / 1_000;
            Outcome { seed: case.seed, cluster_ms, digest, counts, violations }
        })
    });
    std::panic::catch_unwind(work).unwrap_or_else(|panic| {
        let text = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().unwrap_or(&"of an unknown kind").to_string(),
        };
        let violation =
            Violation { invariant: Invariant::Endurance, at_ms: 0, text: format!("panic: {text}") };
        let counts = Counts::default();
        Outcome { seed: case.seed, cluster_ms: 0, digest: 0, counts, violations: vec![violation] }
    })
}

async fn live(world: &World, schedule: &[Fault], length_ms: u64) {
    if let Err(error) = world.found().await {
        let text = format!("the cluster was not founded: {error}");
        return world.watch.lock().note(Invariant::Liveness, Some(text));
    }
    sim::sleep(FORM).await;
    let clients = (clients::start(world), requests::start(world));
    let mut nemesis = Nemesis::new(world);
    nemesis.rage(schedule, length_ms).await;
    drop(clients);
    nemesis.heal().await;
    if !world.is_broken() {
        liveness::converge(world).await;
    }
}
