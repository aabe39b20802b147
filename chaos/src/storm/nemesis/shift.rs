//! Traffic and leaders are moved off zones, as an operator does who sees trouble coming. Nothing is broken by it, so nothing is excused.

use futures_util::{FutureExt, future::BoxFuture};
use http::Method;
use serde_json::{Value, json};

use super::{Nemesis, names};
use crate::{
    lab::site::{Site, region_name},
    storm::{error::StormError, setup::Caller, target::Target, world::World},
};

const SHIFTS: &str = "/_tidegate/zonal-shifts";
/// The shift outlives every storm; it ends when it is undone.
const EXPIRES_IN_S: u32 = 3_600;

/// Zonal shifts away from a target.
pub(super) struct Shift {
    target: Target,
    shifted: Vec<Site>,
}

impl Shift {
    pub(super) fn new(target: Target) -> Self {
        Self { target, shifted: Vec::new() }
    }
}

impl Nemesis for Shift {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("zonal-shift", self.target)?;
            for node in &nodes {
                let (region, az) = zone(node.site);
                let body = json!({ "region": region, "az": az, "expires_in_s": EXPIRES_IN_S });
                caller(world, node.site).call("a zonal shift", Method::POST, SHIFTS, body).await?;
                self.shifted.push(node.site);
            }
            Ok(format!("traffic and leaders are moved off {}", names(&nodes)))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            for site in std::mem::take(&mut self.shifted) {
                let (region, az) = zone(site);
                let path = format!("{SHIFTS}/{region}/{az}");
                caller(world, site).call("the end of a shift", Method::DELETE, &path, Value::Null).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

/// Region and zone, as nodes name them.
fn zone(site: Site) -> (String, String) {
    (site.region().map(region_name).unwrap_or_default(), site.to_string())
}

/// Somebody outside of the zone: it may be gone by the time the shift is undone.
fn caller(world: &World, site: Site) -> Caller<'_> {
    let nodes = world.fleet.nodes();
    let node = nodes.iter().find(|node| node.site != site).unwrap_or(&nodes[0]);
    Caller::new(&world.lab, Site::Observer, world.fleet.client(node))
}
