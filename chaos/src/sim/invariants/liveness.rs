//! Once everything is healed, everything works and agrees within seconds: every log is whole, every group writes, every node has the same state and serves it,
//! and limits that are not used up admit.

use std::time::Duration;

use tidegate_cluster_sim::{GroupId, NodeId, group, sim};

use super::{Invariant, Limited, Written};
use crate::sim::{
    clients, config,
    requests::{self, Answer},
    world::World,
};

/// Time in which each of these has to come about: elections, backoffs, and a checkpoint on its way.
const WITHIN: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for each of them in turn; the oracle learns of what does not come about.
pub(crate) async fn converge(world: &World) {
    for id in world.land.ids() {
        if !until(|| world.is_whole(id)).await {
            return complain(world, format!("the log of node {id} is not whole within {WITHIN:?}"));
        }
    }
    for id in world.land.ids() {
        if !writes(world, id).await {
            let status = world.handle(id).map(|handle| handle.status(group::CONFIG));
            return complain(world, format!("no write through node {id} within {WITHIN:?}: {status:?}"));
        }
    }
    for (group, _) in world.land.founders() {
        if let Err(text) = agrees(world, group).await {
            return complain(world, text);
        }
    }
    for id in world.land.ids() {
        if !until(|| serves_newest(world, id)).await {
            return complain(world, format!("node {id} does not serve the newest configuration"));
        }
        requests::look(world, id);
    }
    for id in world.land.ids() {
        for limited in Limited::kinds(world.land.is_wide()).iter().filter(|limited| !limited.is_quota()) {
            if !until(|| admits(world, id, *limited)).await {
                let text = format!("{limited:?} limits admit nothing on node {id} although nobody uses them");
                return complain(world, text);
            }
        }
    }
}

fn complain(world: &World, text: String) {
    world.watch.lock().note(Invariant::Liveness, Some(text));
}

/// Looks until something is so.
async fn until(is_so: impl Fn() -> bool) -> bool {
    let looks = (WITHIN.as_millis() / LOOK.as_millis()) as usize;
    for _ in 0..looks {
        if is_so() {
            return true;
        }
        sim::sleep(LOOK).await;
    }
    false
}

/// A write through this node is acknowledged.
async fn writes(world: &World, id: NodeId) -> bool {
    // No other client uses this register, whose values need not be told apart.
    let transaction = config::set(config::REGISTERS, id, None);
    let mut passed = Duration::ZERO;
    while passed < WITHIN {
        let began_us = world.watch.lock().now_us();
        if clients::commit(world, id, &transaction).await == Some(Written::Yes) {
            return true;
        }
        sim::sleep(LOOK).await;
        passed += Duration::from_micros(world.watch.lock().now_us() - began_us);
    }
    false
}

/// Every member of a group has applied what anybody was promised.
async fn agrees(world: &World, group: GroupId) -> Result<(), String> {
    let horizon = world.watch.lock().acknowledged.horizon(group);
    for id in world.land.ids() {
        let Some(handle) = world.handle(id) else { return Err(format!("node {id} does not run")) };
        let Ok(applied) = handle.applied(group) else { continue };
        if !until(|| *applied.borrow() >= horizon).await {
            let status = handle.status(group);
            return Err(format!("node {id} has not reached index {horizon} of group {group}: {status:?}"));
        }
    }
    Ok(())
}

fn serves_newest(world: &World, id: NodeId) -> bool {
    let Some(life) = world.life(id) else { return false };
    let newest = life.replica.load().state.revision();
    life.served().is_some_and(|snapshot| snapshot.revision() == newest)
}

fn admits(world: &World, id: NodeId, limited: Limited) -> bool {
    world.life(id).and_then(|life| requests::ask(world, &life, limited)) == Some(Answer::Admitted)
}
