//! Trouble on the way: every kind is one change of the table of lines.

use futures_util::{FutureExt, future::BoxFuture};

use super::{Nemesis, names, role};
use crate::{
    lab::site::{Site, region_name},
    storm::{error::StormError, scenario::NetworkFault, target::Target, world::World},
};

/// A changed network; mended at the end.
pub(super) struct Trouble {
    target: Target,
    fault: NetworkFault,
    sites: Vec<Site>,
}

impl Trouble {
    pub(super) fn new(target: Target, fault: NetworkFault) -> Self {
        Self { target, fault, sites: Vec::new() }
    }

    /// Whether the line between two sites is changed.
    fn takes(&self, from: Site, to: Site) -> bool {
        let zone = |site: Site| matches!(site, Site::Az { .. });
        let (is_from, is_to) = (self.sites.contains(&from), self.sites.contains(&to));
        match &self.fault {
            NetworkFault::Blackhole => is_from || is_to,
            NetworkFault::Deaf => is_to && zone(from) && !is_from,
            NetworkFault::Mute => is_from && zone(to) && !is_to,
            NetworkFault::Partition => (is_from != is_to) && zone(from) && zone(to),
            NetworkFault::Between { regions: [one, other] } => {
                let pair = (from.region(), to.region());
                pair == (Some(*one), Some(*other)) || pair == (Some(*other), Some(*one))
            }
            NetworkFault::Rough { .. } | NetworkFault::Narrow { .. } => zone(from) && zone(to),
        }
    }

    fn told(&self, who: &str) -> String {
        match &self.fault {
            NetworkFault::Blackhole => format!("blackhole around {who}: no packet in or out"),
            NetworkFault::Deaf => format!("{who} hears nothing of other zones"),
            NetworkFault::Mute => format!("nothing of {who} is heard in other zones"),
            NetworkFault::Partition => format!("{who} cut off from other zones, clients reach it"),
            NetworkFault::Between { regions } => {
                let [one, other] = regions.map(region_name);
                format!("no packet between {one} and {other}, both see the others")
            }
            NetworkFault::Rough { loss_percent, jitter_ms, duplicate_percent, reorder_percent } => format!(
                "between all zones {loss_percent} % lost, {duplicate_percent} % twice, {reorder_percent} % early, up to {jitter_ms} ms late"
            ),
            NetworkFault::Narrow { kilobytes_per_s } => {
                format!("{kilobytes_per_s} kB/s between any two zones")
            }
        }
    }
}

impl Nemesis for Trouble {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("network", self.target)?;
            self.sites = nodes.iter().map(|node| node.site).collect();
            if self.fault == NetworkFault::Blackhole {
                self.sites.iter().for_each(|site| world.strike(*site));
            }
            let ppm = |percent: f64| (percent * 10_000.0) as u32;
            world.lab.change(
                |from, to| self.takes(from, to),
                |line| match self.fault {
                    NetworkFault::Rough { loss_percent, jitter_ms, duplicate_percent, reorder_percent } => {
                        line.loss_ppm = ppm(loss_percent);
                        line.duplicate_ppm = ppm(duplicate_percent);
                        line.reorder_ppm = ppm(reorder_percent);
                        line.jitter_us = jitter_ms * 1_000;
                    }
                    NetworkFault::Narrow { kilobytes_per_s } => line.bytes_per_s = kilobytes_per_s * 1_000,
                    _ => line.is_cut = true,
                },
            );
            Ok(self.told(&format!("{}{}", names(&nodes), role(self.target))))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            world.lab.mend(|from, to| self.takes(from, to));
            self.sites.iter().for_each(|site| world.relieve(*site));
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn az(region: u8, az: u8) -> Site {
        Site::Az { region, az }
    }

    #[test]
    fn each_kind_takes_its_lines() {
        let clients = Site::Clients { region: 0 };
        let trouble = |fault| Trouble { target: Target::All, fault, sites: vec![az(0, 0)] };
        let rough = NetworkFault::Rough {
            loss_percent: 1.0,
            jitter_ms: 0,
            duplicate_percent: 0.0,
            reorder_percent: 0.0,
        };
        for (fault, from, to, expect) in [
            (NetworkFault::Blackhole, az(0, 0), az(1, 1), true),
            (NetworkFault::Blackhole, clients, az(0, 0), true),
            (NetworkFault::Blackhole, clients, az(0, 1), false),
            (NetworkFault::Deaf, az(0, 1), az(0, 0), true),
            (NetworkFault::Deaf, az(0, 0), az(0, 1), false),
            (NetworkFault::Deaf, clients, az(0, 0), false),
            (NetworkFault::Mute, az(0, 0), az(0, 1), true),
            (NetworkFault::Mute, az(0, 1), az(0, 0), false),
            (NetworkFault::Partition, az(0, 1), az(0, 0), true),
            (NetworkFault::Partition, az(0, 0), clients, false),
            (NetworkFault::Between { regions: [0, 2] }, az(0, 1), az(2, 0), true),
            (NetworkFault::Between { regions: [0, 2] }, az(2, 1), az(0, 0), true),
            (NetworkFault::Between { regions: [0, 2] }, az(0, 1), az(1, 0), false),
            (rough.clone(), az(2, 1), az(1, 0), true),
            (rough, clients, az(0, 0), false),
        ] {
            assert_eq!(trouble(fault.clone()).takes(from, to), expect, "{fault:?}: {from} to {to}");
        }
    }
}
