//! Invariants after the storm: the cluster writes again within seconds, all nodes reach the same state, and everything
//! that was promised is in it.

use super::{pause, world::World};
use crate::GroupId;
use bytes::Bytes;
use std::time::Duration;

/// Long enough for elections, backoffs and a checkpoint.
const LIVELY_WITHIN: Duration = Duration::from_secs(20);

/// Checks one run after its end.
pub(super) async fn converge(world: &World) {
    for (group, members) in &world.groups {
        let group = *group;
        let Some(last) = write_again(world, group).await else {
            let states: Vec<_> =
                members.iter().map(|id| world.handle(*id).map(|h| h.status(group))).collect();
            let text = format!("group {group} did not write again within {LIVELY_WITHIN:?}: {states:?}");
            world.record().violations.push(text);
            continue;
        };
        for id in members {
            let Some(handle) = world.handle(*id) else { continue };
            let Ok(mut applied) = handle.applied(group) else { continue };
            let arrived = crate::runtime::timeout(LIVELY_WITHIN, applied.wait_for(|at| *at >= last)).await;
            if arrived.is_none() {
                let text =
                    format!("node {id} of group {group} did not reach {last}: {:?}", handle.status(group));
                world.record().violations.push(text);
            }
        }
    }
    promises(world);
}

async fn write_again(world: &World, group: GroupId) -> Option<u64> {
    for attempt in 0..10 {
        for id in &world.groups[&group] {
            let Some(handle) = world.handle(*id) else { continue };
            let command = Bytes::from(format!("{group}/end/{attempt}/{id}"));
            if let Ok(applied) = handle.propose(group, command, LIVELY_WITHIN / 10).await {
                return Some(applied.index);
            }
        }
        pause(10).await;
    }
    None
}

fn promises(world: &World) {
    let mut record = world.record();
    let broken: Vec<String> = record
        .acknowledged
        .iter()
        .filter(|(at, command)| record.applied.get(at).is_none_or(|(applied, _)| applied != *command))
        .map(|(at, command)| format!("{command:?} was acknowledged at {at:?} and is gone"))
        .collect();
    record.violations.extend(broken);
}
