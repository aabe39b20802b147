//! Power that goes away: the process is gone without a goodbye, no packet says so, and what was not fsynced may be lost.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::{Nemesis, names, process::start_all, role};
use crate::{
    lab::site::Site,
    storm::{error::StormError, fleet::Node, target::Target, world::World},
};

/// Power loss of zones.
pub(super) struct PowerLoss {
    target: Target,
    drop_unsynced: bool,
    tear: bool,
    dark: Vec<Site>,
}

/// Power cuts one after the other, of one node at a time.
pub(super) struct PowerCycles {
    target: Target,
    cycles: u32,
    tear: bool,
    for_s: f64,
}

impl PowerLoss {
    pub(super) fn new(target: Target, drop_unsynced: bool, tear: bool) -> Self {
        Self { target, drop_unsynced, tear, dark: Vec::new() }
    }
}

impl Nemesis for PowerLoss {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("power-loss", self.target)?;
            for node in &nodes {
                world.strike(node.site);
                self.dark.push(node.site);
            }
            // The links go first: a dead machine sends no resets.
            let dark = &self.dark;
            world
                .lab
                .change(|from, to| dark.contains(&from) || dark.contains(&to), |line| line.is_cut = true);
            for node in &nodes {
                node.kill()?;
                if self.drop_unsynced {
                    world.disk(node)?.cut_power(self.tear, &mut world.random());
                }
            }
            let lost = if self.drop_unsynced { ", writes without fsync are gone" } else { "" };
            Ok(format!("power loss of {}{}{lost}", names(&nodes), role(self.target)))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            let dark = std::mem::take(&mut self.dark);
            world.lab.mend(|from, to| dark.contains(&from) || dark.contains(&to));
            start_all(world, dark).await
        }
        .boxed()
    }
}

impl PowerCycles {
    pub(super) fn new(target: Target, cycles: u32, tear: bool, for_s: f64) -> Self {
        Self { target, cycles, tear, for_s }
    }

    async fn cycle(&self, world: &World, node: &Node) -> Result<usize, StormError> {
        world.strike(node.site);
        node.kill()?;
        let undone = world.disk(node)?.cut_power(self.tear, &mut world.random());
        world.revive(node).await?;
        Ok(undone)
    }
}

impl Nemesis for PowerCycles {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let (mut undone, mut cut) = (0, 0);
            let deadline = Instant::now() + Duration::from_secs_f64(self.for_s);
            while cut < self.cycles && Instant::now() < deadline {
                let nodes = world.resolve("power-cycles", self.target).unwrap_or_default();
                let chosen = world.random().random_range(0..nodes.len().max(1));
                if let Some(node) = nodes.get(chosen) {
                    undone += self.cycle(world, node).await?;
                    cut += 1;
                }
                let pause = Duration::from_millis(world.random().random_range(50..400));
                sleep_until(Instant::now() + pause).await;
            }
            Ok(format!("{cut} power cuts, {undone} writes without fsync undone"))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        let down =
            world.fleet.nodes().iter().filter(|node| !node.is_running()).map(|node| node.site).collect();
        start_all(world, down).boxed()
    }
}
