//! Where the nodes of a run stand, by its seed: three to five in three zones of one region, sometimes one or two more in a second one.

use std::collections::BTreeMap;

use tidegate_cluster_sim::{GroupId, GroupScope, NodeId, Profile, group, sim::Place};

use crate::flood::Chance;

/// The regions, nearest first.
pub(crate) const REGIONS: [&str; 2] = ["r", "s"];
/// One way between the regions, in milliseconds.
pub(crate) const APART_MS: u64 = 20;
/// Zones of a region.
const ZONES: u64 = 3;
/// Share of seeds that have a second region.
const WIDE: f64 = 0.25;

/// The nodes of a run: region and zone of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Land {
    nodes: BTreeMap<NodeId, (&'static str, String)>,
}

impl Land {
    /// The land of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "land");
        let is_wide = chance.happens(WIDE);
        let first = if is_wide { 3 } else { 3 + chance.below(3) as u64 };
        let second = if is_wide { 1 + chance.below(2) as u64 } else { 0 };
        let place = |id: NodeId| {
            let (region, at) = if id <= first { (REGIONS[0], id) } else { (REGIONS[1], id - first) };
            (id, (region, format!("{region}{}", (at - 1) % ZONES + 1)))
        };
        Self { nodes: (1..=first + second).map(place).collect() }
    }

    /// All nodes.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// All zones.
    pub(crate) fn zones(&self) -> Vec<String> {
        let mut zones: Vec<String> = self.nodes.values().map(|(_, zone)| zone.clone()).collect();
        zones.sort();
        zones.dedup();
        zones
    }

    /// The nodes of a zone.
    pub(crate) fn in_zone(&self, wanted: &str) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, (_, zone))| zone == wanted).map(|(id, _)| *id).collect()
    }

    /// The region of a node.
    pub(crate) fn region(&self, id: NodeId) -> &'static str {
        self.nodes.get(&id).map_or(REGIONS[0], |(region, _)| region)
    }

    /// The zone of a node.
    pub(crate) fn zone(&self, id: NodeId) -> &str {
        self.nodes.get(&id).map_or("", |(_, zone)| zone)
    }

    /// How many nodes share the limits of a region.
    pub(crate) fn nodes_in(&self, wanted: &str) -> usize {
        self.nodes.values().filter(|(region, _)| *region == wanted).count()
    }

    /// The groups of a node.
    pub(crate) fn groups(&self, id: NodeId) -> impl Iterator<Item = GroupId> {
        groups(self.region(id), self.is_wide()).into_iter().map(|(group, _)| group)
    }

    /// Whether there is a second region.
    pub(crate) fn is_wide(&self) -> bool {
        self.nodes_in(REGIONS[1]) > 0
    }

    /// Timing that suits the distances.
    pub(crate) fn profile(&self) -> Profile {
        if self.is_wide() { Profile::Wan } else { Profile::Lan }
    }

    /// What the harness has to know of every node.
    pub(crate) fn places(&self) -> BTreeMap<NodeId, Place> {
        let place = |(id, (region, zone)): (&NodeId, &(&'static str, String))| {
            let groups = groups(region, self.is_wide());
            (*id, Place { region: (*region).to_owned(), az: zone.clone(), groups })
        };
        self.nodes.iter().map(place).collect()
    }

    /// Every group and its first node, which founds it.
    pub(crate) fn founders(&self) -> BTreeMap<GroupId, NodeId> {
        let mut founders = BTreeMap::new();
        for (id, (region, _)) in &self.nodes {
            for (group, _) in groups(region, self.is_wide()) {
                founders.entry(group).or_insert(*id);
            }
        }
        founders
    }
}

/// The groups of a region's nodes: the configuration, and the shards of the region's ledger. Where there are two regions, also the region's
/// part of the limits that span them, and the ledger of all regions.
fn groups(region: &str, is_wide: bool) -> Vec<(GroupId, GroupScope)> {
    let shard = |shard: u8| (group::ledger(region, shard), GroupScope::Region { spread: usize::from(shard) });
    let config = [(group::CONFIG, GroupScope::Cluster)];
    let wide = [shard(group::LEDGER_PART), (group::GLOBAL_LEDGER, GroupScope::Cluster)];
    let wide = wide.into_iter().filter(|_| is_wide);
    config.into_iter().chain((0..group::LEDGER_SHARDS).map(shard)).chain(wide).collect()
}
