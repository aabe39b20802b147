//! A cluster that has lost its majority for good.

use crate::cluster::{Cluster, LEDGER, SOON, eventually, options};
use std::time::{Duration, Instant};
use tidegate_cluster::{Error, Options, group, recover};

fn survivor(cluster: &Cluster) -> Options {
    options(cluster.dir.path().join("1"), 1, 0, &cluster.tuning)
}

/// The last life of the node may hold the lock of its directory for a moment.
async fn recovered(options: &Options) -> Vec<recover::Survivor> {
    let until = Instant::now() + SOON;
    loop {
        match recover::recover(options).await {
            Ok(survivors) => return survivors,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_node_goes_on_alone_with_what_it_has() {
    let mut cluster = Cluster::three().await;
    cluster.propose(2, group::CONFIG, "config").await.unwrap();
    cluster.propose(3, LEDGER, "ledger").await.unwrap();
    cluster.agree(group::CONFIG).await;
    cluster.agree(LEDGER).await;
    let busy = recover::survey(&survivor(&cluster)).unwrap_err();
    assert!(matches!(busy, Error::Storage(_)), "a running node is left alone: {busy}");
    for id in 1..=3 {
        cluster.kill(id).await;
    }
    let survivors = recovered(&survivor(&cluster)).await;
    let seen: Vec<_> = survivors.iter().map(|one| (one.group, one.voters.clone())).collect();
    assert_eq!(seen, [(group::CONFIG, vec![1, 2, 3]), (LEDGER, vec![1, 2, 3])]);
    cluster.start(1).await;
    for (group, before, after) in
        [(group::CONFIG, "config", "config again"), (LEDGER, "ledger", "ledger again")]
    {
        cluster.propose(1, group, after).await.unwrap();
        assert_eq!(cluster.agree(group).await.commands, [before, after]);
        assert_eq!(cluster.node(1).handle.status(group).unwrap().voters.len(), 1);
    }
    for id in [4, 5] {
        cluster.start(id).await;
        let meta = cluster.node(id).handle.meta().clone();
        cluster.node(1).handle.add_node(group::CONFIG, id, meta).await.unwrap();
    }
    eventually("three voters", || async {
        cluster.node(1).handle.status(group::CONFIG).unwrap().voters.len() == 3
    })
    .await;
    assert_eq!(cluster.agree(group::CONFIG).await.commands.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_never_a_member_has_nothing_to_recover() {
    let cluster = Cluster::new();
    let error = recover::recover(&survivor(&cluster)).await.unwrap_err();
    assert!(error.to_string().contains("holds no log"), "{error}");
    assert!(!cluster.dir.path().join("1/log").exists());
}
