//! The storm: partitions in one or both directions, power cuts of any number of nodes, leadership that is pushed around.

use super::{Dice, pause, world::World};
use crate::{NodeId, runtime};
use std::{collections::BTreeSet, time::Duration};

/// Rages for `time`; returns power cuts and partitions.
pub(super) async fn storm(world: &World, seed: u64, time: Duration) -> (u64, u64) {
    let mut dice = Dice(seed ^ 0xbeef);
    let (mut cuts, mut partitions) = (0, 0);
    let until = runtime::now() + time;
    while runtime::now() < until {
        pause(300 + dice.roll(1500)).await;
        match dice.roll(5) {
            0 | 1 => {
                partitions += 1;
                isolate(world, &mut dice);
                pause(300 + dice.roll(2500)).await;
                world.switch.heal();
            }
            2 | 3 => cuts += blackout(world, &mut dice).await,
            _ => push_leader(world, &mut dice).await,
        }
    }
    (cuts, partitions)
}

/// Cuts one node off, or everyone it sends to, or everyone that sends to it.
fn isolate(world: &World, dice: &mut Dice) {
    let victim = any(world, dice);
    let directions = dice.roll(3);
    for other in world.ids.iter().filter(|id| **id != victim) {
        if directions != 1 {
            world.switch.cut(victim, *other);
        }
        if directions != 2 {
            world.switch.cut(*other, victim);
        }
    }
}

/// Cuts the power of one to all nodes and brings them back.
async fn blackout(world: &World, dice: &mut Dice) -> u64 {
    let count = 1 + dice.roll(world.ids.len() as u64);
    let mut victims = BTreeSet::new();
    while (victims.len() as u64) < count {
        victims.insert(any(world, dice));
    }
    for id in &victims {
        world.cut_power(*id);
    }
    pause(50 + dice.roll(1500)).await;
    for id in &victims {
        world.start(*id).await;
    }
    count
}

async fn push_leader(world: &World, dice: &mut Dice) {
    let group = dice.roll(world.groups.len() as u64) as usize;
    let Some((group, members)) = world.groups.iter().nth(group) else { return };
    let node = members[dice.roll(members.len() as u64) as usize];
    let Some(handle) = world.handle(node) else { return };
    let _refused = runtime::timeout(Duration::from_secs(2), handle.transfer(*group, None)).await;
}

fn any(world: &World, dice: &mut Dice) -> NodeId {
    world.ids[dice.roll(world.ids.len() as u64) as usize]
}
