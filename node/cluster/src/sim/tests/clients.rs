//! Clients that write unique commands through any node and read behind barriers. An acknowledgement is a promise; a
//! barrier must not fall behind a promise made before it began.

use super::{Dice, pause, world::World};
use crate::{
    Error, GroupId,
    runtime::{self, Task},
};
use bytes::Bytes;
use std::time::Duration;

/// Starts the clients; they end when the tasks are dropped.
pub(super) fn start(world: &World, seed: u64) -> Vec<Task> {
    let mut tasks = Vec::new();
    for group in world.groups.keys().copied() {
        for client in 0..3 {
            let dice = Dice(seed ^ (group << 48) ^ (client << 56));
            tasks.push(runtime::spawn_scoped(write(world.clone(), group, client, dice.clone())));
        }
        tasks.push(runtime::spawn_scoped(read(world.clone(), group, Dice(seed ^ 0xabc ^ group))));
    }
    tasks
}

async fn write(world: World, group: GroupId, client: u64, mut dice: Dice) {
    let members = world.groups[&group].clone();
    for number in 0_u64.. {
        pause(10 + dice.roll(150)).await;
        let node = members[dice.roll(members.len() as u64) as usize];
        let Some(handle) = world.handle(node) else { continue };
        let command = Bytes::from(format!("{group}/{client}/{number}"));
        let proposed = handle.propose(group, command.clone(), Duration::from_secs(2)).await;
        let mut record = world.record();
        match proposed {
            Ok(applied) => {
                let horizon = record.horizon.entry(group).or_insert(0);
                *horizon = (*horizon).max(applied.index);
                if let Some(other) = record.acknowledged.insert((group, applied.index), command.clone()) {
                    record.violations.push(format!("{other:?} and {command:?} both got {}", applied.index));
                }
            }
            // A node whose power was cut may still hold a handle; its own log then fails or has stopped.
            Err(Error::Storage(_) | Error::Stopped)
                if world.handle(node).is_none_or(|now| !now.is(&handle)) => {}
            Err(Error::Uncertain { .. } | Error::NoLeader { .. } | Error::Change(_) | Error::Fenced) => {
                record.refused += 1;
            }
            Err(error) => record.violations.push(format!("a proposal failed with {error}")),
        }
    }
}

async fn read(world: World, group: GroupId, mut dice: Dice) {
    let members = world.groups[&group].clone();
    loop {
        pause(20 + dice.roll(200)).await;
        let node = members[dice.roll(members.len() as u64) as usize];
        let Some(handle) = world.handle(node) else { continue };
        let promised = world.record().horizon.get(&group).copied().unwrap_or(0);
        let Ok(point) = handle.barrier(group, Duration::from_secs(2)).await else { continue };
        let applied = handle.applied(group).map_or(0, |applied| *applied.borrow());
        if point < promised || applied < point {
            let text =
                format!("node {node} read at {point} (applied {applied}) after {promised} was promised");
            world.record().violations.push(text);
        }
    }
}
