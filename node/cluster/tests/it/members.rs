//! Nodes that come, go and move; who votes and who leads.

use crate::cluster::{Cluster, LEDGER, SOON, eventually};
use std::time::{Duration, Instant};
use tidegate_cluster::{Error, NodeMeta, Role, group};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_become_three_voters_at_once() {
    let mut cluster = Cluster::new();
    for id in 1..=3 {
        cluster.start(id).await;
    }
    cluster.node(1).handle.bootstrap(group::CONFIG).await.unwrap();
    let started = Instant::now();
    for id in 2..=3 {
        let meta = cluster.node(id).handle.meta().clone();
        cluster.node(1).handle.add_node(group::CONFIG, id, meta).await.unwrap();
    }
    eventually("three voters", || async {
        cluster.node(1).handle.status(group::CONFIG).unwrap().voters.len() == 3
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_node_learns_and_takes_over_a_seat() {
    let mut cluster = Cluster::three().await;
    cluster.propose(1, group::CONFIG, "old").await.unwrap();
    cluster.start(4).await;
    let meta = cluster.node(4).handle.meta().clone();
    cluster.node(2).handle.add_node(group::CONFIG, 4, meta.clone()).await.unwrap();
    cluster.node(2).handle.add_node(group::CONFIG, 4, meta).await.unwrap();
    let status = cluster.node(1).handle.status(group::CONFIG).unwrap();
    assert_eq!(status.voters.len(), 3, "a fourth voter tolerates no more than three");
    assert_eq!(cluster.agree(group::CONFIG).await.commands, ["old"]);
    eventually("learner in the other group", || async {
        cluster.node(1).handle.status(LEDGER).unwrap().learners.iter().any(|(id, _)| *id == 4)
    })
    .await;
    assert_eq!(cluster.node(4).handle.status(group::CONFIG).unwrap().role, Role::Learner);
    cluster.propose(4, group::CONFIG, "through a learner").await.unwrap();
    cluster.node(4).handle.remove_node(group::CONFIG, 1, false).await.unwrap();
    for group in [group::CONFIG, LEDGER] {
        eventually("the seat", || async {
            let status = cluster.node(4).handle.status(group).unwrap();
            let voters: Vec<_> = status.voters.iter().map(|(id, _)| *id).collect();
            voters == [2, 3, 4] && status.learners.is_empty()
        })
        .await;
    }
    let call = cluster.node(1).handle.call(2, "hi".into(), SOON).await;
    assert!(matches!(&call, Err(Error::Refused { .. })), "a removed node is fenced: {call:?}");
    let proposal = cluster.node(1).handle.propose(group::CONFIG, "x".into(), Duration::from_secs(1)).await;
    assert!(matches!(proposal, Err(Error::Fenced | Error::NoLeader { .. })), "{proposal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_on_demand() {
    let cluster = Cluster::three().await;
    let old = cluster.leader(group::CONFIG).await;
    let (third, next) = (1 + (old + 1) % 3, 1 + old % 3);
    assert_eq!(cluster.node(third).handle.transfer(group::CONFIG, Some(next)).await.unwrap(), next);
    cluster.propose(old, group::CONFIG, "x").await.unwrap();
    assert_eq!(cluster.leader(group::CONFIG).await, next);
    let anyone = cluster.node(next).handle.transfer(group::CONFIG, None).await.unwrap();
    assert_ne!(anyone, next);
    let stranger = cluster.node(1).handle.transfer(group::CONFIG, Some(9)).await;
    assert!(matches!(stranger, Err(Error::Change(_))), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_cannot_be_removed_by_accident() {
    let mut cluster = Cluster::three().await;
    let leader = cluster.leader(group::CONFIG).await;
    let (dead, other) = (1 + leader % 3, 1 + (leader + 1) % 3);
    cluster.kill(dead).await;
    eventually("the loss is noticed", || async {
        let contacts = cluster.node(leader).handle.status(group::CONFIG).unwrap().last_contact_ms;
        contacts.get(&dead).is_some_and(|ms| *ms > 1_500)
    })
    .await;
    let removal = cluster.node(leader).handle.remove_node(group::CONFIG, other, false).await;
    assert!(matches!(removal, Err(Error::QuorumLoss { live: 1, voters: 2, .. })), "{removal:?}");
    cluster.node(other).handle.remove_node(group::CONFIG, dead, false).await.unwrap();
    cluster.node(other).handle.remove_node(group::CONFIG, dead, false).await.unwrap();
    let last = cluster.node(leader).handle.status(group::CONFIG).unwrap();
    assert_eq!(last.voters.len(), 2);
    assert_eq!((last.tolerance.quorum, last.tolerance.nodes), (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_change() {
    let mut cluster = Cluster::three().await;
    let leader = cluster.leader(group::CONFIG).await;
    let moved = 1 + leader % 3;
    cluster.stop(moved).await.unwrap();
    cluster.forget_port(moved);
    cluster.start(moved).await;
    let meta: NodeMeta = cluster.node(moved).handle.meta().clone();
    for group in [group::CONFIG, LEDGER] {
        cluster.node(leader).handle.add_node(group, moved, meta.clone()).await.unwrap();
    }
    cluster.propose(leader, group::CONFIG, "x").await.unwrap();
    cluster.agree(group::CONFIG).await;
}
