//! Nodes that are removed from every group: a leader that is not told, and a command given to a node that has just
//! joined.

use super::{
    pause,
    world::{GROUPS, Land, World},
};
use crate::{GroupId, GroupStatus, NodeId, forward, runtime::Rt, wire::v1::ChangeKindV1};
use futures_util::future::join;
use openraft_rt::AsyncRuntime as _;

#[test]
fn a_removed_leader_loses_its_seat_in_every_group() {
    for seed in 1..=10 {
        Rt::with_seed(seed).block_on(async move {
            let world = World::new(seed, Land::OneRegion(4), false).await;
            world.calm().await;
            let (gone, stays) = two_voters(&world);
            let [config, other] = GROUPS;
            lead(&world, other, gone).await;
            lead(&world, config, stays).await;
            let handle = world.handle(stays).expect("nobody stops");
            // The configuration alone, as when the node that was asked does not know the other group.
            let removal = ChangeKindV1::Remove { node: gone, force: false };
            let target = handle.0.group(config).expect("every node has both groups");
            forward::change(&handle.0, target, removal).await.expect("three of four go on");
            let mut last = None;
            for _ in 0..500 {
                last = handle.status(other).ok();
                if last.as_ref().is_some_and(|status| ids(status).len() == 3 && !knows(status, gone)) {
                    return;
                }
                pause(10).await;
            }
            panic!("seed {seed}: node {gone} was not removed within 5 s: {last:?}");
        });
    }
}

#[test]
fn a_node_that_has_just_joined_can_remove_another_from_every_group() {
    for seed in 1..=10 {
        Rt::with_seed(seed).block_on(async move {
            let world = World::founded(seed, Land::OneRegion(3), false, true).await;
            world.calm().await;
            let [first, gone, newcomer] = [1, 2, 3].map(|id| world.handle(id).expect("nobody stops"));
            for group in GROUPS {
                first.add_node(group, 2, gone.meta().clone()).await.expect("node 1 leads");
            }
            let joins = async {
                for group in GROUPS {
                    first.add_node(group, 3, newcomer.meta().clone()).await.expect("node 1 leads");
                }
            };
            let ((), removed) = join(joins, newcomer.remove_node(GROUPS[0], 2, false)).await;
            assert_eq!(removed, Ok(()), "seed {seed}");
            for group in GROUPS {
                let status = first.status(group).expect("every node has both groups");
                assert!(!knows(&status, 2), "seed {seed}: {status:?}");
            }
        });
    }
}

/// Voters of both groups.
fn two_voters(world: &World) -> (NodeId, NodeId) {
    let handle = world.handle(1).expect("nobody stops");
    let [config, other] = GROUPS.map(|group| ids(&handle.status(group).expect("every node has both groups")));
    let mut both = config.into_iter().filter(|id| other.contains(id));
    both.next().zip(both.next()).expect("two sets of three among four nodes share two")
}

/// Moves leadership to `node`.
async fn lead(world: &World, group: GroupId, node: NodeId) {
    let handle = world.handle(node).expect("nobody stops");
    for _ in 0..100 {
        if handle.status(group).is_ok_and(|status| status.leader == Some(node)) {
            return;
        }
        let _refused = handle.transfer(group, Some(node)).await;
        pause(10).await;
    }
    panic!("node {node} does not lead group {group}");
}

fn ids(status: &GroupStatus) -> Vec<NodeId> {
    status.voters.iter().map(|(id, _)| *id).collect()
}

fn knows(status: &GroupStatus, node: NodeId) -> bool {
    status.voters.iter().chain(&status.learners).any(|(id, _)| *id == node)
}
