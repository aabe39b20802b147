//! Which ledgers there are and where their voters run: the shards of a region, or, where limits span regions, the part of each
//! region and the ledger of all. Owns the numbering of these sites; must never know who leads.

use tidegate_throttle::{GLOBAL, PART, Region, SHARDS, region_holder};

use crate::flood::places::Places;

/// A ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// As the product numbers ledgers.
    pub(super) number: usize,
    /// The region that it is of; the ledger of all is of the first one.
    pub(super) region: usize,
    /// One in each of three zones, or in each of three regions.
    pub(super) voters: Vec<usize>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    places: Places,
    pub(super) sites: Vec<Site>,
}

impl Layout {
    /// For limits of one region, whose zones may be far apart.
    pub(super) fn flat(places: Places) -> Self {
        let zones = spread(places);
        let voter = |shard: usize, zone: usize| zone * places.nodes_per_zone + shard % places.nodes_per_zone;
        let site = |shard: usize| Site {
            number: shard,
            region: 0,
            voters: zones.iter().map(|zone| voter(shard, *zone)).collect(),
        };
        Self { places, sites: (0..SHARDS).map(site).collect() }
    }

    /// For limits that span regions.
    pub(super) fn wide(places: Places) -> Self {
        let first = |zone: usize| zone * places.nodes_per_zone;
        let part = |region: usize| {
            let zones = region * places.zones_per_region..(region + 1) * places.zones_per_region;
            Site { number: PART, region, voters: zones.take(3).map(first).collect() }
        };
        let last = places.nodes_per_zone - 1;
        let top = spread(places).into_iter().map(|zone| first(zone) + last).collect();
        let all = Site { number: GLOBAL, region: 0, voters: top };
        Self { places, sites: (0..places.regions).map(part).chain([all]).collect() }
    }

    /// The region of a node.
    pub(super) fn region_of(&self, node: usize) -> usize {
        self.places.region_of(self.places.zone_of(node))
    }

    /// The site of a ledger as a node knows it.
    pub(super) fn site(&self, node: usize, number: usize) -> Option<usize> {
        let region = self.region_of(node);
        let is_it = |site: &Site| site.number == number && (number != PART || site.region == region);
        self.sites.iter().position(is_it)
    }

    /// Whether a node has anything to do with a site.
    pub(super) fn concerns(&self, at: usize, node: usize) -> bool {
        self.sites.get(at).is_some_and(|site| site.number != PART || site.region == self.region_of(node))
    }

    /// How the leader of a region's part calls itself.
    pub(super) fn speaker(&self, node: usize) -> Region {
        Region { holder: holder(self.region_of(node)), node: node as u64 + 1 }
    }
}

/// The number of a region as a holder.
pub(super) fn holder(region: usize) -> u64 {
    region_holder(&format!("region {region}"))
}

/// Three zones as far apart as possible.
fn spread(places: Places) -> Vec<usize> {
    match places.regions {
        1 => (0..places.zones().min(3)).collect(),
        regions => (0..regions.min(3)).map(|region| region * places.zones_per_region).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites() {
        let places = Places { regions: 3, zones_per_region: 3, nodes_per_zone: 2 };
        let wide = Layout::wide(places);
        let voters: Vec<&[usize]> = wide.sites.iter().map(|site| site.voters.as_slice()).collect();
        assert_eq!(voters, [&[0, 2, 4][..], &[6, 8, 10], &[12, 14, 16], &[1, 7, 13]]);
        assert_eq!((wide.site(7, PART), wide.site(7, GLOBAL), wide.site(7, 0)), (Some(1), Some(3), None));
        assert!(wide.concerns(1, 11) && !wide.concerns(1, 12) && wide.concerns(3, 12));
        assert_eq!(Layout::flat(places).sites[1].voters, [1, 7, 13]);
        assert_eq!(Layout::flat(Places::region(1)).sites[2].voters, [0, 1, 2]);
    }
}
