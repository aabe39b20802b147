//! A term has one leader, a confirmed leader has no successor in office, and the log has the commands of terms in their order.

use std::collections::BTreeMap;

use tidegate_cluster_sim::{GroupId, NodeId};

/// Who was in office.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    /// By group and term: the node first seen in it, and since when in nanoseconds.
    offices: BTreeMap<(GroupId, u64), (NodeId, u64)>,
    /// By group and position: the term in which the command there was proposed.
    proposed: BTreeMap<(GroupId, u64), u64>,
    confirmed: u64,
}

impl Leaders {
    /// A node is in office.
    pub(crate) fn enters(&mut self, group: GroupId, term: u64, node: NodeId, now_ns: u64) -> Option<String> {
        let (first, _) = *self.offices.entry((group, term)).or_insert((node, now_ns));
        (first != node).then(|| format!("term {term} of group {group} was held by nodes {first} and {node}"))
    }

    /// A majority has confirmed a leader, when asked at `began_ns`.
    pub(crate) fn confirmed(&mut self, group: GroupId, term: u64, began_ns: u64) -> Option<String> {
        self.confirmed += 1;
        let mut later = self.offices.range((group, term + 1)..=(group, u64::MAX));
        let (found, (node, _)) = later.find(|(_, (_, since_ns))| *since_ns < began_ns)?;
        Some(format!(
            "term {term} of group {group} was confirmed after node {node} had begun term {}",
            found.1
        ))
    }

    /// What a leader proposed in its term is at `index`.
    pub(crate) fn proposed(&mut self, group: GroupId, term: u64, index: u64) -> Option<String> {
        self.proposed.insert((group, index), term);
        let before = self.proposed.range((group, 0)..(group, index)).next_back();
        let after = self.proposed.range((group, index + 1)..=(group, u64::MAX)).next();
        let is_sorted =
            before.is_none_or(|(_, other)| *other <= term) && after.is_none_or(|(_, other)| *other >= term);
        (!is_sorted).then(|| {
            format!("index {index} of group {group} is of term {term}, between {before:?} and {after:?}")
        })
    }

    /// Terms that had a leader.
    pub(crate) fn count(&self) -> u64 {
        self.offices.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        let mut leaders = Leaders::default();
        assert_eq!(
            (leaders.enters(1, 5, 1, 10), leaders.enters(1, 5, 1, 20), leaders.enters(2, 5, 2, 20)),
            (None, None, None)
        );
        assert!(leaders.enters(1, 5, 2, 20).is_some(), "two nodes in one term");
        assert_eq!((leaders.enters(1, 6, 2, 30), leaders.confirmed(1, 5, 30)), (None, None));
        assert!(leaders.confirmed(1, 5, 31).is_some(), "confirmed after its successor began");
        assert_eq!((leaders.proposed(1, 5, 8), leaders.proposed(1, 6, 9)), (None, None));
        assert!(leaders.proposed(1, 5, 10).is_some(), "an earlier term after a later one");
    }
}
