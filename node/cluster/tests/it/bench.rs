//! Not a test but a measurement: `cargo test --release -p tidegate-cluster --test it measure -- --ignored --nocapture`.

use crate::cluster::{Cluster, SOON};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tidegate_cluster::{GroupScope, group};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints numbers"]
async fn measure() {
    let formed = Instant::now();
    let mut cluster = Cluster::three().await;
    println!("three voters after {:?}", formed.elapsed());
    for clients in [1, 16, 256] {
        for at in ["leader", "follower"] {
            let leader = cluster.leader(group::CONFIG).await;
            let id = if at == "leader" { leader } else { 1 + leader % 3 };
            let handle = cluster.node(id).handle.clone();
            let until = Instant::now() + Duration::from_secs(2);
            let tasks: Vec<_> = (0..clients)
                .map(|_| {
                    let handle = handle.clone();
                    tokio::spawn(async move {
                        let mut times = Vec::new();
                        while Instant::now() < until {
                            let started = Instant::now();
                            handle.propose(group::CONFIG, Bytes::from(vec![0; 64]), SOON).await.unwrap();
                            times.push(started.elapsed());
                        }
                        times
                    })
                })
                .collect();
            let mut times = Vec::new();
            for task in tasks {
                times.extend(task.await.unwrap());
            }
            times.sort_unstable();
            let at_percent = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)];
            println!(
                "{clients:4} clients at the {at}: {:6.0} commits/s p50 {:?} p99 {:?}",
                times.len() as f64 / 2.0,
                at_percent(50),
                at_percent(99)
            );
        }
    }
    for round in 0..5 {
        let leader = cluster.leader(group::CONFIG).await;
        let survivor = 1 + leader % 3;
        cluster.kill(leader).await;
        let killed = Instant::now();
        while cluster.propose(survivor, group::CONFIG, &format!("after {round}")).await.is_err() {}
        println!("write gap after the leader died: {:?}", killed.elapsed());
        cluster.start(leader).await;
        cluster.propose(leader, group::CONFIG, &format!("back {round}")).await.unwrap();
        cluster.agree(group::CONFIG).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints numbers"]
async fn measure_idle() {
    let ledgers = |count: u8| {
        let region = (0..count)
            .map(|shard| (group::ledger("r", shard), GroupScope::Region { spread: usize::from(shard) }));
        [(group::CONFIG, GroupScope::Cluster)].into_iter().chain(region).collect::<Vec<_>>()
    };
    for (what, groups, formed) in [
        ("the configuration", ledgers(0), 1),
        ("three ledgers that nobody has started", ledgers(3), 1),
        ("three ledgers", ledgers(3), 4),
        ("nine ledgers", ledgers(9), 10),
    ] {
        let mut cluster = Cluster::new();
        cluster.groups = groups.iter().take(formed).copied().collect();
        let waiting = groups.iter().skip(formed);
        cluster.dormant = waiting.copied().collect();
        cluster.grow(3).await;
        // Elections and promotions are over.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (busy, started) = (cpu_time(), Instant::now());
        tokio::time::sleep(Duration::from_secs(10)).await;
        let share = (cpu_time() - busy).as_secs_f64() / started.elapsed().as_secs_f64() / 3.0;
        println!("{what}: {:.2} % of a core per idle node", share * 100.0);
    }
}

/// Processor time of all threads of this process.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(of).sum())
}
