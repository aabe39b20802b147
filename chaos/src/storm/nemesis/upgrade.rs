//! A rolling upgrade: every node in turn is drained, asked to end, and started with the other binary; then back again.

use std::path::PathBuf;

use futures_util::{FutureExt, future::BoxFuture};
use http::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Nemesis;
use crate::{
    lab::site::Site,
    limits::{DRAINED, POLL, STOPPED},
    storm::{
        error::StormError,
        fleet::Node,
        setup::{self, Caller},
        world::World,
    },
};

/// There and back; with one binary, a rolling restart.
pub(super) struct Upgrade;

impl Nemesis for Upgrade {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let first: PathBuf = world.fleet.nodes()[0].program();
            let other = world.upgrade_to.clone();
            for node in world.fleet.nodes() {
                replace(world, node, other.clone().unwrap_or_else(|| first.clone())).await?;
            }
            let Some(other) = other else {
                return Ok(
                    "every node drained and restarted with the same binary, one after the other".into()
                );
            };
            world.note("all nodes run the other binary; back again");
            for node in world.fleet.nodes() {
                replace(world, node, first.clone()).await?;
            }
            Ok(format!("all nodes to {} and back, one after the other", other.display()))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            for node in world.fleet.nodes().iter().filter(|node| !node.is_running()) {
                world.revive(node).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

/// Its place is not struck: a client must not notice.
async fn replace(world: &World, node: &Node, program: PathBuf) -> Result<(), StormError> {
    let id = member(world, node).await;
    let other = world.fleet.nodes().iter().find(|other| other.site != node.site && other.is_running());
    let caller = Caller::new(&world.lab, Site::Observer, world.fleet.client(other.unwrap_or(node)));
    if let Some(id) = id {
        caller
            .call("a drain", Method::POST, &format!("/_tidegate/cluster/nodes/{id}/drain"), json!({}))
            .await?;
    }
    // What sends clients elsewhere needs time to see that the node is not ready.
    sleep(DRAINED).await;
    node.signal(Signal::TERM)?;
    let deadline = Instant::now() + STOPPED;
    while node.is_running() {
        if Instant::now() > deadline {
            let what = format!("{} to end after SIGTERM", node.name);
            return Err(StormError::Slow { what, seconds: STOPPED.as_secs(), seen: "still running".into() });
        }
        sleep(POLL).await;
    }
    node.set_program(program);
    world.revive(node).await?;
    if let Some(id) = id {
        caller
            .call("an undrain", Method::POST, &format!("/_tidegate/cluster/nodes/{id}/undrain"), json!({}))
            .await?;
    }
    Ok(())
}

async fn member(world: &World, node: &Node) -> Option<u64> {
    let status = setup::status(&world.lab, &world.fleet, node).await?;
    status.nodes.iter().find(|member| member.az == node.name).map(|member| member.node)
}
