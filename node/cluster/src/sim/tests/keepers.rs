//! Keepers of a group's leader-only work, one at every member: while their node is in office they have the term confirmed
//! and propose in it. A confirmation must not outlast a later leader, and what was refused must never be applied.

use super::{Dice, pause, world::World};
use crate::{
    Error, GroupId, Handle, NodeId,
    runtime::{self, Task},
};
use bytes::Bytes;
use std::time::Duration;

/// Starts the keepers; they end when the tasks are dropped.
pub(super) fn start(world: &World, seed: u64) -> Vec<Task> {
    let places = world.groups.iter().flat_map(|(group, members)| members.iter().map(|node| (*group, *node)));
    let keep = |(group, node): (GroupId, NodeId)| {
        runtime::spawn_scoped(keep(world.clone(), group, node, Dice(seed ^ 0xbee ^ group ^ (node << 40))))
    };
    places.map(keep).collect()
}

async fn keep(world: World, group: GroupId, node: NodeId, mut dice: Dice) {
    let mut number = 0_u64;
    loop {
        pause(10).await;
        let Some(handle) = world.handle(node) else { continue };
        let Ok(mut office) = handle.leadership(group) else { continue };
        while world.handle(node).is_some_and(|now| now.is(&handle)) {
            let Some(term) = *office.borrow_and_update() else {
                let _changed = runtime::timeout(Duration::from_millis(200), office.changed()).await;
                continue;
            };
            enter(&world, group, node, term);
            confirm(&world, &handle, group, term).await;
            number += 1;
            propose(&world, &handle, group, term, number).await;
            pause(20 + dice.roll(180)).await;
        }
    }
}

/// Notes since when a term has had somebody in office.
fn enter(world: &World, group: GroupId, node: NodeId, term: u64) {
    let mut record = world.record();
    let (first, _) = *record.offices.entry((group, term)).or_insert((node, runtime::now()));
    if first != node {
        record.violations.push(format!("term {term} of group {group} was held by nodes {first} and {node}"));
    }
}

async fn confirm(world: &World, handle: &Handle, group: GroupId, term: u64) {
    let began = runtime::now();
    let confirmed = handle.confirm(group, term, Duration::from_millis(500)).await;
    let mut record = world.record();
    match confirmed {
        Ok(()) => {
            let later = record.offices.range((group, term + 1)..=(group, u64::MAX));
            let earlier: Vec<_> = later.filter(|(_, (_, since))| *since < began).collect();
            if !earlier.is_empty() {
                let text = format!("term {term} of group {group} was confirmed after {earlier:?} had begun");
                record.violations.push(text);
            }
            record.confirmed += 1;
        }
        Err(Error::NotLeading { .. } | Error::Deadline | Error::Stopped | Error::Storage(_)) => {}
        Err(error) => record.violations.push(format!("a confirmation failed with {error}")),
    }
}

async fn propose(world: &World, handle: &Handle, group: GroupId, term: u64, number: u64) {
    let command = Bytes::from(format!("{group}/kept/{term}/{number}"));
    let deadline = Duration::from_millis(500);
    let proposed = handle.propose_as_leader(group, term, command.clone(), deadline).await;
    let mut record = world.record();
    match proposed {
        Ok(applied) => {
            let horizon = record.horizon.entry(group).or_insert(0);
            *horizon = (*horizon).max(applied.index);
            record.acknowledged.insert((group, applied.index), command);
        }
        Err(Error::Uncertain { .. }) => record.refused += 1,
        Err(Error::NotLeading { .. }) => {
            record.never.insert((group, command));
        }
        Err(error) => record.violations.push(format!("a leader's proposal failed with {error}")),
    }
}

/// Checks what was applied, after the end.
pub(super) fn check(world: &World) {
    let mut record = world.record();
    let refused = record.never.iter().filter(|refused| record.places.contains_key(*refused));
    let mut broken: Vec<_> =
        refused.map(|refused| format!("{refused:?} was refused and then applied")).collect();
    for group in world.groups.keys() {
        let applied = record.applied.range((*group, 0)..=(*group, u64::MAX));
        let terms: Vec<_> = applied.filter_map(|(_, (command, _))| term_of(command)).collect();
        if !terms.is_sorted() {
            broken
                .push(format!("group {group} has commands of an earlier leader after those of a later one"));
        }
    }
    record.violations.extend(broken);
}

/// The term in which a keeper proposed this.
fn term_of(command: &Bytes) -> Option<u64> {
    let text = std::str::from_utf8(command).ok()?;
    text.split_once("/kept/")?.1.split_once('/')?.0.parse().ok()
}
