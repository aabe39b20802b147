//! Groups of a region next to the configuration: who leads where, what a stopped zone changes, and logs that stay short.

use crate::{
    cluster::{Cluster, LEDGER, SOON, eventually, within},
    toy::{SLOW_CHECKPOINT, SLOW_CHECKPOINTS},
};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tidegate_cluster::{Error, GroupId, GroupScope, NodeId, Role, Tuning, group};

/// Leadership moves after ten seconds of readiness, seen by a look every two.
const MOVED: Duration = Duration::from_secs(40);

/// The ledger groups of the region in which all nodes stand.
fn shards() -> [GroupId; 3] {
    [0, 1, 2].map(|shard| group::ledger("r", shard))
}

/// The configuration and the ledger groups of the region.
fn region(tuning: Tuning) -> Cluster {
    let mut cluster = Cluster::tuned(tuning);
    let regional = shards().into_iter().enumerate();
    cluster.groups = [(group::CONFIG, GroupScope::Cluster)]
        .into_iter()
        .chain(regional.map(|(spread, id)| (id, GroupScope::Region { spread })))
        .collect();
    cluster
}

/// The node and the term of a group's leader that is ready to act. The one before may not have noticed yet.
async fn in_office(cluster: &Cluster, group: GroupId) -> (NodeId, u64) {
    let deadline = Instant::now() + SOON;
    let term = |id: &NodeId| *cluster.node(*id).handle.leadership(group).unwrap().borrow();
    loop {
        let newest = cluster.nodes.keys().copied().max_by_key(term).unwrap();
        if let Some(term) = term(&newest) {
            return (newest, term);
        }
        assert!(Instant::now() < deadline, "nobody is ready to lead group {group}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_zone_leads_a_ledger_and_a_stopped_one_is_replaced() {
    let mut cluster = region(Tuning::default());
    cluster.grow(3).await;
    for (group, zone) in shards().into_iter().zip(1..) {
        within(MOVED, "a leader in the zone whose turn it is", || async {
            cluster.nodes.values().all(|node| node.handle.leader(group) == Ok(Some(zone)))
                && cluster.node(zone).handle.leadership(group).unwrap().borrow().is_some()
        })
        .await;
        let (leader, term) = in_office(&cluster, group).await;
        assert_eq!(leader, zone);
        assert_eq!(*cluster.node(zone).handle.leaders(group).unwrap().borrow(), Some(zone));
        assert_eq!(cluster.node(zone).handle.confirm(group, term, SOON).await, Ok(()));
        let other = &cluster.node(1 + zone % 3).handle;
        let not_leading = Err(Error::NotLeading { group, term });
        assert_eq!(other.confirm(group, term, SOON).await, not_leading, "a follower confirms nothing");
    }

    let [first, second, third] = shards();
    let mut ended = cluster.node(2).handle.leadership(second).unwrap();
    let (_, old_term) = in_office(&cluster, second).await;
    assert_eq!(*ended.borrow_and_update(), Some(old_term));
    cluster.stop(2).await.unwrap();
    assert_eq!(*ended.borrow(), None, "a stopped node is in no office");
    let (heir, new_term) = in_office(&cluster, second).await;
    assert!(heir != 2 && new_term > old_term, "node {heir} in term {new_term} after {old_term}");
    for group in [first, second, third] {
        let (leader, term) = in_office(&cluster, group).await;
        let handle = &cluster.node(leader).handle;
        handle.confirm(group, term, SOON).await.unwrap();
        handle.propose_as_leader(group, term, Bytes::from("without node 2"), SOON).await.unwrap();
    }
    cluster.start(2).await;
    for group in [first, second, third] {
        assert_eq!(cluster.agree(group).await.commands, ["without node 2"]);
        assert_eq!(cluster.node(2).handle.is_formed(group), Ok(true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_region_have_no_part_in_a_ledger() {
    let mut cluster = region(Tuning::default());
    cluster.grow(3).await;
    let [shard, ..] = shards();
    let leader = cluster.leader(shard).await;
    let abroad = |id: NodeId| tidegate_cluster::NodeMeta {
        address: format!("127.0.0.1:{id}"),
        region: "s".into(),
        az: "z1".into(),
    };
    let refused = cluster.node(leader).handle.add_node(shard, 9, abroad(9)).await;
    assert!(matches!(&refused, Err(Error::Change(text)) if text.contains("region")), "{refused:?}");
    cluster.node(leader).handle.add_node(group::CONFIG, 9, abroad(9)).await.unwrap();
    // The next change of the configuration comes after the first one was followed everywhere.
    cluster.node(leader).handle.add_node(group::CONFIG, 8, meta_in("r", abroad(8))).await.unwrap();
    for group in shards() {
        eventually("the neighbour is a learner, the foreigner is not", || async {
            let status = cluster.node(1).handle.status(group).unwrap();
            status.learners.iter().map(|(id, _)| *id).eq([8])
        })
        .await;
    }
    assert_eq!(cluster.node(1).handle.status(99), Err(Error::UnknownGroup(99)));
}

fn meta_in(region: &str, meta: tidegate_cluster::NodeMeta) -> tidegate_cluster::NodeMeta {
    tidegate_cluster::NodeMeta { region: region.into(), ..meta }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_nobody_has_started_are_in_nobodys_way() {
    let mut cluster = region(Tuning::default());
    for id in 1..=3 {
        cluster.start(id).await;
    }
    cluster.node(1).handle.bootstrap(group::CONFIG).await.unwrap();
    for id in 2..=3 {
        let meta = cluster.node(id).handle.meta().clone();
        cluster.node(1).handle.add_node(group::CONFIG, id, meta).await.unwrap();
    }
    eventually("voters", || async {
        cluster.nodes.values().all(|n| n.handle.status(group::CONFIG).unwrap().voters.len() == 3)
    })
    .await;
    let removed = Instant::now();
    cluster.node(1).handle.remove_node(group::CONFIG, 3, false).await.unwrap();
    assert!(removed.elapsed() < Duration::from_secs(4), "{:?}", removed.elapsed());
    for group in shards() {
        for node in cluster.nodes.values() {
            assert_eq!(node.handle.is_formed(group), Ok(false));
            assert_eq!(
                (node.handle.leader(group), *node.handle.leadership(group).unwrap().borrow()),
                (Ok(None), None)
            );
            let status = node.handle.status(group).unwrap();
            assert_eq!((status.role, status.term, status.member), (Role::Learner, 0, false), "no elections");
            let nothing = node.handle.propose_as_leader(group, 0, Bytes::new(), SOON).await;
            assert_eq!(nothing, Err(Error::NotLeading { group, term: 0 }));
        }
    }
    let stopped = Instant::now();
    cluster.stop(1).await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());

    let [shard, ..] = shards();
    let founder = &cluster.node(2).handle;
    founder.bootstrap(shard).await.unwrap();
    assert_eq!(founder.bootstrap(shard).await, Err(Error::Initialised(shard)));
    assert_eq!(founder.is_formed(shard), Ok(true));
    let (leader, term) = in_office(&cluster, shard).await;
    assert_eq!(leader, 2);
    founder.propose_as_leader(shard, term, Bytes::from("first"), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_voter_leaves_its_seat_to_an_heir() {
    let mut cluster = region(Tuning::default());
    cluster.grow(2).await;
    let groups = || shards().into_iter().chain([group::CONFIG]);
    for group in groups() {
        assert_eq!(cluster.leader(group).await, 1, "two nodes have one voter");
        cluster.propose(2, group, "kept").await.unwrap();
    }
    // The heir must have the log; the removal waits for that a little.
    cluster.node(2).handle.remove_node(group::CONFIG, 1, false).await.unwrap();
    for group in groups() {
        // A ledger may have followed the configuration once more before that forgot the node.
        eventually("node 2 alone", || async {
            let status = cluster.node(2).handle.status(group).unwrap();
            status.leader == Some(2) && status.voters.len() == 1 && status.learners.is_empty()
        })
        .await;
        assert!(cluster.node(2).toys[&group].contains(b"kept"));
        cluster.propose(2, group, "alone").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_busy_group_stays_short() {
    const COMMANDS: u64 = 2_000;
    let tuning = Tuning { checkpoint_entries: Some(100), log_entries_kept: Some(50), ..Tuning::default() };
    let mut cluster = region(tuning);
    cluster.grow(3).await;
    let [shard, ..] = shards();
    let (leader, term) = in_office(&cluster, shard).await;
    let mut longest = 0;
    for round in 0..COMMANDS / 20 {
        let handle = &cluster.node(leader).handle;
        let batch = (0..20).map(|number| {
            let command = Bytes::from(format!("{round} {number}"));
            handle.propose_as_leader(shard, term, command, SOON)
        });
        for applied in futures_util::future::join_all(batch).await {
            applied.unwrap();
        }
        let status = handle.status(shard).unwrap();
        longest = longest.max(status.last_log.unwrap() - status.purged.unwrap_or(0));
    }
    assert!(longest < COMMANDS / 2, "{longest} entries lay in the log while it was written");
    for node in cluster.nodes.values() {
        eventually("short logs", || async {
            let status = node.handle.status(shard).unwrap();
            // A checkpoint, what is kept below it, what is deleted at once,
            // and what came while it was written.
            status.last_log.unwrap() - status.purged.unwrap_or(0) <= 100 + 50 + 100 + 100
        })
        .await;
    }
    assert_eq!(cluster.agree(shard).await.commands.len() as u64, COMMANDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_takes_long_stalls_no_commit() {
    let tuning = Tuning { checkpoint_entries: Some(50), log_entries_kept: Some(10), ..Tuning::default() };
    let mut cluster = Cluster::tuned(tuning);
    cluster.grow(3).await;
    let leader = cluster.leader(LEDGER).await;
    cluster.propose(leader, LEDGER, SLOW_CHECKPOINTS).await.unwrap();
    let checkpoints = cluster.dir.path().join(leader.to_string()).join("checkpoints");
    let is_written = || {
        let names = std::fs::read_dir(&checkpoints).unwrap().map(|file| file.unwrap().file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with(&format!("checkpoint-{LEDGER}-")))
    };
    let (mut slowest, started) = (Duration::ZERO, Instant::now());
    while !is_written() {
        assert!(started.elapsed() < SOON, "no checkpoint was written");
        for group in [group::CONFIG, LEDGER] {
            let proposed = Instant::now();
            cluster.propose(leader, group, "x").await.unwrap();
            slowest = slowest.max(proposed.elapsed());
        }
    }
    assert!(started.elapsed() > SLOW_CHECKPOINT);
    assert!(slowest < SLOW_CHECKPOINT / 2, "a commit took {slowest:?}");
}
