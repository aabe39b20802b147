//! Watches that replicas with the same applied index have the same state: every status seen in a run goes through here.

use std::collections::BTreeMap;

use tidegate_proto::status::ClusterStatus;

use crate::limits::HASHES;

/// State hashes by applied index.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    hashes: BTreeMap<u64, (String, u64)>,
    /// Comparisons of one node's hash with another's.
    pub(crate) compared: u64,
    /// One line per disagreement.
    pub(crate) conflicts: Vec<String>,
}

impl Agreement {
    /// Compares every live node of a status with what any node said at the same index before.
    pub(crate) fn see(&mut self, status: &ClusterStatus) {
        for node in status.nodes.iter().filter(|node| node.live && !node.state_hash.is_empty()) {
            let index = node.applied_index;
            match self.hashes.get(&index) {
                None => {
                    self.hashes.insert(index, (node.state_hash.clone(), node.node));
                    if self.hashes.len() > HASHES {
                        self.hashes.pop_first();
                    }
                }
                Some((_, other)) if *other == node.node => {}
                Some((hash, _)) if *hash == node.state_hash => self.compared += 1,
                Some((hash, other)) => self.conflicts.push(format!(
                    "index {index}: node {other} has {hash}, node {} has {}",
                    node.node, node.state_hash
                )),
            }
        }
    }
}

/// Whether all of `count` nodes are live and have applied the same, so that nothing is under way any more.
pub(crate) fn at_rest(status: &ClusterStatus, count: usize) -> bool {
    let live: Vec<_> = status.nodes.iter().filter(|node| node.live).collect();
    live.len() == count && live.windows(2).all(|pair| pair[0].applied_index == pair[1].applied_index)
}

#[cfg(test)]
mod tests {
    use tidegate_proto::status::NodeStatus;

    use super::*;

    fn status(nodes: &[(u64, u64, &str)]) -> ClusterStatus {
        let node = |(node, applied_index, hash): &(u64, u64, &str)| NodeStatus {
            node: *node,
            applied_index: *applied_index,
            state_hash: (*hash).into(),
            live: true,
            ..Default::default()
        };
        ClusterStatus { nodes: nodes.iter().map(node).collect(), ..Default::default() }
    }

    #[test]
    fn equal_indexes_need_equal_hashes() {
        for (seen, compared, conflicts) in [
            (vec![status(&[(1, 5, "a"), (2, 5, "a"), (3, 4, "z")])], 1, 0),
            (vec![status(&[(1, 5, "a"), (2, 5, "b")])], 0, 1),
            (vec![status(&[(1, 5, "a")]), status(&[(2, 5, "b")])], 0, 1),
            (vec![status(&[(1, 5, "a")]), status(&[(1, 6, "b"), (2, 6, "b")])], 1, 0),
        ] {
            let mut agreement = Agreement::default();
            seen.iter().for_each(|status| agreement.see(status));
            assert_eq!((agreement.compared, agreement.conflicts.len()), (compared, conflicts), "{seen:?}");
        }
    }

    #[test]
    fn rest_means_all_nodes_at_one_index() {
        assert!(at_rest(&status(&[(1, 5, "a"), (2, 5, "a")]), 2));
        assert!(!at_rest(&status(&[(1, 5, "a"), (2, 6, "a")]), 2));
        assert!(!at_rest(&status(&[(1, 5, "a"), (2, 5, "a")]), 3));
    }
}
