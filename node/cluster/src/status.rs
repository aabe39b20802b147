//! What a node knows about its groups and peers, for operators and health checks. Read-only.

use crate::{
    GroupId, NodeId, NodeMeta,
    node::Node,
    placement::{self, Tolerance},
    raft::group::Group,
};
use openraft::ServerState;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// What this node is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes proposals.
    Leader,
    /// Votes and follows.
    Follower,
    /// Follows without a vote.
    Learner,
    /// Asks for votes.
    Candidate,
}

/// One group as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This node.
    pub node: NodeId,
    /// What this node is.
    pub role: Role,
    /// The leader, when one is known.
    pub leader: Option<NodeId>,
    /// The current term.
    pub term: u64,
    /// Index of the last entry in this node's log.
    pub last_log: Option<u64>,
    /// Index up to which this node has deleted its log, because a checkpoint holds what it led to.
    pub purged: Option<u64>,
    /// Index up to which a majority has agreed, as known here.
    pub committed: Option<u64>,
    /// Index up to which this node's machine has applied.
    pub applied: Option<u64>,
    /// Voters.
    pub voters: Vec<(NodeId, NodeMeta)>,
    /// Nodes that follow without a vote.
    pub learners: Vec<(NodeId, NodeMeta)>,
    /// Milliseconds since contact: on a leader since each peer's last answer, on others since the leader was heard.
    pub last_contact_ms: BTreeMap<NodeId, u64>,
    /// On a leader, the last index known to be on each node.
    pub matched: BTreeMap<NodeId, u64>,
    /// Whether this node's log has lost entries and is not whole again; it decides no election then.
    pub is_damaged: bool,
    /// What can be lost now; only a leader knows, so it is the default (nothing) elsewhere.
    pub tolerance: Tolerance,
    /// Whether this node is a member at all.
    pub member: bool,
}

/// One peer of this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Its availability zone.
    pub az: String,
    /// Where it listens.
    pub address: String,
    /// A connection to it is open.
    pub connected: bool,
    /// Measured round trip of that connection.
    pub rtt_ms: Option<f64>,
    /// Milliseconds since it was heard.
    pub last_contact_ms: Option<u64>,
}

/// The state of a group.
pub(crate) fn group(node: &Node, group: &Group) -> GroupStatus {
    let metrics = group.metrics();
    let membership = metrics.membership_config.membership();
    let places = |ids: &mut dyn Iterator<Item = NodeId>| -> Vec<(NodeId, NodeMeta)> {
        ids.filter_map(|id| Some((id, membership.get_node(&id)?.clone()))).collect()
    };
    let leads = metrics.state == ServerState::Leader;
    let last_contact_ms = if leads {
        group.contacts_ms(&metrics).into_iter().filter(|(id, _)| *id != node.id).collect()
    } else {
        metrics.current_leader.zip(group.leader_contact_ms()).into_iter().collect()
    };
    let progress = metrics.replication.iter().flatten();
    let live = group.live(&metrics, group.timing.election_max.max(Duration::from_secs(1)));
    let voters = places(&mut membership.voter_ids());
    let seats: Vec<placement::Candidate> = voters
        .iter()
        .map(|(id, meta)| placement::Candidate {
            id: *id,
            region: meta.region.clone(),
            az: meta.az.clone(),
            live: live.contains(id),
            caught_up: true,
        })
        .collect();
    // What was acknowledged here is applied; the figures of Raft may be a moment older.
    let machine = Some(*group.applied.borrow()).filter(|index| *index > 0);
    let applied = metrics.last_applied.as_ref().map(|id| id.index).max(machine);
    GroupStatus {
        group: group.id,
        node: node.id,
        role: match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Learner | ServerState::Shutdown => Role::Learner,
        },
        leader: metrics.current_leader,
        term: metrics.current_term,
        last_log: metrics.last_log_index.max(applied),
        purged: metrics.purged.as_ref().map(|id| id.index),
        committed: metrics.cluster_committed.as_ref().or(metrics.local_committed.as_ref()).map(|id| id.index),
        applied,
        learners: places(&mut membership.learner_ids()),
        last_contact_ms,
        matched: progress.filter_map(|(id, at)| Some((*id, at.as_ref()?.index))).collect(),
        is_damaged: !group.voice.is_had(),
        tolerance: if leads { placement::tolerance(&seats) } else { Tolerance::default() },
        member: membership.get_node(&node.id).is_some(),
        voters,
    }
}

/// The state of all known peers.
pub(crate) fn peers(node: &Node) -> Vec<PeerStatus> {
    let links: BTreeMap<NodeId, _> =
        node.transport.links().into_iter().map(|link| (link.node, link)).collect();
    let others = node.addresses.all().into_iter().filter(|(id, _)| *id != node.id);
    others
        .map(|(id, meta)| PeerStatus {
            node: id,
            region: meta.region,
            az: meta.az,
            address: meta.address,
            connected: links.get(&id).is_some_and(|link| link.connected),
            rtt_ms: links.get(&id).and_then(|link| link.rtt).map(|rtt| rtt.as_secs_f64() * 1e3),
            last_contact_ms: node.heard_ms(id),
        })
        .collect()
}
