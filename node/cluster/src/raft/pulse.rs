//! When a group's clock runs. A leader that is the only node of its group has nobody to send heartbeats to and no election
//! to await, so its clock stands, and an idle single node sleeps instead of waking every 20 ms. Must never stop the clock of
//! a node that could have to vote, campaign, or be heard by anyone.

use super::{group::Group, types::Types};
use openraft::{ServerState, metrics::RaftServerMetrics};
use openraft_rt::watch::WatchReceiver as _;
use std::sync::Arc;

/// Runs for as long as the group does.
pub(crate) async fn run(group: Arc<Group>) {
    let mut states = group.raft.server_metrics();
    loop {
        let is_alone = is_alone(&states.borrow_and_update());
        group.raft.runtime_config().tick(!is_alone);
        // Membership and state are seen here as soon as the leader has appended them, before they are committed.
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Whether this node leads a group of which it is the only node; its lease needs no confirmation then.
fn is_alone(state: &RaftServerMetrics<Types>) -> bool {
    let membership = state.membership_config.membership();
    state.state == ServerState::Leader
        && membership.get_joint_config().len() == 1
        && membership.voter_ids().eq([state.id])
        && membership.nodes().count() == 1
}
