//! Whom a fault strikes, as a scenario writes it, and who that is at the moment.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::lab::site::{Extent, Site, region_name};

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The zone of the node that leads the configuration group.
    Leader,
    /// Some zone whose node does not lead.
    Follower,
    /// The region of the leader.
    LeaderRegion,
    /// Some region without the leader.
    FollowerRegion,
    /// A zone by name.
    Az(Site),
    /// A region by number.
    Region(u8),
    /// All nodes.
    All,
}

impl Target {
    /// Shown where a target is wrong.
    pub(crate) const RULE: &str =
        "must be leader, follower, leader-region, follower-region, all, az:NAME or region:NAME";

    /// Reads what a scenario says.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(crate) fn parse(text: &str, extent: Extent) -> Result<Self, String> {
        let regions: Vec<String> = (0..extent.regions).map(region_name).collect();
        let last = Site::Az { region: extent.regions - 1, az: extent.azs - 1 };
        match (text, text.split_once(':')) {
            ("leader", _) => Ok(Self::Leader),
            ("follower", _) => Ok(Self::Follower),
            ("leader-region", _) => Ok(Self::LeaderRegion),
            ("follower-region", _) => Ok(Self::FollowerRegion),
            ("all", _) => Ok(Self::All),
            (_, Some(("az", name))) => extent
                .az(name)
                .map(Self::Az)
                .ok_or_else(|| format!("there is no such zone; there are r1a to {last}")),
            (_, Some(("region", name))) => extent
                .region(name)
                .map(Self::Region)
                .ok_or_else(|| format!("there is no such region; there are {}", regions.join(", "))),
            _ => Err(Self::RULE.to_owned()),
        }
    }

    /// The zones it means now; `leader` is where the leader is.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn zones(
        self,
        extent: Extent,
        leader: Option<Site>,
        random: &mut StdRng,
    ) -> Result<Vec<Site>, String> {
        let led = || leader.ok_or_else(|| "nobody leads at the moment".to_owned());
        let of_region = |region: u8| extent.azs().filter(|site| site.region() == Some(region)).collect();
        match self {
            Self::Leader => Ok(vec![led()?]),
            Self::Follower => {
                let others: Vec<Site> = extent.azs().filter(|site| Some(*site) != leader).collect();
                others.choose(random).map(|site| vec![*site]).ok_or_else(|| "there is one zone only".into())
            }
            Self::LeaderRegion => Ok(of_region(led()?.region().unwrap_or_default())),
            Self::FollowerRegion => {
                let own = leader.and_then(Site::region);
                let others: Vec<u8> = (0..extent.regions).filter(|region| Some(*region) != own).collect();
                match others.is_empty() {
                    true => Err("there is one region only".into()),
                    false => Ok(of_region(others[random.random_range(0..others.len())])),
                }
            }
            Self::Az(site) => Ok(vec![site]),
            Self::Region(region) => Ok(of_region(region)),
            Self::All => Ok(extent.azs().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const EXTENT: Extent = Extent { regions: 3, azs: 3 };

    #[test]
    fn targets_mean_zones() {
        let leader = Site::Az { region: 1, az: 2 };
        let zones = |text: &str| {
            let target = Target::parse(text, EXTENT).unwrap();
            target.zones(EXTENT, Some(leader), &mut StdRng::seed_from_u64(3)).unwrap()
        };
        assert_eq!(zones("leader"), [leader]);
        assert_eq!(zones("az:r3a"), [Site::Az { region: 2, az: 0 }]);
        assert_ne!(zones("follower"), [leader]);
        assert!(zones("leader-region").contains(&leader) && zones("leader-region").len() == 3);
        assert!(!zones("follower-region").contains(&leader) && zones("follower-region").len() == 3);
        assert_eq!((zones("region:r2").len(), zones("all").len()), (3, 9));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for (text, told) in [
            ("az:r4a", "there are r1a to r3c"),
            ("region:eu", "there are r1, r2, r3"),
            ("somebody", "must be leader, follower"),
        ] {
            let error = Target::parse(text, EXTENT).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let nobody = Target::Leader.zones(EXTENT, None, &mut StdRng::seed_from_u64(3));
        assert_eq!(nobody, Err("nobody leads at the moment".into()));
    }
}
