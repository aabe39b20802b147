//! The control plane goes away: a majority of the voters is killed, in such a way that every region keeps a node that serves.

use std::collections::BTreeMap;

use futures_util::{FutureExt, future::BoxFuture};

use super::{Nemesis, process::start_all};
use crate::{
    lab::site::{Extent, Site},
    storm::{error::StormError, setup, world::World},
};

/// No quorum, and one more node that is restarted without it.
#[derive(Default)]
pub(super) struct ControlGone {
    down: Vec<Site>,
}

impl Nemesis for ControlGone {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let voters = voters(world).await;
            let (chosen, restarted) = choose(world.lab.extent, &voters);
            for node in chosen.iter().filter_map(|site| world.fleet.node(*site)) {
                world.strike(node.site);
                self.down.push(node.site);
                node.kill()?;
            }
            let names: Vec<String> = chosen.iter().map(Site::to_string).collect();
            let mut told =
                format!("kill -9 of {}: {} of {} voters", names.join(", "), chosen.len(), voters.len());
            if let Some(node) = restarted.and_then(|site| world.fleet.node(site)) {
                world.strike(node.site);
                node.kill()?;
                world.revive(node).await?;
                told.push_str(&format!("; {} restarted without a quorum", node.name));
            }
            Ok(told)
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        start_all(world, std::mem::take(&mut self.down)).boxed()
    }
}

async fn voters(world: &World) -> Vec<Site> {
    for node in world.fleet.nodes() {
        if let Some(status) = setup::status(&world.lab, &world.fleet, node).await {
            let voters = status.nodes.iter().filter(|node| node.role != "learner");
            return voters.filter_map(|node| world.lab.extent.az(&node.az)).collect();
        }
    }
    Vec::new()
}

/// Voters to kill, and a node to restart: as few regions as possible lose nodes, none all of them.
fn choose(extent: Extent, voters: &[Site]) -> (Vec<Site>, Option<Site>) {
    let majority = voters.len() / 2 + 1;
    let mut left: BTreeMap<Option<u8>, u8> = BTreeMap::new();
    extent.azs().for_each(|site| *left.entry(site.region()).or_default() += 1);
    let mut chosen = Vec::new();
    for site in voters {
        let left = left.entry(site.region()).or_default();
        if chosen.len() < majority && *left > 1 {
            *left -= 1;
            chosen.push(*site);
        }
    }
    let restarted = extent.azs().find(|site| !chosen.contains(site) && left[&site.region()] > 1);
    (chosen, restarted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_goes_and_no_region_is_dark() {
        let az = |region, az| Site::Az { region, az };
        let voters = [az(0, 0), az(0, 1), az(1, 0), az(1, 1), az(2, 0)];
        let (chosen, restarted) = choose(Extent { regions: 3, azs: 3 }, &voters);
        assert_eq!(chosen, [az(0, 0), az(0, 1), az(1, 0)]);
        assert_eq!(restarted, Some(az(1, 1)));
        let one = [az(0, 0), az(0, 1), az(0, 2)];
        assert_eq!(choose(Extent { regions: 1, azs: 3 }, &one), (vec![az(0, 0), az(0, 1)], None));
    }
}
