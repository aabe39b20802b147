//! Where things stand in a lab: availability zones, the clients of each region, the observer. Names and addresses; pure.

use std::net::Ipv4Addr;

/// Third octet of the address of a region's clients.
const CLIENTS: u8 = 200;
/// Second octet of the observer's address.
const OBSERVER: u8 = 200;

/// A place with a network of its own. Regions and zones count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Site {
    /// An availability zone: one node, one upstream.
    Az {
        /// Region.
        region: u8,
        /// Zone within the region.
        az: u8,
    },
    /// The clients of a region.
    Clients {
        /// Region.
        region: u8,
    },
    /// The tool's own eyes: never part of a fault.
    Observer,
}

/// What a lab stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ground {
    /// A network namespace for each site, and an emulated network between them.
    Namespaces,
    /// Addresses in 127.0.0.0/8, when there is no right to make namespaces: nothing can happen to the network.
    Loopback,
}

/// How many regions and zones there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Regions, 1 to 9.
    pub(crate) regions: u8,
    /// Zones of each region, 1 to 9.
    pub(crate) azs: u8,
}

impl Site {
    /// Its address; every site is one hop from every other.
    pub(crate) fn address(self, ground: Ground) -> Ipv4Addr {
        let net = match ground {
            Ground::Namespaces => 10,
            Ground::Loopback => 127,
        };
        match self {
            Self::Az { region, az } => Ipv4Addr::new(net, region + 1, az + 1, 1),
            Self::Clients { region } => Ipv4Addr::new(net, region + 1, CLIENTS, 1),
            Self::Observer => Ipv4Addr::new(net, OBSERVER, 0, 1),
        }
    }

    /// The site of an address in namespaces; the last octet does not matter.
    pub(crate) fn of(address: Ipv4Addr) -> Option<Self> {
        match address.octets() {
            [10, OBSERVER, 0, _] => Some(Self::Observer),
            [10, region @ 1..=9, CLIENTS, _] => Some(Self::Clients { region: region - 1 }),
            [10, region @ 1..=9, az @ 1..=9, _] => Some(Self::Az { region: region - 1, az: az - 1 }),
            _ => None,
        }
    }

    /// Its region; the observer is in none.
    pub(crate) fn region(self) -> Option<u8> {
        match self {
            Self::Az { region, .. } | Self::Clients { region } => Some(region),
            Self::Observer => None,
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Az { region, az } => write!(f, "{}{}", region_name(*region), char::from(b'a' + az)),
            Self::Clients { region } => write!(f, "clients of {}", region_name(*region)),
            Self::Observer => write!(f, "observer"),
        }
    }
}

/// Name of a region in configuration files, scenarios and reports.
pub(crate) fn region_name(region: u8) -> String {
    format!("r{}", region + 1)
}

impl Extent {
    /// All zones, region by region.
    pub(crate) fn azs(self) -> impl Iterator<Item = Site> {
        (0..self.regions).flat_map(move |region| (0..self.azs).map(move |az| Site::Az { region, az }))
    }

    /// All sites: zones, clients, observer.
    pub(crate) fn sites(self) -> Vec<Site> {
        let clients = (0..self.regions).map(|region| Site::Clients { region });
        self.azs().chain(clients).chain([Site::Observer]).collect()
    }

    /// The zone of a name such as `r2b`.
    pub(crate) fn az(self, name: &str) -> Option<Site> {
        self.azs().find(|site| site.to_string() == name)
    }

    /// The region of a name such as `r2`.
    pub(crate) fn region(self, name: &str) -> Option<u8> {
        (0..self.regions).find(|region| region_name(*region) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_lead_back() {
        let extent = Extent { regions: 3, azs: 3 };
        let sites = extent.sites();
        assert_eq!(sites.len(), 13);
        for site in &sites {
            assert_eq!(site.address(Ground::Loopback).octets()[0], 127);
            assert_eq!(Site::of(site.address(Ground::Namespaces)), Some(*site), "{site}");
        }
        for site in extent.azs() {
            assert_eq!(extent.az(&site.to_string()), Some(site));
        }
        assert_eq!(extent.az("r2c"), Some(Site::Az { region: 1, az: 2 }));
        assert_eq!(
            (extent.az("r2d"), extent.az("r4a"), extent.region("r3"), extent.region("r4")),
            (None, None, Some(2), None)
        );
    }
}
