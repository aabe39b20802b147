//! Where nodes are: regions, their availability zones, and the nodes in those. Owns the numbering, which is dense and in that
//! order; must never know what is up.

/// How many of each there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Regions.
    pub(crate) regions: usize,
    /// Availability zones of each region.
    pub(crate) zones_per_region: usize,
    /// Nodes of each zone.
    pub(crate) nodes_per_zone: usize,
}

impl Places {
    /// One region of three zones.
    pub(crate) const fn region(nodes_per_zone: usize) -> Self {
        Self { regions: 1, zones_per_region: 3, nodes_per_zone }
    }

    /// All nodes.
    pub(crate) fn nodes(self) -> usize {
        self.zones() * self.nodes_per_zone
    }

    /// All zones.
    pub(crate) fn zones(self) -> usize {
        self.regions * self.zones_per_region
    }

    /// The zone of a node.
    pub(crate) fn zone_of(self, node: usize) -> usize {
        node / self.nodes_per_zone
    }

    /// The region of a zone.
    pub(crate) fn region_of(self, zone: usize) -> usize {
        zone / self.zones_per_region
    }

    /// The nodes of a zone.
    pub(crate) fn nodes_of(self, zone: usize) -> std::ops::Range<usize> {
        zone * self.nodes_per_zone..(zone + 1) * self.nodes_per_zone
    }
}
