//! Clients of the data plane: requests to every node against limits of each kind, through the product's own routing and decision, and
//! looks at what is served.

use std::time::Duration;

use tidegate_cluster_sim::{
    NodeId,
    sim::{self, Task},
};
use tidegate_gateway::{Snapshot, address, authorize};
use tidegate_throttle::{LimitRef, Reason, Verdict};

use super::{
    clients, config,
    invariants::{Invariant, Limited},
    node::Life,
    world::World,
};
use crate::flood::Chance;

/// Mean pause between requests to a node, in milliseconds: in quiet stretches, and in rushes, which use limits up.
const QUIET_MS: f64 = 400.0;
const RUSH_MS: f64 = 25.0;
/// Length of a stretch, in requests.
const STRETCH: usize = 60;
/// A request waits this long for a share that is on its way, and looks this often.
const WAIT: Duration = Duration::from_millis(100);
const LOOKS: u32 = 5;

/// Starts the clients of every node; they end when the tasks are dropped.
pub(crate) fn start(world: &World) -> Vec<Task> {
    let client = |id: NodeId| {
        sim::spawn_scoped(visit(world.clone(), id, Chance::new(world.seed, &format!("visitor {id}"))))
    };
    world.land.ids().into_iter().map(client).collect()
}

async fn visit(world: World, node: NodeId, mut chance: Chance) {
    let kinds = Limited::kinds(world.land.is_wide());
    let mut mean_ms = QUIET_MS;
    for number in 0_usize.. {
        if number.is_multiple_of(STRETCH) {
            mean_ms = if chance.happens(0.3) { RUSH_MS } else { QUIET_MS };
        }
        sim::sleep(Duration::from_micros((chance.exponential(mean_ms) * 1e3) as u64)).await;
        look(&world, node);
        let Some(limited) = kinds.get(chance.below(kinds.len())).copied() else { return };
        let first = world.life(node).and_then(|life| ask(&world, &life, limited));
        if first == Some(Answer::Starved) {
            let world = world.clone();
            sim::spawn(async move { wait(world, node, limited).await });
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Admitted,
    Refused,
    /// More is on its way.
    Starved,
}

/// A client whose limit is not used up waits for the share of its node.
async fn wait(world: World, node: NodeId, limited: Limited) {
    for _ in 0..LOOKS {
        sim::sleep(WAIT / LOOKS).await;
        let answer = world.life(node).and_then(|life| ask(&world, &life, limited));
        if answer != Some(Answer::Starved) {
            return;
        }
    }
}

/// Sends one request to a node; `None` when there is nothing to ask yet.
pub(crate) fn ask(world: &World, life: &Life, limited: Limited) -> Option<Answer> {
    let snapshot = life.served()?;
    let limits = limits_of(&snapshot, limited)?;
    let verdict = life.desk.decide(&limits);
    let mut oracle = world.watch.lock();
    oracle.counts.requests += 1;
    Some(match verdict {
        Verdict::Admitted => {
            let now_ns = oracle.now_ns();
            let complaint = oracle.throttle.admitted(life.region, limited, now_ns);
            oracle.note(Invariant::ThrottleBounds, complaint);
            Answer::Admitted
        }
        Verdict::Refused(refusal) if refusal.reason == Reason::Starved => Answer::Starved,
        Verdict::Refused(_) => Answer::Refused,
    })
}

/// What a request is held against, by the snapshot that is served.
fn limits_of(snapshot: &Snapshot, limited: Limited) -> Option<Vec<LimitRef>> {
    let (api, stage) = config::stage_of(limited);
    let path = format!("/_aws/execute-api/{api}/{stage}/");
    let routed = snapshot.route(address(b"", &path), "GET").ok()?;
    let authorized = authorize(routed, || Some(config::API_KEY)).ok()?;
    let limits: Vec<LimitRef> = authorized.gates().iter().map(|gate| gate.limit).collect();
    (!limits.is_empty()).then_some(limits)
}

/// Looks at what a node serves.
pub(crate) fn look(world: &World, node: NodeId) {
    let Some((life, handle)) = world.life(node).zip(world.handle(node)) else { return };
    let served = life.served();
    let deployment = |snapshot: &Snapshot| {
        snapshot.stage(config::OPEN.0, config::OPEN.1).map(|(_, stage)| stage.deployment().to_owned())
    };
    let seen = served.as_deref().map(|snapshot| (snapshot.revision(), deployment(snapshot)));
    let seen = seen.as_ref().map(|(revision, deployment)| (*revision, deployment.as_deref()));
    let mut oracle = world.watch.lock();
    let complaint = oracle.served.reads(node, seen, clients::has_quorum(&handle));
    oracle.note(Invariant::LastKnownGood, complaint);
}
