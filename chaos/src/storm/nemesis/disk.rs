//! Disks that fail under running nodes.

use futures_util::{FutureExt, future::BoxFuture};
use std::time::Duration;

use super::{Nemesis, names, role};
use crate::{
    disk::Ailment,
    lab::site::Site,
    limits::{FENCE_LOOK, SERVED_AGAIN},
    storm::{
        error::StormError,
        fleet::Node,
        scenario::{DiskFault, Measure},
        target::Target,
        world::World,
    },
};

/// An ailing disk; healed at the end.
pub(super) struct Failing {
    target: Target,
    fault: DiskFault,
    sites: Vec<Site>,
}

impl Failing {
    pub(super) fn new(target: Target, fault: DiskFault) -> Self {
        Self { target, fault, sites: Vec::new() }
    }

    fn ailment(&self) -> Ailment {
        let sound = Ailment::default();
        match self.fault {
            DiskFault::Slow { delay_ms } => {
                Ailment { sync_delay: Duration::from_millis(delay_ms.into()), ..sound }
            }
            DiskFault::Stall => Ailment { is_stalled: true, ..sound },
            DiskFault::Broken => Ailment { is_broken: true, ..sound },
            DiskFault::Full => Ailment { is_full: true, ..sound },
            DiskFault::Flip { .. } => sound,
        }
    }

    async fn flip(&self, world: &World, node: &Node, bits: u32) -> Result<String, StormError> {
        world.strike(node.site);
        node.kill()?;
        let flipped = world.disk(node)?.flip_bits(bits, &mut world.random());
        let flipped = flipped.map_err(StormError::system("flipping bits"))?;
        world.fleet.start(&world.lab, node).await?;
        Ok(flipped.join(", "))
    }

    /// A node whose disk keeps nothing must not go on as if it did: by now it has ended, or does not lead.
    async fn look_for_fences(&self, world: &World) {
        tokio::time::sleep(FENCE_LOOK).await;
        let leader = world.watch.leader();
        let unfenced = self.sites.iter().filter(|site| {
            let runs = world.fleet.node(**site).is_some_and(Node::is_running);
            runs && leader == Some(**site)
        });
        let count = unfenced.count() as f64;
        world.journal().measured.push((Measure::Unfenced, count));
    }

    /// A supervisor starts a node that has ended at once, whatever its disk is like; requests can be served from what is there.
    async fn look_for_service(&self, world: &World) -> Result<(), StormError> {
        let mut unserved = 0.0;
        for node in self.sites.iter().filter_map(|site| world.fleet.node(*site)) {
            if !node.is_running() {
                world
                    .note(format!("{} has ended by itself; it is started again on the same disk", node.name));
                world.strike(node.site);
                world.fleet.start(&world.lab, node).await?;
            }
            let serves = tokio::time::timeout(SERVED_AGAIN, world.await_serving(node)).await;
            if !matches!(serves, Ok(Ok(()))) {
                world.note(format!("{} does not serve", node.name));
                unserved += 1.0;
            }
        }
        world.journal().measured.push((Measure::Unserved, unserved));
        Ok(())
    }
}

impl Nemesis for Failing {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("disk", self.target)?;
            self.sites = nodes.iter().map(|node| node.site).collect();
            let who = format!("{}{}", names(&nodes), role(self.target));
            if let DiskFault::Flip { bits } = self.fault {
                let mut told = Vec::new();
                for node in &nodes {
                    told.push(self.flip(world, node, bits).await?);
                }
                return Ok(format!("bits of {who} flipped while it was down: {}", told.join("; ")));
            }
            for node in &nodes {
                world.disk(node)?.ail(self.ailment());
            }
            if matches!(self.fault, DiskFault::Broken | DiskFault::Full) {
                self.look_for_fences(world).await;
                self.look_for_service(world).await?;
            }
            Ok(match self.fault {
                DiskFault::Slow { delay_ms } => format!("each fsync of {who} takes {delay_ms} ms more"),
                DiskFault::Stall => format!("disk of {who} stalls"),
                DiskFault::Broken => format!("disk of {who} fails with EIO"),
                DiskFault::Full | DiskFault::Flip { .. } => format!("disk of {who} is full"),
            })
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            for node in std::mem::take(&mut self.sites).into_iter().filter_map(|site| world.fleet.node(site))
            {
                world.disk(node)?.heal();
                // One that fenced itself is started by whatever supervises it.
                if !node.is_running() {
                    world.note(format!("{} had ended by itself; it is started again", node.name));
                    world.strike(node.site);
                    world.revive(node).await?;
                } else {
                    world.welcome(node).await;
                }
            }
            Ok(())
        }
        .boxed()
    }
}
