//! Writing and reading through a healthy cluster.

use crate::cluster::{Cluster, LEDGER, SOON};
use bytes::Bytes;
use std::time::Duration;
use tidegate_cluster::{Error, Role, group, limits};

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_share_the_connections() {
    let cluster = Cluster::three().await;
    for round in 0..20 {
        for id in 1..=3 {
            let applied = cluster.propose(id, group::CONFIG, &format!("config {round} {id}")).await.unwrap();
            assert!(applied.index > 0);
            cluster.propose(id, LEDGER, &format!("ledger {round} {id}")).await.unwrap();
        }
    }
    assert_eq!(cluster.agree(group::CONFIG).await.commands.len(), 60);
    assert_eq!(cluster.agree(LEDGER).await.commands.len(), 60);
    let leader = cluster.leader(group::CONFIG).await;
    for (id, node) in &cluster.nodes {
        let peers = node.handle.peers();
        assert_eq!(peers.len(), 2);
        for peer in peers.iter().filter(|p| *id == leader || p.node == leader) {
            assert!(peer.last_contact_ms.is_some_and(|ms| ms < 2_000), "{id}: {peer:?}");
            assert!(*id != leader || (peer.connected && peer.rtt_ms.is_some()), "{id}: {peer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_makes_reads_linearizable() {
    let cluster = Cluster::three().await;
    for round in 0..10 {
        let (writer, reader) = (1 + round % 3, 1 + (round + 1) % 3);
        let command = format!("value {round}");
        let applied = cluster.propose(writer, group::CONFIG, &command).await.unwrap();
        let seen = cluster.node(reader).handle.barrier(group::CONFIG, SOON).await.unwrap();
        assert!(seen >= applied.index);
        assert!(cluster.node(reader).toys[&group::CONFIG].contains(command.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_the_truth() {
    let cluster = Cluster::three().await;
    let leader = cluster.leader(group::CONFIG).await;
    let applied = cluster.propose(leader, group::CONFIG, "x").await.unwrap();
    cluster.agree(group::CONFIG).await;
    for (id, node) in &cluster.nodes {
        let status = node.handle.status(group::CONFIG).unwrap();
        assert_eq!((status.node, status.leader, status.member), (*id, Some(leader), true));
        assert_eq!(status.role == Role::Leader, *id == leader);
        assert!(status.applied >= Some(applied.index) && status.last_log >= Some(applied.index));
        assert_eq!(status.last_contact_ms.len(), if *id == leader { 2 } else { 1 });
        assert!(status.last_contact_ms.values().all(|ms| *ms < 1_000), "{status:?}");
        if *id == leader {
            assert_eq!((status.tolerance.nodes, status.tolerance.azs, status.tolerance.regions), (1, 1, 0));
            assert_eq!(status.matched.len(), 3);
        }
        let mut progress = node.handle.applied(group::CONFIG).unwrap();
        progress.wait_for(|at| *at >= applied.index).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_reach_the_inbox_of_a_peer() {
    let cluster = Cluster::three().await;
    let from = &cluster.node(1).handle;
    assert_eq!(from.call(2, Bytes::from("hi"), SOON).await.unwrap(), "echo 1 hi");
    assert_eq!(from.call(1, Bytes::from("me"), SOON).await.unwrap(), "echo 1 me");
    let refused = from.call(3, Bytes::from("fail"), SOON).await;
    assert_eq!(refused, Err(Error::Refused { node: 3, reason: "as you wish".into() }));
    assert_eq!(from.call(9, Bytes::new(), SOON).await, Err(Error::UnknownNode(9)));
    let large = Bytes::from(vec![0; limits::MESSAGE_BYTES_MAX + 1]);
    assert!(matches!(from.call(2, large, SOON).await, Err(Error::TooLarge { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_group_nothing_is_proposed() {
    let mut cluster = Cluster::new();
    cluster.start(1).await;
    let handle = &cluster.node(1).handle;
    let short = Duration::from_millis(50);
    let none = handle.propose(group::CONFIG, Bytes::from("x"), short).await;
    assert_eq!(none, Err(Error::NoLeader { group: group::CONFIG }));
    assert_eq!(handle.propose(77, Bytes::new(), short).await, Err(Error::UnknownGroup(77)));
    handle.bootstrap(group::CONFIG).await.unwrap();
    assert_eq!(handle.bootstrap(group::CONFIG).await, Err(Error::Initialised(group::CONFIG)));
    handle.propose(group::CONFIG, Bytes::from("x"), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_commands_pass_and_larger_ones_do_not() {
    let cluster = Cluster::three().await;
    let follower = 1 + cluster.leader(group::CONFIG).await % 3;
    let handle = &cluster.node(follower).handle;
    let large = Bytes::from(vec![7; limits::COMMAND_BYTES_MAX]);
    handle.propose(group::CONFIG, large.clone(), SOON).await.unwrap();
    let larger = Bytes::from(vec![7; limits::COMMAND_BYTES_MAX + 1]);
    assert!(matches!(handle.propose(group::CONFIG, larger, SOON).await, Err(Error::TooLarge { .. })));
    assert_eq!(cluster.agree(group::CONFIG).await.commands, [large]);
}
