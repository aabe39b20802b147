//! kill -9 in the middle of writing, fifty times: a child process writes, the parent kills it and checks that everything
//! that was acknowledged is there afterwards.

use crate::{
    cluster::{SOON, options},
    toy::{Echo, Toy},
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tidegate_cluster::{
    GroupSpec, Service, Tuning, group,
    identity::{Authority, Identity},
};

const DIR: &str = "TIDEGATE_KILL_DIR";
const ROUNDS: u32 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs as a child of the test below"]
async fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let identity = Identity::load(&dir.join("identity")).unwrap();
    let tuning = Tuning {
        election_ms: Some(40),
        heartbeat_ms: Some(10),
        checkpoint_entries: Some(300),
        log_entries_kept: Some(20),
        ..Tuning::default()
    };
    let toy = Toy::default();
    let groups = vec![GroupSpec::cluster(group::CONFIG, toy.clone())];
    let options = options(dir.join("data"), 1, 0, &tuning);
    let service = Service::new(options, identity, groups, Arc::new(Echo), None).await.unwrap();
    let handle = service.handle();
    tokio::spawn(service.run(std::future::pending()));
    let _again = handle.bootstrap(group::CONFIG).await;
    handle.barrier(group::CONFIG, SOON).await.unwrap();
    let have = toy.ledger().commands;
    let text: Vec<_> = have.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
    println!("HAVE {}", text.join(" "));
    let next =
        have.iter().filter_map(|c| std::str::from_utf8(c).ok()?.parse::<u64>().ok()).max().unwrap_or(0) + 1;
    let writers = (0..8).map(|lane| {
        let handle = handle.clone();
        tokio::spawn(async move {
            for step in 0_u64.. {
                let number = next + lane + step * 8;
                handle.propose(group::CONFIG, Bytes::from(number.to_string()), SOON).await.unwrap();
                println!("ACK {number}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Authority::generate("toy").unwrap().identity(1).unwrap().save(&dir.path().join("identity")).unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let have = lines.find_map(|line| line.strip_prefix("HAVE").map(str::to_owned)).unwrap();
        let have: BTreeSet<u64> = have.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let lost: Vec<_> = acknowledged.difference(&have).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were acknowledged and are gone");
        let until = Instant::now() + Duration::from_millis(u64::from(5 + round * 7 % 60));
        let mut killed = false;
        for line in lines {
            if let Some(number) = line.strip_prefix("ACK ").and_then(|n| n.parse().ok()) {
                acknowledged.insert(number);
            }
            if !killed && Instant::now() >= until {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
    }
    assert!(acknowledged.len() > 200, "only {} writes in {ROUNDS} rounds", acknowledged.len());
}
