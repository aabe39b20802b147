//! Equal indexes have equal states, whoever applied them and when.

use std::collections::BTreeMap;

use tidegate_cluster_sim::{GroupId, NodeId};

/// The state at each position, as the first node had it.
#[derive(Debug, Default)]
pub(crate) struct StateHash {
    states: BTreeMap<(GroupId, u64), (u128, NodeId)>,
    compared: u64,
}

impl StateHash {
    /// A machine has applied everything up to `index`.
    pub(crate) fn see(&mut self, group: GroupId, node: NodeId, index: u64, hash: u128) -> Option<String> {
        let (first, other) = *self.states.entry((group, index)).or_insert((hash, node));
        self.compared += u64::from(other != node);
        let text = || {
            format!(
                "group {group}, index {index}: node {other} has {first:032x}, node {node} has {hash:032x}"
            )
        };
        (first != hash).then(text)
    }

    /// The state after the last entry up to `index` that changed anything.
    pub(crate) fn at(&self, group: GroupId, index: u64) -> Option<u128> {
        self.states.range((group, 0)..=(group, index)).next_back().map(|(_, (hash, _))| *hash)
    }

    /// Comparisons of one node's state with another's.
    pub(crate) fn compared(&self) -> u64 {
        self.compared
    }

    /// A hash over everything seen.
    pub(crate) fn digest(&self) -> u64 {
        self.states.iter().fold(0, |sum: u64, ((group, index), (hash, _))| {
            sum.rotate_left(5) ^ (*hash as u64) ^ index ^ group.rotate_left(40)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_indexes_need_equal_hashes() {
        let mut states = StateHash::default();
        assert_eq!(
            (states.see(1, 1, 5, 7), states.see(1, 2, 5, 7), states.see(2, 2, 5, 8)),
            (None, None, None)
        );
        assert!(states.see(1, 3, 5, 8).is_some());
        assert_eq!((states.compared(), states.at(1, 9), states.at(1, 4)), (2, Some(7), None));
    }
}
