//! What a checkpoint restores is what was there when it was taken: nothing is lost on the way through a file or from a peer.

use tidegate_cluster_sim::{GroupId, NodeId};

use super::StateHash;

/// Restores that were compared.
#[derive(Debug, Default)]
pub(crate) struct Restore {
    count: u64,
}

impl Restore {
    /// A machine has taken over a state that includes everything up to `index`.
    pub(crate) fn see(
        &mut self,
        states: &StateHash,
        (group, node): (GroupId, NodeId),
        index: u64,
        hash: u128,
    ) -> Option<String> {
        let known = states.at(group, index)?;
        self.count += 1;
        let text = || {
            format!(
                "node {node} restored {hash:032x} at index {index} of group {group}, there was {known:032x}"
            )
        };
        (known != hash).then(text)
    }

    /// Restores that were compared.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_held_against_the_last_change() {
        let (mut states, mut restore) = (StateHash::default(), Restore::default());
        states.see(1, 1, 5, 7);
        assert_eq!((restore.see(&states, (1, 2), 6, 7), restore.see(&states, (1, 2), 4, 9)), (None, None));
        assert!(restore.see(&states, (1, 2), 6, 9).is_some());
        assert_eq!(restore.count(), 2);
    }
}
