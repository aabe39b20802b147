//! Clocks that run apart: a leader whose clock is slow believes in its lease long after others have elected another. Nothing that is promised
//! may hang on that; with clocks as far apart as the timing allows for, everything works.

use super::{
    Report, agreement, clients, faults, keepers, pause, seeds,
    world::{Land, World},
};
use crate::{
    NodeId,
    group::CONFIG,
    runtime::{self, Rt},
};
use bytes::Bytes;
use openraft_rt::AsyncRuntime as _;
use std::time::Duration;

/// Until when a leader that is cut off believes in its office, and when another is in office, in milliseconds; and whether it answered a
/// read meanwhile.
async fn part(world: &World, leader: NodeId) -> (u64, u64, bool) {
    let others = || world.ids.iter().copied().filter(move |id| *id != leader);
    for other in others() {
        world.switch.cut(leader, other);
        world.switch.cut(other, leader);
    }
    let holds_office =
        |id: NodeId| world.handle(id).is_some_and(|node| node.leadership(CONFIG).unwrap().borrow().is_some());
    let began = runtime::now();
    let (mut believed_ms, mut elected_ms, mut has_read) = (None, None, false);
    while believed_ms.is_none() || elected_ms.is_none() {
        let now_ms = runtime::elapsed_ms(began);
        assert!(now_ms < 20_000, "believed {believed_ms:?}, elected {elected_ms:?}");
        if others().any(holds_office) && elected_ms.is_none() {
            elected_ms = Some(now_ms);
            let new = world.handle(others().find(|id| holds_office(*id)).unwrap()).unwrap();
            let written = new.propose(CONFIG, Bytes::from_static(b"after"), Duration::from_secs(1)).await;
            assert!(written.is_ok(), "{written:?}");
            let old = world.handle(leader).unwrap();
            has_read = old.barrier(CONFIG, Duration::from_millis(100)).await.is_ok();
        }
        if !holds_office(leader) {
            believed_ms.get_or_insert(now_ms);
        }
        pause(5).await;
    }
    (believed_ms.unwrap_or(0), elected_ms.unwrap_or(0), has_read)
}

#[test]
fn a_leader_with_a_slow_clock_outlives_its_lease_and_promises_nothing() {
    for (rate_ppm, is_late) in [(200_000, true), (3_000_000, false)] {
        for seed in 1..=4 {
            let work = async {
                let world = World::new(seed, Land::OneRegion(3), false).await;
                world.calm().await;
                let leader = world.handle(1).unwrap().leader(CONFIG).unwrap().expect("the group has formed");
                world.clock(leader).set_rate_ppm(rate_ppm);
                pause(2_000).await;
                let leader = world.handle(1).unwrap().leader(CONFIG).unwrap().unwrap_or(leader);
                world.clock(leader).set_rate_ppm(rate_ppm);
                let (believed_ms, elected_ms, has_read) = part(&world, leader).await;
                let text = format!("seed {seed}: believed {believed_ms} ms, elected after {elected_ms} ms");
                assert_eq!(believed_ms > elected_ms, is_late, "{text}");
                assert!(!has_read, "{text}");
            };
            Rt::with_seed(seed).block_on(work);
        }
    }
}

fn run(seed: u64) -> Report {
    let work = async move {
        let world = World::new(seed, Land::OneRegion(3 + seed % 3), false).await;
        for id in &world.ids {
            world.clock(*id).set_rate_ppm([800_000, 1_250_000, 1_000_000][((id + seed) % 3) as usize]);
        }
        let clients = clients::start(&world, seed);
        let keepers = keepers::start(&world, seed);
        let (power_cuts, partitions) = faults::storm(&world, seed, Duration::from_secs(25)).await;
        drop(clients);
        world.calm().await;
        drop(keepers);
        agreement::converge(&world).await;
        keepers::check(&world);
        let record = world.record();
        Report {
            acknowledged: record.acknowledged.len(),
            refused: record.refused,
            confirmed: record.confirmed,
            power_cuts,
            partitions,
            digest: world.switch.digest() ^ record.digest(),
            violations: record.violations.clone(),
        }
    };
    Rt::with_seed(seed).block_on(work)
}

#[test]
fn clocks_a_quarter_apart_lose_nothing_and_hold_nothing_up() {
    for seed in seeds(1..=5) {
        let report = run(seed);
        assert!(report.violations.is_empty(), "TIDEGATE_SIM_SEED={seed}: {report:?}");
        assert!(report.acknowledged > 50, "TIDEGATE_SIM_SEED={seed}: {report:?}");
        if seed == 1 {
            assert_eq!(run(seed), report);
        }
    }
}
