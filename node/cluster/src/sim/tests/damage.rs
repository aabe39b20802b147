//! Disks that lose what they had kept: a node comes back with a shorter log, and sometimes without its vote. One node at a time, because
//! what no undamaged node has is gone, whatever a cluster does. Nothing that was acknowledged may be missing in the end, no two nodes may
//! lead in a term, and the damaged ones have to become whole by themselves.

use super::{
    Dice, Report, agreement, clients, faults, keepers, pause, seeds,
    world::{Land, World},
};
use crate::{
    NodeId,
    runtime::{self, Rt},
};
use openraft_rt::AsyncRuntime as _;
use std::time::Duration;

/// How long a node may take to become whole while the rest is well.
const WHOLE_WITHIN: Duration = Duration::from_secs(20);

/// Runs a storm that has one node after the other lose a part of its disk; returns how many values were lost.
async fn storm(world: &World, seed: u64, time: Duration) -> usize {
    let (mut dice, mut lost) = (Dice(seed ^ 0xda3a), 0);
    let until = runtime::now() + time;
    while runtime::now() < until {
        pause(200 + dice.roll(1500)).await;
        let victim = world.ids[dice.roll(world.ids.len() as u64) as usize];
        world.cut_power(victim);
        lost += world.damage_disk(victim);
        pause(50 + dice.roll(1000)).await;
        world.start(victim).await;
        // Others fail while it is being filled, but keep what they have.
        let _counted =
            faults::storm(world, seed ^ dice.roll(u64::MAX), Duration::from_secs(dice.roll(4))).await;
        world.calm().await;
        become_whole(world, victim).await;
        world.rough_weather();
    }
    lost
}

async fn become_whole(world: &World, id: NodeId) {
    for group in world.groups.keys() {
        let Some(handle) = world.handle(id) else { return };
        if runtime::timeout(WHOLE_WITHIN, handle.whole(*group)).await.is_none() {
            let text = format!("node {id} is not whole: {:?}", handle.status(*group));
            world.record().violations.push(text);
        }
    }
}

fn run(seed: u64, land: Land) -> (Report, usize) {
    let work = async move {
        let world = World::new(seed, land, false).await;
        let clients = clients::start(&world, seed);
        let keepers = keepers::start(&world, seed);
        let lost = storm(&world, seed, Duration::from_secs(25)).await;
        drop(clients);
        world.calm().await;
        drop(keepers);
        agreement::converge(&world).await;
        keepers::check(&world);
        let record = world.record();
        let report = Report {
            acknowledged: record.acknowledged.len(),
            refused: record.refused,
            confirmed: record.confirmed,
            power_cuts: 0,
            partitions: 0,
            digest: world.switch.digest() ^ record.digest(),
            violations: record.violations.clone(),
        };
        (report, lost)
    };
    Rt::with_seed(seed).block_on(work)
}

#[test]
fn what_a_damaged_disk_loses_comes_back_from_the_others() {
    for seed in seeds(1..=8) {
        let (report, lost) = run(seed, Land::OneRegion(3 + seed % 3));
        println!("seed {seed}: {lost} values lost: {report:?}");
        assert!(report.violations.is_empty(), "TIDEGATE_SIM_SEED={seed}: {report:?}");
        assert!(report.acknowledged > 100 && lost > 20, "TIDEGATE_SIM_SEED={seed}: {lost} lost, {report:?}");
    }
}

#[test]
fn a_single_node_with_a_damaged_log_takes_no_writes() {
    // What it had applied before the damaged place is there to be served, unless it was lost how far that was agreed on.
    let served = seeds(9..=14).into_iter().filter(|seed| is_served_without_writes(*seed)).count();
    assert!(served > 0);
}

/// Whether a single node with a damaged log has anything applied; it must take no writes.
fn is_served_without_writes(seed: u64) -> bool {
    let work = async {
        let group = crate::group::CONFIG;
        let world = World::founded(seed, Land::OneRegion(1), false, false).await;
        let write = async || {
            let handle = world.handle(1).expect("it has been started");
            handle.propose(group, bytes::Bytes::from_static(b"x"), Duration::from_secs(2)).await
        };
        for _ in 0..40 {
            assert!(write().await.is_ok());
        }
        pause(500).await;
        world.cut_power(1);
        let status = loop {
            while world.damage_disk(1) == 0 {}
            world.start(1).await;
            pause(3_000).await;
            let status = world.handle(1).unwrap().status(group).unwrap();
            // Only how far the log was agreed on may have been lost.
            if status.is_damaged {
                break status;
            }
            world.cut_power(1);
        };
        assert!(write().await.is_err(), "TIDEGATE_SIM_SEED={seed}: {status:?}");
        status.applied.is_some()
    };
    Rt::with_seed(seed).block_on(work)
}
