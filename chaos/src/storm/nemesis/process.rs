//! Processes that are killed, and that stand still.

use futures_util::{FutureExt, future::BoxFuture};
use rustix::process::Signal;

use super::{Nemesis, names, role};
use crate::{
    lab::site::Site,
    storm::{error::StormError, target::Target, world::World},
};

/// SIGKILL, and a start at the end.
pub(super) struct Kill {
    target: Target,
    down: Vec<Site>,
}

/// SIGSTOP, and SIGCONT at the end.
pub(super) struct Pause {
    target: Target,
    still: Vec<Site>,
}

/// SIGKILL to every node.
pub(super) struct RestartAll;

impl Kill {
    pub(super) fn new(target: Target) -> Self {
        Self { target, down: Vec::new() }
    }
}

impl Nemesis for Kill {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("kill", self.target)?;
            for node in &nodes {
                world.strike(node.site);
                self.down.push(node.site);
                node.kill()?;
            }
            Ok(format!("kill -9 {}{}", names(&nodes), role(self.target)))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        start_all(world, std::mem::take(&mut self.down)).boxed()
    }
}

impl Pause {
    pub(super) fn new(target: Target) -> Self {
        Self { target, still: Vec::new() }
    }
}

impl Nemesis for Pause {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("pause", self.target)?;
            for node in &nodes {
                world.strike(node.site);
                self.still.push(node.site);
                node.signal(Signal::STOP)?;
            }
            Ok(format!("SIGSTOP to {}{}", names(&nodes), role(self.target)))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            for node in std::mem::take(&mut self.still).into_iter().filter_map(|site| world.fleet.node(site))
            {
                node.signal(Signal::CONT)?;
                world.welcome(node).await;
            }
            Ok(())
        }
        .boxed()
    }
}

impl Nemesis for RestartAll {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            for node in world.fleet.nodes() {
                world.strike(node.site);
                node.kill()?;
            }
            Ok("kill -9 of every node".into())
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        let all = world.fleet.nodes().iter().map(|node| node.site).collect();
        start_all(world, all).boxed()
    }
}

/// Starts nodes at the same time and waits until each answers.
pub(super) async fn start_all(world: &World, sites: Vec<Site>) -> Result<(), StormError> {
    let nodes = sites.into_iter().filter_map(|site| world.fleet.node(site));
    let started = futures_util::future::join_all(nodes.map(|node| world.revive(node))).await;
    started.into_iter().collect()
}
