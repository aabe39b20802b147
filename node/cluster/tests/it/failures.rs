//! Nodes that die, restart, lag and lose their network.

use crate::cluster::{Cluster, LEDGER, SOON, eventually};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tidegate_cluster::{Error, Profile, Role, Tuning, group};

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_back_soon_after_the_leader_died() {
    let mut cluster = Cluster::three().await;
    cluster.propose(1, group::CONFIG, "before").await.unwrap();
    let leader = cluster.leader(group::CONFIG).await;
    cluster.kill(leader).await;
    let killed = Instant::now();
    let survivor = 1 + leader % 3;
    // The first attempt may have been sent to the dead leader; the client decides what to do about that.
    while cluster.propose(survivor, group::CONFIG, "after").await.is_err() {}
    let gap = killed.elapsed();
    assert!(gap < Duration::from_millis(2_500), "{gap:?} with profile {:?}", Profile::Lan);
    cluster.start(leader).await;
    assert_eq!(cluster.agree(group::CONFIG).await.commands, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_hands_leadership_over() {
    let mut cluster = Cluster::three().await;
    let leader = cluster.leader(group::CONFIG).await;
    cluster.stop(leader).await.unwrap();
    let stopped = Instant::now();
    cluster.propose(1 + leader % 3, group::CONFIG, "next").await.unwrap();
    assert!(stopped.elapsed() < Duration::from_millis(500), "{:?}", stopped.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_change_of_voters_strands_nobody() {
    let mut cluster = Cluster::new();
    cluster.start(1).await;
    cluster.node(1).handle.bootstrap(group::CONFIG).await.unwrap();
    for id in [2, 3] {
        cluster.start(id).await;
        let meta = cluster.node(id).handle.meta().clone();
        cluster.node(1).handle.add_node(group::CONFIG, id, meta).await.unwrap();
    }
    // The leader has appended the configuration that is both the old one, which needs it, and the new one.
    while cluster.node(1).handle.status(group::CONFIG).unwrap().voters.len() < 3 {
        tokio::task::yield_now().await;
    }
    cluster.stop(1).await.unwrap();
    cluster.propose(2, group::CONFIG, "next").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_all_nodes_died() {
    let mut cluster = Cluster::three().await;
    for round in 0..30 {
        cluster.propose(1 + round % 3, group::CONFIG, &format!("{round}")).await.unwrap();
    }
    let before = cluster.agree(group::CONFIG).await;
    for id in 1..=3 {
        cluster.kill(id).await;
    }
    for id in 1..=3 {
        cluster.start(id).await;
    }
    cluster.node(2).handle.barrier(group::CONFIG, SOON).await.unwrap();
    assert_eq!(cluster.agree(group::CONFIG).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lonely_node_still_shows_its_state() {
    let mut cluster = Cluster::tuned(Tuning { checkpoint_entries: Some(10), ..Tuning::default() });
    cluster.grow(3).await;
    for round in 0..25 {
        cluster.propose(1, group::CONFIG, &format!("{round}")).await.unwrap();
    }
    let before = cluster.agree(group::CONFIG).await;
    for id in 1..=3 {
        cluster.stop(id).await.unwrap();
    }
    cluster.start(3).await;
    // No waiting: checkpoint and committed log are applied before the service exists.
    assert_eq!(cluster.node(3).toys[&group::CONFIG].ledger(), before);
    let handle = &cluster.node(3).handle;
    assert_ne!(handle.status(group::CONFIG).unwrap().role, Role::Leader);
    let refused = handle.propose(group::CONFIG, Bytes::from("x"), Duration::from_millis(200)).await;
    assert_eq!(refused, Err(Error::NoLeader { group: group::CONFIG }));
    assert!(handle.barrier(group::CONFIG, Duration::from_millis(200)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_catches_up_from_a_checkpoint() {
    let tuning = Tuning { checkpoint_entries: Some(50), log_entries_kept: Some(0), ..Tuning::default() };
    let mut cluster = Cluster::tuned(tuning);
    cluster.grow(3).await;
    let leader = cluster.leader(LEDGER).await;
    let away = 1 + leader % 3;
    cluster.stop(away).await.unwrap();
    for round in 0..300 {
        cluster.propose(leader, LEDGER, &format!("{round} {}", "x".repeat(2000))).await.unwrap();
    }
    let first = cluster.node(leader).handle.status(LEDGER).unwrap();
    cluster.start(away).await;
    assert_eq!(cluster.agree(LEDGER).await.commands.len(), 300);
    assert!(first.last_log > Some(300));
    cluster.stop(away).await.unwrap();
    cluster.start(away).await;
    assert_eq!(cluster.agree(LEDGER).await.commands.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_noticed() {
    let tuning = Tuning { checkpoint_entries: Some(20), log_entries_kept: Some(0), ..Tuning::default() };
    let mut cluster = Cluster::tuned(tuning);
    cluster.grow(1).await;
    for round in 0..100 {
        cluster.propose(1, group::CONFIG, &format!("{round}")).await.unwrap();
    }
    let dir = cluster.dir.path().join("1/checkpoints");
    let files = || {
        let all = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
        let mut mine: Vec<_> =
            all.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("checkpoint-1-")).collect();
        mine.sort();
        mine
    };
    eventually("checkpoints", || async { files().len() == 2 }).await;
    let before = cluster.agree(group::CONFIG).await;
    cluster.stop(1).await.unwrap();
    for path in files() {
        damage(&path);
    }
    let error = cluster.start_with(1, None).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Storage(_)) && text.contains("group 1"), "{text}");
    for path in files() {
        damage(&path);
    }
    cluster.start(1).await;
    assert_eq!(cluster.agree(group::CONFIG).await, before, "undamaged again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_checkpoint_serves_when_the_log_covers_it() {
    let tuning = Tuning { checkpoint_entries: Some(20), log_entries_kept: Some(1000), ..Tuning::default() };
    let mut cluster = Cluster::tuned(tuning);
    cluster.grow(1).await;
    for round in 0..60 {
        cluster.propose(1, group::CONFIG, &format!("{round}")).await.unwrap();
    }
    let dir = cluster.dir.path().join("1/checkpoints");
    let newest = || {
        std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("checkpoint-1-"))
            .max()
    };
    eventually("a checkpoint", || async { newest().is_some() }).await;
    let before = cluster.agree(group::CONFIG).await;
    cluster.stop(1).await.unwrap();
    damage(&newest().unwrap());
    cluster.start(1).await;
    assert_eq!(cluster.agree(group::CONFIG).await, before);
}

/// Flips one bit of a file; doing it twice repairs it.
fn damage(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_checkpoints_can_be_read_back() {
    let cluster = Cluster::three().await;
    let applied = cluster.propose(1, group::CONFIG, "x").await.unwrap();
    cluster.agree(group::CONFIG).await;
    let path = cluster.dir.path().join("backup");
    let handle = &cluster.node(2).handle;
    // A membership entry may have been applied since; the checkpoint then includes it.
    assert!(handle.save_checkpoint(group::CONFIG, &path).await.unwrap() >= applied.index);
    assert_eq!(handle.restore_checkpoint(&path).await.unwrap(), "\u{1}\0\0\0x");
    std::fs::write(&path, b"nonsense").unwrap();
    assert!(matches!(handle.restore_checkpoint(&path).await, Err(Error::Storage(_))));
}
