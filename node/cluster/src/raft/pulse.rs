//! When a group's clock runs. A leader that is the only node of its group has nobody to send heartbeats to and no election
//! to await, so its clock stands, and an idle single node sleeps instead of waking every 20 ms; a group that nobody has
//! started has no clock either. Must never stop the clock of a node that could have to vote, campaign, or be heard by anyone.

use super::{group::Group, types::Membership};
use crate::NodeId;
use openraft::ServerState;
use openraft_rt::watch::WatchReceiver as _;
use std::sync::Arc;

/// Runs for as long as the group does.
pub(crate) async fn run(group: Arc<Group>) {
    let mut states = group.raft.server_metrics();
    loop {
        let is_needed = {
            let state = states.borrow_and_update();
            let membership = state.membership_config.membership();
            membership.nodes().next().is_some() && !is_alone(state.state, state.id, membership)
        };
        group.raft.runtime_config().tick(is_needed);
        // Membership and state are seen here as soon as the leader has appended them, before they are committed.
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Whether this node leads a group of which it is the only node; its lease needs no confirmation then.
fn is_alone(state: ServerState, id: NodeId, membership: &Membership) -> bool {
    state == ServerState::Leader
        && membership.get_joint_config().len() == 1
        && membership.voter_ids().eq([id])
        && membership.nodes().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeMeta;
    use std::collections::BTreeMap;

    #[test]
    fn only_a_leader_without_anybody_else_is_alone() {
        for (state, voters, nodes, expect) in [
            (ServerState::Leader, &[&[1][..]][..], &[1][..], true),
            (ServerState::Follower, &[&[1]], &[1], false),
            (ServerState::Candidate, &[&[1]], &[1], false),
            (ServerState::Leader, &[&[2]], &[2], false),
            (ServerState::Leader, &[&[1, 2]], &[1, 2], false),
            // A learner waits for entries, and a joint configuration for both of its halves.
            (ServerState::Leader, &[&[1]], &[1, 2], false),
            (ServerState::Leader, &[&[1], &[1, 2]], &[1, 2], false),
            (ServerState::Leader, &[&[1, 2], &[1]], &[1, 2], false),
        ] {
            let configs = voters.iter().map(|ids| ids.iter().copied().collect()).collect();
            let metas: BTreeMap<_, _> = nodes.iter().map(|id| (*id, NodeMeta::default())).collect();
            let membership = Membership::new(configs, metas).unwrap();
            assert_eq!(is_alone(state, 1, &membership), expect, "{state:?} {voters:?} {nodes:?}");
        }
    }
}
