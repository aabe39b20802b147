//! Membership commands as the leader carries them out: add, remove with a look at the quorum, transfer.

use crate::{
    Error, NodeId,
    node::Node,
    placement::{self, Candidate},
    raft::{
        group::{Group, Miss},
        types::Metrics,
    },
    wire::{convert, v1::ChangeKindV1},
};
use openraft::ChangeMembers;
use std::{collections::BTreeSet, time::Duration};

/// Carries out one command; repeating it is harmless.
pub(crate) async fn carry_out(node: &Node, group: &Group, change: ChangeKindV1) -> Result<NodeId, Miss> {
    match change {
        ChangeKindV1::Add(added) => {
            let (id, meta) = convert::node_in(added);
            group.add(id, meta).await.map(|()| id)
        }
        ChangeKindV1::Remove { node: gone, force } => remove(node, group, gone, force).await.map(|()| gone),
        ChangeKindV1::Transfer { to } => group.transfer(to, &preferred(node, &group.metrics())).await,
    }
}

/// Voters of the region where the leader should be.
pub(crate) fn preferred(node: &Node, metrics: &Metrics) -> BTreeSet<NodeId> {
    let Some(region) = &node.options.tuning.leader_region else { return BTreeSet::new() };
    let membership = metrics.membership_config.membership();
    membership.voter_ids().filter(|id| membership.get_node(id).is_some_and(|n| n.region == *region)).collect()
}

/// The group's nodes as placement sees them. Voters count as live for `grace`, others must have answered just now.
pub(crate) fn candidates(group: &Group, metrics: &Metrics, grace: Duration, lag: u64) -> Vec<Candidate> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
    let soon = group.live(metrics, grace.min(Duration::from_secs(2)));
    let late = group.live(metrics, grace);
    let goal = metrics.last_log_index.unwrap_or(0).saturating_sub(lag);
    let reached = |id: &NodeId| {
        let progress = metrics.replication.as_ref().and_then(|r| r.get(id).copied()).flatten();
        progress.is_some_and(|at| at.index >= goal)
    };
    let candidate = |id: &NodeId, meta: &crate::NodeMeta| Candidate {
        id: *id,
        region: meta.region.clone(),
        az: meta.az.clone(),
        live: if voters.contains(id) { late.contains(id) } else { soon.contains(id) },
        caught_up: *id == metrics.id || reached(id),
    };
    membership.nodes().map(|(id, meta)| candidate(id, meta)).collect()
}

async fn remove(node: &Node, group: &Group, gone: NodeId, force: bool) -> Result<(), Miss> {
    let lock = group.changing.lock().await;
    let metrics = group.metrics();
    let membership = metrics.membership_config.membership();
    if membership.get_node(&gone).is_none() {
        return if metrics.current_leader == Some(node.id) {
            Ok(())
        } else {
            Err(Miss::NotLeader(metrics.current_leader))
        };
    }
    let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
    if !voters.contains(&gone) {
        return group.change_locked(ChangeMembers::RemoveNodes([gone].into()), true).await;
    }
    let timing = node.options.timing();
    let grace = timing.election_max * 2;
    let rest: Vec<Candidate> = candidates(group, &metrics, grace, crate::limits::CAUGHT_UP_ENTRIES)
        .into_iter()
        .filter(|c| c.id != gone)
        .collect();
    let mut after: BTreeSet<NodeId> = voters.iter().copied().filter(|id| *id != gone).collect();
    let heirs = placement::voters(&rest, &after).add;
    after.extend(heirs.iter().take(1));
    let live = rest.iter().filter(|c| after.contains(&c.id) && c.live).count();
    if after.is_empty() || (live < after.len() / 2 + 1 && !force) {
        return Err(Miss::Failed(Error::QuorumLoss { node: gone, live, voters: after.len() }));
    }
    if gone == node.id {
        drop(lock);
        group.transfer(None, &preferred(node, &metrics)).await?;
        return Err(Miss::NotLeader(group.metrics().current_leader));
    }
    let seats = ChangeMembers::ReplaceAllVoters(after);
    group.change_locked(seats, false).await
}
