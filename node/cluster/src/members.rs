//! Membership commands as the leader carries them out: add, remove with a look at the quorum, transfer.

use crate::{
    Error, GroupScope, NodeId, NodeMeta,
    group::CONFIG,
    limits,
    node::Node,
    placement::{self, Candidate},
    raft::{
        group::{Group, Miss},
        types::Metrics,
    },
    roster::{self, Roster},
    runtime,
    wire::{convert, v1::ChangeKindV1},
};
use openraft::ChangeMembers;
use std::{collections::BTreeSet, time::Duration};

/// A learner must have answered within this time to be promoted.
const RECENT: Duration = Duration::from_secs(2);

/// Carries out one command; repeating it is harmless.
pub(crate) async fn carry_out(node: &Node, group: &Group, change: ChangeKindV1) -> Result<NodeId, Miss> {
    match change {
        ChangeKindV1::Add(added) => {
            let (id, meta) = convert::node_in(added);
            if !roster::belongs(group.scope, &node.meta.region, &meta) {
                let reason = format!("node {id} is in region {:?}, the group is not", meta.region);
                return Err(Miss::Failed(Error::Change(reason)));
            }
            group.add(id, meta).await.map(|()| id)
        }
        ChangeKindV1::Remove { node: gone, force } => remove(node, group, gone, force).await.map(|()| gone),
        ChangeKindV1::Transfer { to } => group.transfer(to, &preferred(node, group, &group.metrics())).await,
    }
}

/// Voters that should lead: those of the wished region or availability zone, without the ones that rest while others do not.
pub(crate) fn preferred(node: &Node, group: &Group, metrics: &Metrics) -> BTreeSet<NodeId> {
    let resting = node.resting();
    let wished = wished(node, group, metrics);
    if resting.is_empty() {
        return wished;
    }
    let awake: BTreeSet<NodeId> = wished.difference(&resting).copied().collect();
    if !awake.is_empty() {
        return awake;
    }
    let others: BTreeSet<NodeId> =
        metrics.membership_config.voter_ids().filter(|id| !resting.contains(id)).collect();
    // Where everybody rests nobody does.
    if others.is_empty() { wished } else { others }
}

/// Voters of the region, or of the availability zone, where the leader should be.
fn wished(node: &Node, group: &Group, metrics: &Metrics) -> BTreeSet<NodeId> {
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter_map(|id| Some((id, membership.get_node(&id)?)));
    match (group.scope, &node.options.tuning.leader_region) {
        (GroupScope::Region { spread }, _) => {
            let own = voters.filter(|(_, meta)| meta.region == node.meta.region);
            let zones: Vec<_> = own.map(|(id, meta)| (id, meta.az.as_str())).collect();
            placement::zone_of_turn(&zones, spread)
        }
        (GroupScope::Cluster, Some(region)) => {
            voters.filter(|(_, meta)| meta.region == *region).map(|(id, _)| id).collect()
        }
        (GroupScope::Cluster, None) => BTreeSet::new(),
    }
}

/// The nodes a group should have, by the membership of the configuration that this node knows; `None` where that does not
/// decide.
pub(crate) fn roster(node: &Node, group: &Group) -> Option<Roster> {
    let config = node.groups.get(&CONFIG).filter(|config| config.id != group.id)?;
    roster::of(group.scope, &node.meta.region, &config.membership())
}

/// The group's nodes as placement sees them. A voter counts as live until it has been silent for `grace`, also under a
/// leader that has not led for so long; others must have answered just now.
pub(crate) fn candidates(group: &Group, metrics: &Metrics, grace: Duration) -> Vec<Candidate> {
    let young = group.leading_for(metrics) < grace;
    let late = group.live(metrics, grace);
    let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().collect();
    let mut nodes = answering(group, metrics, RECENT);
    for node in nodes.iter_mut().filter(|node| voters.contains(&node.id)) {
        node.live = young || late.contains(&node.id);
    }
    nodes
}

/// The group's nodes; live are those that answered within `time`.
fn answering(group: &Group, metrics: &Metrics, time: Duration) -> Vec<Candidate> {
    let live = group.live(metrics, time);
    let goal = metrics.last_log_index.unwrap_or(0).saturating_sub(limits::CAUGHT_UP_ENTRIES);
    let reached = |id: &NodeId| {
        let progress = metrics.replication.as_ref().and_then(|r| r.get(id).copied()).flatten();
        progress.is_some_and(|at| at.index >= goal)
    };
    let candidate = |id: &NodeId, meta: &NodeMeta| Candidate {
        id: *id,
        region: meta.region.clone(),
        az: meta.az.clone(),
        live: live.contains(id),
        caught_up: *id == metrics.id || reached(id),
    };
    metrics.membership_config.membership().nodes().map(|(id, meta)| candidate(id, meta)).collect()
}

/// Removes a node. A leader that has just been elected has not heard everyone yet, so a lack of live voters is believed
/// only after a while.
async fn remove(node: &Node, group: &Group, gone: NodeId, force: bool) -> Result<(), Miss> {
    let patience = group.timing.election_max * 2;
    let until = runtime::now() + patience;
    loop {
        match try_remove(node, group, gone, force, patience).await {
            Err(Miss::Failed(Error::QuorumLoss { .. })) if runtime::now() < until => {
                runtime::sleep(patience / 20).await;
            }
            result => return result,
        }
    }
}

async fn try_remove(
    node: &Node,
    group: &Group,
    gone: NodeId,
    force: bool,
    patience: Duration,
) -> Result<(), Miss> {
    let lock = group.changing.lock().await;
    let metrics = group.metrics();
    if metrics.current_leader != Some(node.id) {
        return Err(Miss::NotLeader(metrics.current_leader));
    }
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
    if membership.get_node(&gone).is_none() {
        return Ok(());
    }
    if !voters.contains(&gone) {
        return group.change_locked(ChangeMembers::RemoveNodes([gone].into()), true).await;
    }
    let mut rest = answering(group, &metrics, patience);
    rest.retain(|candidate| candidate.id != gone);
    let mut after: BTreeSet<NodeId> = voters.iter().copied().filter(|id| *id != gone).collect();
    let heir = match placement::voters(&rest, &after).add.first() {
        Some(heir) => Some(*heir),
        // Placement adds to voters; the only one needs an heir before it goes.
        None if after.is_empty() => rest.iter().find(|c| c.live && c.caught_up).map(|c| c.id),
        None => None,
    };
    after.extend(heir);
    let live = rest.iter().filter(|c| after.contains(&c.id) && c.live).count();
    if after.is_empty() || (live < after.len() / 2 + 1 && !force) {
        return Err(Miss::Failed(Error::QuorumLoss { node: gone, live, voters: after.len() }));
    }
    if gone == node.id {
        if let (1, Some(heir)) = (voters.len(), heir) {
            group.change_locked(ChangeMembers::AddVoterIds([heir].into()), true).await?;
        }
        drop(lock);
        group.transfer(None, &preferred(node, group, &metrics)).await?;
        return Err(Miss::NotLeader(group.metrics().current_leader));
    }
    group.change_locked(ChangeMembers::ReplaceAllVoters(after), false).await
}
