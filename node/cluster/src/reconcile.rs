//! Keeps a group's voters where placement wants them. Runs on every node, acts only on the leader, and on the leader of
//! the configuration group where a removed node leads; one change at a time, fast while a cluster forms, slowly
//! afterwards. Decides nothing itself: `placement` does.

use crate::runtime::watch;
use crate::{
    Error, GroupScope, NodeId, forward, group as groups, limits, members,
    node::Node,
    placement,
    raft::{
        group::{Group, Miss},
        types::Metrics,
    },
    roster::{self, Change},
    runtime::{self, Instant},
    wire::v1::ChangeKindV1,
};
use futures_util::future::select;
use openraft::ChangeMembers;
use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

/// A voter that has been silent for this long may be replaced by a node of its own zone.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// Time between looks while something is about to happen.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The leader moves to its preferred place when it could have for this long.
const LEADER_READY: Duration = Duration::from_secs(10);
/// Leadership moves by itself at most once in this time.
const LEADER_MOVE_PAUSE: Duration = Duration::from_secs(60);

/// A leader that rests tries to hand over this often.
const RESTING_MOVE_PAUSE: Duration = Duration::from_secs(1);

/// What one look led to.
enum Look {
    Changed,
    Waiting,
    Settled,
}

/// Runs for as long as the node does.
pub(crate) async fn run(node: Arc<Node>, group: Arc<Group>) {
    let mut burst = limits::RECONCILE_BURST;
    let mut waits = 0;
    let mut leader = LeaderWish::default();
    let mut memberships = group.memberships.clone();
    let mut config_changes = node.groups.get(&groups::CONFIG).map(|config| config.memberships.clone());
    loop {
        let metrics = group.metrics();
        let look = if node.options.tuning.manual_placement {
            Look::Settled
        } else if metrics.current_leader == Some(node.id) {
            leader.look(&node, &group, &metrics).await;
            step(&node, &group, &metrics).await
        } else {
            unseat(&node, &group, &metrics).await
        };
        // A learner that is down for good must not keep the leader busy.
        waits = if matches!(look, Look::Waiting) { (waits + 1).min(20) } else { 0 };
        match look {
            Look::Changed => {
                burst = burst.saturating_sub(1);
                if burst == 0 {
                    runtime::sleep(limits::RECONCILE_PAUSE).await;
                    burst = 1;
                }
            }
            Look::Waiting => runtime::sleep(LOOK_AGAIN * waits).await,
            Look::Settled => {
                let woken = woken(&mut memberships, config_changes.as_mut()).await;
                // A short pause keeps a node that is shutting down, whose channels are closed, from spinning.
                runtime::sleep(if woken { LOOK_AGAIN / 5 } else { Duration::ZERO }).await;
                burst = if woken { burst } else { (burst + 1).min(limits::RECONCILE_BURST) };
            }
        }
    }
}

/// Waits for a membership change here or in the configuration group, at most for the interval.
async fn woken(mine: &mut watch::Receiver<u64>, config: Option<&mut watch::Receiver<u64>>) -> bool {
    let mine = pin!(mine.changed());
    let theirs = pin!(async {
        match config {
            Some(changes) => changes.changed().await,
            None => std::future::pending().await,
        }
    });
    runtime::timeout(limits::RECONCILE_INTERVAL, select(mine, theirs)).await.is_some()
}

async fn step(node: &Node, group: &Group, metrics: &Metrics) -> Look {
    let membership = metrics.membership_config.membership();
    if let [_, goal] = membership.get_joint_config().as_slice() {
        let Ok(_lock) = group.changing.try_lock() else { return Look::Waiting };
        tracing::info!(group = group.id, voters = ?goal, "finishing a membership change that was left behind");
        return report(group, group.change_locked(ChangeMembers::ReplaceAllVoters(goal.clone()), true).await);
    }
    if let Some(look) = follow_config(node, group, metrics).await {
        return look;
    }
    let nodes = members::candidates(group, metrics, DEAD_AFTER);
    let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
    let plan = placement::voters(&nodes, &voters);
    if plan.is_empty() {
        let ready = |n: &placement::Candidate| voters.contains(&n.id) || (n.caught_up && n.live);
        let catching_up = !nodes.iter().all(ready);
        return if catching_up { Look::Waiting } else { Look::Settled };
    }
    if plan.remove.contains(&node.id) {
        // A leader does not demote itself: leadership moves first, the next leader takes the step.
        let moved = group.transfer(None, &members::preferred(node, group, metrics)).await.map(|_| ());
        return report(group, moved);
    }
    tracing::info!(group = group.id, add = ?plan.add, remove = ?plan.remove, "changing voters");
    let add = ChangeMembers::AddVoterIds(plan.add.into_iter().collect());
    let remove = ChangeMembers::RemoveVoters(plan.remove.into_iter().collect());
    report(group, group.change(ChangeMembers::Batch(vec![add, remove])).await)
}

/// Gives a group the nodes of the configuration group, or those of them in its region, at the address they have now.
async fn follow_config(node: &Node, group: &Group, metrics: &Metrics) -> Option<Look> {
    let roster = members::roster(node, group)?;
    let change = roster::next_change(&roster, metrics.membership_config.membership(), node.id)?;
    let removal = |gone| ChangeKindV1::Remove { node: gone, force: false };
    Some(match change {
        Change::Members(change) => report(group, group.change(change).await),
        Change::Unseat(gone) => match members::carry_out(node, group, removal(gone)).await {
            // Its seat counts until enough of the others are back.
            Err(Miss::Failed(Error::QuorumLoss { .. })) => Look::Waiting,
            result => report(group, result.map(|_| ())),
        },
    })
}

/// Takes the seat from a group's leader that has left the cluster or the region. That node does not know: the last
/// configuration it was sent still names it, so its own reconciler sees nothing to do. For a group of all nodes only the
/// leader of the configuration group speaks up; it may not be in a region's group, so there every other voter does, or
/// every learner where there is none.
async fn unseat(node: &Node, group: &Group, metrics: &Metrics) -> Look {
    let Some(gone) = leaver(node, group, metrics.current_leader) else { return Look::Settled };
    let Some(config) = node.groups.get(&groups::CONFIG) else { return Look::Settled };
    match group.scope {
        GroupScope::Cluster if config.leader() != Some(node.id) => return Look::Settled,
        GroupScope::Cluster => {}
        GroupScope::Region { .. } => {
            let mut others = metrics.membership_config.voter_ids().filter(|id| *id != gone).peekable();
            if others.peek().is_some() && !others.any(|id| id == node.id) {
                return Look::Settled;
            }
            // A configuration that is merely old does not know a leader that has just joined.
            let current = forward::barrier(node, config, config.timing.election_max).await;
            if current.is_err() || leaver(node, group, group.leader()) != Some(gone) {
                return Look::Settled;
            }
        }
    }
    tracing::info!(group = group.id, leader = gone, "the group is led by a node that was removed");
    let removal = ChangeKindV1::Remove { node: gone, force: false };
    report(group, forward::change(node, group, removal).await.map(|_| ()).map_err(Miss::Failed))
}

/// The leader, when it should not even be a member.
fn leaver(node: &Node, group: &Group, leader: Option<NodeId>) -> Option<NodeId> {
    let leader = leader?;
    members::roster(node, group).filter(|roster| !roster.contains_key(&leader)).map(|_| leader)
}

fn report(group: &Group, result: Result<(), Miss>) -> Look {
    match result {
        Ok(()) => Look::Changed,
        Err(Miss::NotLeader(_)) => Look::Settled,
        Err(Miss::Retry(reason)) => {
            tracing::debug!(group = group.id, reason, "the membership change is not possible yet");
            Look::Waiting
        }
        Err(Miss::Failed(error)) => {
            tracing::warn!(group = group.id, %error, "the membership change failed");
            Look::Settled
        }
    }
}

/// Moves leadership to the preferred region or availability zone, patiently.
#[derive(Default)]
struct LeaderWish {
    ready_since: Option<Instant>,
    moved_at: Option<Instant>,
}

impl LeaderWish {
    async fn look(&mut self, node: &Node, group: &Group, metrics: &Metrics) {
        let preferred = members::preferred(node, group, metrics);
        let nodes = members::candidates(group, metrics, Duration::from_secs(2));
        let ready = nodes.iter().any(|n| preferred.contains(&n.id) && n.live && n.caught_up);
        if preferred.contains(&node.id) || !ready {
            self.ready_since = None;
            return;
        }
        let since = *self.ready_since.get_or_insert_with(runtime::now);
        // A node that rests is asked to hand over; a better place for the leader can wait.
        let (ready, pause) = match node.resting().contains(&node.id) {
            true => (Duration::ZERO, RESTING_MOVE_PAUSE),
            false => (LEADER_READY, LEADER_MOVE_PAUSE),
        };
        let rested = self.moved_at.is_none_or(|at| runtime::now() - at >= pause);
        if runtime::now() - since < ready || !rested {
            return;
        }
        self.moved_at = Some(runtime::now());
        if let Err(miss) = group.transfer(None, &preferred).await {
            tracing::debug!(group = group.id, ?miss, "leadership did not move to its preferred place");
        }
    }
}
