//! The numbers of the groups and who belongs to each. Knows names and rules; opens nothing.

use crate::{Error, GroupId, Machine};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The configuration; its members are the members of the cluster.
pub const CONFIG: GroupId = 1;
/// The ledger of limits that span regions; its members are the members of the cluster.
pub const GLOBAL_LEDGER: GroupId = 2;
/// Ledger groups of one region. Three, so that three availability zones lead one each.
pub const LEDGER_SHARDS: u8 = 3;
/// The ledger group of a region's part of the limits that span regions, after those.
pub const LEDGER_PART: u8 = LEDGER_SHARDS;

/// Ledger groups of regions lie from here up to twice this, far above the fixed numbers; every one of them is an integer
/// that a JSON reader keeps exactly.
const LEDGERS: GroupId = 1 << 52;

/// One ledger group of a region: `1 << 52`, then 44 bits of SHA-256 over the region's name, then the shard. The same on
/// every node and in every version, because it names the group's log on disk.
pub fn ledger(region: &str, shard: u8) -> GroupId {
    let digest: [u8; 32] = Sha256::new_with_prefix(b"ledger/").chain_update(region).finalize().into();
    let hash = digest.iter().take(8).fold(0, |hash, byte| hash << 8 | GroupId::from(*byte));
    LEDGERS | (hash >> 20 << 8) | GroupId::from(shard)
}

/// Which nodes are a group's members, and where its leader should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupScope {
    /// All nodes of the cluster. Voters are spread over its regions, the leader goes to [`crate::Tuning::leader_region`],
    /// timing follows the profile.
    Cluster,
    /// The nodes of this node's region, voters and learners alike. Timing is that of [`crate::Profile::Lan`].
    Region {
        /// The leader goes to this availability zone: an index into the zones that hold voters, sorted by name, modulo
        /// their number.
        spread: usize,
    },
}

/// One group that a node runs.
pub struct GroupSpec {
    /// Its number.
    pub id: GroupId,
    /// What its commands are applied to.
    pub machine: Box<dyn Machine>,
    /// Its members.
    pub scope: GroupScope,
}

impl GroupSpec {
    /// A group of all nodes.
    pub fn cluster(id: GroupId, machine: impl Machine) -> Self {
        Self { id, machine: Box::new(machine), scope: GroupScope::Cluster }
    }

    /// A group of this node's region.
    pub fn region(id: GroupId, machine: impl Machine, spread: usize) -> Self {
        Self { id, machine: Box::new(machine), scope: GroupScope::Region { spread } }
    }
}

/// No number twice, because two logs would share their keys; the configuration belongs to everybody.
pub(crate) fn check(groups: &[GroupSpec]) -> Result<(), Error> {
    let fail = |reason: String| Err(Error::Option { field: "groups", reason });
    let mut seen = BTreeSet::new();
    for GroupSpec { id, scope, .. } in groups {
        if !seen.insert(*id) {
            return fail(format!("group {id} is named twice"));
        }
        if *id == CONFIG && *scope != GroupScope::Cluster {
            return fail(format!("group {CONFIG}, the configuration, cannot belong to one region"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encode, MachineError};
    use bytes::Bytes;

    struct Nothing;

    impl Machine for Nothing {
        fn apply(&mut self, _index: u64, _command: &[u8]) -> Bytes {
            Bytes::new()
        }

        fn checkpoint(&self) -> Encode {
            Box::new(Vec::new)
        }

        fn restore(&mut self, _index: u64, _bytes: &[u8]) -> Result<(), MachineError> {
            Ok(())
        }
    }

    #[test]
    fn numbers_of_ledgers_are_frozen() {
        for (region, shard, id) in [
            ("eu-west-1", 0, 0x17_6a9f_717a_fe00),
            ("eu-west-1", 2, 0x17_6a9f_717a_fe02),
            ("", 0, 0x1f_d2b9_4aec_1e00),
            ("local", 1, 0x19_e0d6_982b_d401),
        ] {
            assert_eq!(ledger(region, shard), id, "{region} {shard}");
        }
    }

    #[test]
    fn numbers_of_ledgers_do_not_collide() {
        let regions = (0..2_000).map(|number| format!("region-{number}"));
        let ids: BTreeSet<_> =
            regions.flat_map(|r| [0, 1, 2, u8::MAX].map(|shard| ledger(&r, shard))).collect();
        assert_eq!(ids.len(), 8_000);
        assert!(ids.iter().all(|id| (LEDGERS..2 * LEDGERS).contains(id)));
    }

    #[test]
    fn bad_sets_of_groups_are_refused() {
        let of_all = |id| GroupSpec::cluster(id, Nothing);
        let of_region = |id| GroupSpec::region(id, Nothing, 0);
        for (groups, good) in [
            (vec![of_all(CONFIG), of_all(GLOBAL_LEDGER), of_region(ledger("r", 0))], true),
            (vec![of_all(CONFIG), of_region(CONFIG)], false),
            (vec![of_region(CONFIG)], false),
            (vec![of_region(7), of_region(7)], false),
        ] {
            assert_eq!(check(&groups).is_ok(), good);
        }
    }
}
