//! Between openraft's types and the shapes of version 1, field by field. No decisions.

use super::{WireError, v1::*};
use crate::{
    NodeId, NodeMeta,
    raft::types::{Command, Entry, LogId, Membership, SnapshotMeta, StoredMembership, Vote},
};
use openraft::{EntryPayload, impls::leader_id_adv::LeaderId};

pub(crate) fn log_id_out(id: &LogId) -> LogIdV1 {
    LogIdV1 { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
}

pub(crate) fn log_id_in(id: &LogIdV1) -> LogId {
    openraft::LogId::new(LeaderId { term: id.term, node_id: id.node }, id.index)
}

pub(crate) fn vote_out(vote: &Vote) -> VoteV1 {
    VoteV1 { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
}

pub(crate) fn vote_in(vote: &VoteV1) -> Vote {
    let mut result = Vote::new(vote.term, vote.node);
    result.committed = vote.committed;
    result
}

pub(crate) fn node_out(id: NodeId, meta: &NodeMeta) -> NodeV1 {
    NodeV1 { id, address: meta.address.clone(), region: meta.region.clone(), az: meta.az.clone() }
}

pub(crate) fn node_in(node: NodeV1) -> (NodeId, NodeMeta) {
    (node.id, NodeMeta { address: node.address, region: node.region, az: node.az })
}

pub(crate) fn membership_out(membership: &Membership) -> MembershipV1 {
    MembershipV1 {
        configs: membership.get_joint_config().iter().map(|c| c.iter().copied().collect()).collect(),
        nodes: membership.nodes().map(|(id, meta)| node_out(*id, meta)).collect(),
    }
}

pub(crate) fn membership_in(membership: MembershipV1) -> Result<Membership, WireError> {
    if membership.configs.is_empty() {
        return Ok(Membership::default());
    }
    let configs = membership.configs.into_iter().map(|c| c.into_iter().collect()).collect();
    let nodes = membership.nodes.into_iter().map(node_in).collect::<std::collections::BTreeMap<_, _>>();
    Membership::new(configs, nodes).map_err(|e| WireError::Body(e.to_string()))
}

pub(crate) fn entry_out(entry: &Entry) -> EntryV1 {
    let payload = match &entry.payload {
        EntryPayload::Blank => PayloadV1::Blank,
        EntryPayload::Normal(command) => PayloadV1::Command(command.0.to_vec()),
        EntryPayload::Membership(membership) => PayloadV1::Membership(membership_out(membership)),
    };
    EntryV1 { id: log_id_out(&entry.log_id), payload }
}

pub(crate) fn entry_in(entry: EntryV1) -> Result<Entry, WireError> {
    let payload = match entry.payload {
        PayloadV1::Blank => EntryPayload::Blank,
        PayloadV1::Command(command) => EntryPayload::Normal(Command(command.into())),
        PayloadV1::Membership(membership) => EntryPayload::Membership(membership_in(membership)?),
    };
    Ok(Entry { log_id: log_id_in(&entry.id), payload })
}

pub(crate) fn checkpoint_out(meta: &SnapshotMeta, data: &[u8]) -> CheckpointV1 {
    CheckpointV1 {
        last: meta.last_log_id.as_ref().map(log_id_out),
        membership_at: meta.last_membership.log_id().as_ref().map(log_id_out),
        membership: membership_out(meta.last_membership.membership()),
        bytes: data.len() as u64,
        crc: crc32c::crc32c(data),
    }
}

pub(crate) fn checkpoint_in(head: CheckpointV1) -> Result<SnapshotMeta, WireError> {
    Ok(SnapshotMeta {
        last_log_id: head.last.as_ref().map(log_id_in),
        last_membership: StoredMembership::new(
            head.membership_at.as_ref().map(log_id_in),
            membership_in(head.membership)?,
        ),
    })
}

/// Rough size of an entry in memory and on the wire.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    const SHELL: usize = 192;
    match &entry.payload {
        EntryPayload::Blank => SHELL,
        EntryPayload::Normal(command) => SHELL + command.0.len(),
        EntryPayload::Membership(membership) => SHELL + membership.nodes().count() * 128,
    }
}
