//! What only the leader of one term may do, and that it ends when a majority no longer follows.

use crate::cluster::{Cluster, SOON, eventually};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tidegate_cluster::{Error, NodeId, Tuning, group};

/// The leader of the configuration, its term, and the two others.
async fn three(tuning: Tuning) -> (Cluster, NodeId, u64, [NodeId; 2]) {
    let mut cluster = Cluster::tuned(tuning);
    cluster.grow(3).await;
    let leader = cluster.leader(group::CONFIG).await;
    let mut office = cluster.node(leader).handle.leadership(group::CONFIG).unwrap();
    let term = office.wait_for(Option::is_some).await.unwrap().unwrap();
    (cluster, leader, term, [1 + leader % 3, 1 + (leader + 1) % 3])
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_of_the_term_proposes() {
    let (cluster, leader, term, [follower, _]) = three(Tuning::default()).await;
    let command = |text: &str| Bytes::from(text.to_owned());
    for (node, term, good) in [
        (leader, term, true),
        (leader, term + 1, false),
        (leader, term.saturating_sub(1), false),
        (follower, term, false),
    ] {
        let text = if good { "good" } else { "bad" };
        let proposed =
            cluster.node(node).handle.propose_as_leader(group::CONFIG, term, command(text), SOON).await;
        match proposed {
            Ok(applied) if good => assert_eq!(applied.outcome, "1"),
            Err(Error::NotLeading { group: group::CONFIG, term: asked }) if !good => assert_eq!(asked, term),
            other => panic!("node {node} in term {term}: {other:?}"),
        }
        let confirmed = cluster.node(node).handle.confirm(group::CONFIG, term, SOON).await;
        assert_eq!(confirmed.is_ok(), good, "node {node} in term {term}: {confirmed:?}");
    }
    let mut office = cluster.node(leader).handle.leadership(group::CONFIG).unwrap();
    let next = cluster.node(leader).handle.transfer(group::CONFIG, None).await.unwrap();
    office.wait_for(Option::is_none).await.unwrap();
    let late =
        cluster.node(leader).handle.propose_as_leader(group::CONFIG, term, command("late"), SOON).await;
    assert_eq!(late, Err(Error::NotLeading { group: group::CONFIG, term }));
    let mut office = cluster.node(next).handle.leadership(group::CONFIG).unwrap();
    let later = office.wait_for(Option::is_some).await.unwrap().unwrap();
    assert!(later > term);
    assert_eq!(cluster.node(next).toys[&group::CONFIG].ledger().commands, ["good"], "all of it is applied");
    assert_eq!(cluster.agree(group::CONFIG).await.commands, ["good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_confirms_nothing() {
    let tuning = Tuning { election_ms: Some(1_000), ..Tuning::default() };
    let (mut cluster, leader, term, others) = three(tuning).await;
    let handle = cluster.node(leader).handle.clone();
    handle.confirm(group::CONFIG, term, SOON).await.unwrap();
    // The others answered just now, so the leader's lease of two seconds still runs when they are gone.
    let confirmed = Instant::now();
    for id in others {
        let gone = cluster.node(id).handle.clone();
        cluster.kill(id).await;
        eventually("its end", || async { gone.log_bytes() == Err(Error::Stopped) }).await;
    }
    let alone = Duration::from_millis(100);
    assert_eq!(handle.confirm(group::CONFIG, term, alone).await, Err(Error::Deadline));
    assert!(confirmed.elapsed() < Duration::from_secs(2), "too late to tell: {:?}", confirmed.elapsed());
    let proposed = handle.propose_as_leader(group::CONFIG, term, Bytes::from("lost"), alone).await;
    assert!(
        matches!(proposed, Err(Error::Uncertain { .. })),
        "within the lease it is appended: {proposed:?}"
    );

    let mut office = handle.leadership(group::CONFIG).unwrap();
    let ended = tokio::time::timeout(SOON, office.wait_for(Option::is_none)).await;
    assert!(ended.is_ok_and(|ended| ended.is_ok()), "a leader without a majority leaves its office");
    let proposed = handle.propose_as_leader(group::CONFIG, term, Bytes::from("refused"), alone).await;
    assert_eq!(proposed, Err(Error::NotLeading { group: group::CONFIG, term }));
    cluster.start(others[0]).await;
    eventually("an office", || async {
        let nodes = cluster.nodes.values();
        nodes.into_iter().any(|n| n.handle.leadership(group::CONFIG).unwrap().borrow().is_some())
    })
    .await;
    assert!(!cluster.node(leader).toys[&group::CONFIG].contains(b"refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_leads_and_confirms_alone() {
    let mut cluster = Cluster::new();
    cluster.grow(1).await;
    let handle = &cluster.node(1).handle;
    let mut office = handle.leadership(group::CONFIG).unwrap();
    let term = office.wait_for(Option::is_some).await.unwrap().unwrap();
    handle.confirm(group::CONFIG, term, SOON).await.unwrap();
    handle.propose_as_leader(group::CONFIG, term, Bytes::from("x"), SOON).await.unwrap();
    assert_eq!(handle.leader(group::CONFIG), Ok(Some(1)));
}
