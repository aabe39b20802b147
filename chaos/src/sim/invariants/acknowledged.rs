//! Acknowledged writes are never lost: nobody applies another command in the place of one, nor goes on without it.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_cluster_sim::{GroupId, NodeId};
use xxhash_rust::xxh3::xxh3_64;

/// A position in a log.
type At = (GroupId, u64);

/// Commands that were applied and acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The command at a position, as the first node applied it.
    applied: BTreeMap<At, u64>,
    promised: BTreeMap<At, u64>,
    /// Positions at which some node has something else, or nothing.
    lost: BTreeMap<At, String>,
    /// The last position of each machine that runs.
    last: BTreeMap<(GroupId, NodeId), u64>,
}

impl Acknowledged {
    /// A machine begins empty.
    pub(crate) fn begins(&mut self, group: GroupId, node: NodeId) {
        self.last.insert((group, node), 0);
    }

    /// A machine has taken over a state that includes everything up to `index`.
    pub(crate) fn restored(&mut self, group: GroupId, node: NodeId, index: u64) {
        self.last.insert((group, node), index);
    }

    /// A machine has applied a command.
    pub(crate) fn applied(
        &mut self,
        group: GroupId,
        node: NodeId,
        index: u64,
        command: &[u8],
    ) -> Option<String> {
        let (hash, last) = (xxh3_64(command), self.last.insert((group, node), index).unwrap_or(0));
        let skipped = self.applied.range((group, last + 1)..(group, index.max(last + 1)));
        let mut lost: BTreeSet<At> = skipped.map(|(at, _)| *at).collect();
        if *self.applied.entry((group, index)).or_insert(hash) != hash {
            lost.insert((group, index));
        }
        let mut complaint = None;
        for at in lost {
            let text = format!("node {node} has not what was applied at index {} of group {}", at.1, at.0);
            if self.promised.contains_key(&at) {
                complaint = complaint.or_else(|| Some(format!("{text} and acknowledged")));
            }
            self.lost.entry(at).or_insert(text);
        }
        complaint
    }

    /// A client was told that its command is at `index`.
    pub(crate) fn promised(&mut self, group: GroupId, index: u64, command: &[u8]) -> Option<String> {
        let (at, hash) = ((group, index), xxh3_64(command));
        if self.promised.insert(at, hash).is_some_and(|other| other != hash) {
            return Some(format!("two commands were acknowledged at index {index} of group {group}"));
        }
        if self.applied.get(&at) != Some(&hash) {
            return Some(format!("what was acknowledged at index {index} of group {group} is not there"));
        }
        self.lost.get(&at).map(|text| format!("{text} and acknowledged"))
    }

    /// The last position that anybody was promised.
    pub(crate) fn horizon(&self, group: GroupId) -> u64 {
        self.promised.range((group, 0)..=(group, u64::MAX)).next_back().map_or(0, |((_, index), _)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_seen_whenever_they_come_to_light() {
        let mut record = Acknowledged::default();
        for (node, index, command) in [(1, 2, b"a"), (1, 3, b"b"), (2, 2, b"a")] {
            assert_eq!(record.applied(1, node, index, command), None);
        }
        assert_eq!(record.promised(1, 2, b"a"), None);
        assert!(record.promised(1, 3, b"c").is_some(), "another command");
        record.begins(1, 1);
        assert_eq!(record.applied(1, 1, 2, b"a"), None);
        assert!(record.applied(1, 2, 3, b"x").is_some(), "replaced after it was promised");
        record.begins(1, 3);
        assert!(record.applied(1, 3, 4, b"d").is_some(), "skipped after it was promised");
        assert_eq!(record.applied(1, 1, 3, b"b"), None);
        assert_eq!(record.applied(1, 1, 5, b"e"), None, "nobody was promised index 4 yet");
        assert!(record.promised(1, 4, b"d").is_some(), "promised after it was lost");
        record.restored(1, 4, 5);
        assert_eq!(record.applied(1, 4, 6, b"f"), None);
    }
}
