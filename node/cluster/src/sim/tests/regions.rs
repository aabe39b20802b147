//! Two regions with ledger groups of their own: storms, leaders in the zone whose turn it is, and removals that come from
//! the other region.

use super::{
    Setting, pause, run,
    world::{GROUPS, Land, World},
};
use crate::{GroupId, GroupScope, NodeId, group, runtime::Rt};
use openraft_rt::AsyncRuntime as _;
use std::time::Duration;

#[test]
fn storms_over_two_regions_lose_nothing() {
    storms_lose_nothing(1..=2);
}

#[test]
fn more_storms_over_two_regions_lose_nothing() {
    storms_lose_nothing(3..=5);
}

fn storms_lose_nothing(all: std::ops::RangeInclusive<u64>) {
    for seed in super::seeds(all) {
        let setting = Setting { land: Land::TwoRegions(3), time: Duration::from_secs(30), disks_lie: false };
        let report = run(seed, setting);
        println!("seed {seed} {report:?}");
        assert!(report.violations.is_empty(), "TIDEGATE_SIM_SEED={seed} {setting:?}: {report:?}");
        assert!(report.acknowledged > 1_000, "TIDEGATE_SIM_SEED={seed}: {report:?}");
        assert!(report.confirmed > 100, "TIDEGATE_SIM_SEED={seed}: {report:?}");
    }
}

#[test]
fn every_zone_leads_one_ledger_of_its_region_and_gets_it_back() {
    for seed in 1..=5 {
        Rt::with_seed(seed).block_on(async move {
            let world = World::new(seed, Land::TwoRegions(3), false).await;
            world.calm().await;
            spread(&world, seed).await;
            let group = group::ledger("r", 1);
            assert_eq!(leader(&world, group), Some(2));
            world.cut_power(2);
            // Nobody moves leadership about while the zone whose turn it is has no node.
            pause(5_000).await;
            let heir = leader(&world, group).filter(|heir| *heir != 2);
            assert!(heir.is_some(), "seed {seed}: two of three voters elect a leader");
            for _ in 0..60 {
                pause(500).await;
                assert_eq!(leader(&world, group), heir, "seed {seed}");
            }
            world.start(2).await;
            spread(&world, seed).await;
        });
    }
}

#[test]
fn a_removal_from_the_other_region_reaches_the_ledgers() {
    for seed in 1..=5 {
        Rt::with_seed(seed).block_on(async move {
            let world = World::new(seed, Land::TwoRegions(3), false).await;
            world.calm().await;
            let gone = leader(&world, group::ledger("r", 0)).expect("the groups have formed");
            remove(&world, 5, gone).await;
            let stays = (1..=3).find(|id| *id != gone).expect("three nodes are in region r");
            forgotten(&world, stays, gone, seed).await;
        });
    }
}

#[test]
fn the_only_voter_of_a_small_region_is_replaced_from_the_other_one() {
    for seed in 1..=5 {
        Rt::with_seed(seed).block_on(async move {
            let world = World::new(seed, Land::TwoRegions(2), false).await;
            world.calm().await;
            let ledger = world.handle(4).expect("nobody stops").status(group::ledger("s", 2));
            assert_eq!(ledger.map(|status| status.voters.len()), Ok(1), "two nodes have one voter");
            remove(&world, 1, 4).await;
            forgotten(&world, 5, 4, seed).await;
        });
    }
}

async fn remove(world: &World, by: NodeId, gone: NodeId) {
    let handle = world.handle(by).expect("nobody stops");
    handle.remove_node(GROUPS[0], gone, false).await.expect("a majority stays");
}

/// Waits until a node's ledgers have another leader and no trace of the removed node.
async fn forgotten(world: &World, stays: NodeId, gone: NodeId, seed: u64) {
    let handle = world.handle(stays).expect("nobody stops");
    let groups = world.land.groups(stays).into_iter().map(|(id, _)| id);
    let ledgers: Vec<_> = groups.filter(|id| !GROUPS.contains(id)).collect();
    for _ in 0..500 {
        pause(20).await;
        let is_gone = ledgers.iter().all(|ledger| {
            let status = handle.status(*ledger).expect("the region's group");
            let mut members = status.voters.iter().chain(&status.learners);
            status.leader.is_some_and(|leader| leader != gone) && members.all(|(id, _)| *id != gone)
        });
        if is_gone {
            return;
        }
    }
    panic!("seed {seed}: node {gone} was not removed from the ledgers {ledgers:?} within 10 s");
}

/// Waits until every ledger is led from the zone whose turn it is, as all its members see it.
async fn spread(world: &World, seed: u64) {
    let wanted: Vec<_> =
        world.groups.keys().filter_map(|group| Some((*group, turn(world, *group)?))).collect();
    assert_eq!(wanted.len(), 6);
    for _ in 0..1_000 {
        pause(100).await;
        if wanted.iter().all(|(group, node)| leader(world, *group) == Some(*node)) {
            return;
        }
    }
    let found: Vec<_> = wanted.iter().map(|(group, node)| (node, leader(world, *group))).collect();
    panic!("seed {seed}: leaders wanted and found: {found:?}");
}

/// The node of the zone whose turn it is; zones and nodes have the same order here.
fn turn(world: &World, group: GroupId) -> Option<NodeId> {
    let members = &world.groups[&group];
    let specs = world.land.groups(*members.first()?);
    match specs.into_iter().find(|(id, _)| *id == group)?.1 {
        GroupScope::Region { spread } => members.get(spread).copied(),
        GroupScope::Cluster => None,
    }
}

/// The leader, where all running members name the same.
fn leader(world: &World, group: GroupId) -> Option<NodeId> {
    let handles = world.groups[&group].iter().filter_map(|id| world.handle(*id));
    let mut named = handles.map(|handle| handle.leader(group).ok().flatten());
    let first = named.next()??;
    named.all(|other| other == Some(first)).then_some(first)
}
