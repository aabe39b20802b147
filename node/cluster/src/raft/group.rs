//! One group on this node: its Raft instance, what is known about it, and the commands only a leader can carry out.

use super::{
    log::Log,
    machine::{Applier, OnMembership},
    network::{self, Network},
    types::{Command, LogId, Membership, Metrics, Raft, StoredMembership, Types},
    voice::Voice,
};
use crate::runtime::watch;
use crate::{
    Error, Freshness, GroupId, GroupScope, GroupSpec, NodeId, NodeMeta, Options,
    addresses::Addresses,
    condition::{DiskTrouble, Troubles},
    limits,
    options::Timing,
    runtime::{self, Instant},
    store::{LogBackend, Queue, checkpoint::CheckpointStore},
    tenure::Tenure,
    transport::Transport,
    wire::convert::log_id_in,
};
use bytes::Bytes;
use openraft::{
    ChangeMembers,
    errors::{
        ChangeMembershipError, ClientWriteError, Fatal, InitializeError, LinearizableReadError, RaftError,
    },
    raft::linearizable_read::LinearizerOption,
};
use openraft_rt::watch::WatchReceiver as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// One group on this node.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) scope: GroupScope,
    pub(crate) timing: Timing,
    pub(crate) raft: Raft,
    pub(crate) applied: watch::Receiver<u64>,
    pub(crate) memberships: watch::Receiver<u64>,
    pub(crate) tenure: Tenure,
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(super) node: NodeId,
    troubles: Troubles,
    pub(crate) voice: Voice,
    known_since: Arc<OnceLock<Instant>>,
    leader_contact: Mutex<Option<Instant>>,
    leading: Mutex<(u64, Instant)>,
}

/// What a group needs from its node.
pub(crate) struct Ground<'a> {
    pub(crate) options: &'a Options,
    pub(crate) queue: Queue,
    pub(crate) backend: Arc<dyn LogBackend>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) addresses: Addresses,
    pub(crate) troubles: Troubles,
}

/// An attempt that did not succeed here.
#[derive(Debug)]
pub(crate) enum Miss {
    /// Nothing happened; ask this node, or look again later.
    NotLeader(Option<NodeId>),
    /// Nothing happened; try again.
    Retry(String),
    /// Final.
    Failed(Error),
}

impl Group {
    /// Loads log and checkpoint, restores the machine to the last known commit, starts Raft.
    pub(crate) async fn open(spec: GroupSpec, ground: Ground<'_>) -> Result<Self, Error> {
        let GroupSpec { id, machine, scope } = spec;
        let timing = ground.options.group_timing(scope);
        let storage = |text: String| Error::Storage(format!("group {id}: {text}"));
        let checkpoint = checkpoint_end(id, ground.checkpoints.clone()).await?;
        let log = Log::open(id, ground.queue, ground.backend, checkpoint).await?;
        let voice = Voice::new(log.clone());
        let (changed, memberships) = watch::channel(0);
        let node = ground.options.node;
        let addresses = ground.addresses.clone();
        let known_since = Arc::new(OnceLock::new());
        let known = known_since.clone();
        let on_membership: OnMembership = Arc::new(move |membership: &StoredMembership| {
            addresses.learn_from(id, membership.nodes().map(|(id, meta)| (*id, meta.clone())));
            known.get_or_init(runtime::now);
            changed.send_modify(|count| *count += 1);
        });
        let (applier, applied) = Applier::new(id, machine, ground.checkpoints, on_membership);
        let config = Arc::new(
            config(ground.options, timing, voice.is_had()).validate().map_err(|e| storage(e.to_string()))?,
        );
        let network = Network {
            from: node,
            group: id,
            log: log.clone(),
            transport: ground.transport,
            addresses: ground.addresses,
        };
        let raft =
            Raft::new(node, config, network, log, applier).await.map_err(|e| storage(e.to_string()))?;
        Ok(Self {
            id,
            scope,
            timing,
            raft,
            applied,
            memberships,
            tenure: Tenure::default(),
            changing: tokio::sync::Mutex::new(()),
            node,
            troubles: ground.troubles,
            voice,
            known_since,
            leader_contact: Mutex::new(None),
            leading: Mutex::new((0, runtime::now())),
        })
    }

    /// A copy of openraft's view; never hold the original, it blocks the core.
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    /// The membership in effect.
    pub(crate) fn membership(&self) -> Membership {
        self.raft.metrics().borrow_watched().membership_config.membership().clone()
    }

    /// True when this node knows members of the group; nobody may have started it otherwise.
    pub(crate) fn is_formed(&self) -> bool {
        self.raft.server_metrics().borrow_watched().membership_config.membership().nodes().next().is_some()
    }

    /// The leader as this node knows it.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.raft.server_metrics().borrow_watched().current_leader
    }

    /// How long this node has known a committed membership of the group, since it started.
    pub(crate) fn known_for(&self) -> Duration {
        self.known_since.get().map_or(Duration::ZERO, |since| runtime::now() - *since)
    }

    /// The membership in effect; where none is known yet, as on a node that has just joined, waits for the first one,
    /// at most for `time`.
    pub(crate) async fn first_membership(&self, time: Duration) -> Membership {
        if self.membership().nodes().next().is_none() {
            let mut memberships = self.memberships.clone();
            let _arrived = runtime::timeout(time, memberships.wait_for(|count| *count > 0)).await;
        }
        self.membership()
    }

    /// True when `node` may take part: it is a member, or nothing is known yet.
    pub(crate) fn admits(&self, node: NodeId) -> bool {
        let membership = self.membership();
        membership.get_node(&node).is_some() || membership.nodes().next().is_none()
    }

    /// Notes that the leader was heard.
    pub(crate) fn heard_leader(&self) {
        *self.leader_contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime::now());
    }

    /// Milliseconds since the leader was heard.
    pub(crate) fn leader_contact_ms(&self) -> Option<u64> {
        self.leader_contact.lock().unwrap_or_else(PoisonError::into_inner).map(runtime::elapsed_ms)
    }

    /// Milliseconds since each peer last answered this leader.
    pub(crate) fn contacts_ms(&self, metrics: &Metrics) -> BTreeMap<NodeId, u64> {
        let acks = metrics.heartbeat.iter().flatten();
        acks.filter_map(|(id, at)| Some((*id, runtime::elapsed_ms(**at.as_ref()?)))).collect()
    }

    /// Nodes that answered this leader within `time`, itself included.
    pub(crate) fn live(&self, metrics: &Metrics, time: Duration) -> BTreeSet<NodeId> {
        let limit = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let answered = self.contacts_ms(metrics).into_iter().filter(|(_, ms)| *ms <= limit).map(|(id, _)| id);
        answered.chain([self.node]).collect()
    }

    /// How long this node has been seen to lead in its present term.
    pub(crate) fn leading_for(&self, metrics: &Metrics) -> Duration {
        let mut leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        if leading.0 != metrics.current_term {
            *leading = (metrics.current_term, runtime::now());
        }
        runtime::now() - leading.1
    }

    /// Waits until the group's state changes, at most for `time`.
    pub(crate) async fn changed(&self, time: Duration) {
        let mut metrics = self.raft.server_metrics();
        // A fresh receiver has seen nothing; without this it would report an old change at once.
        drop(metrics.borrow_and_update());
        if let Some(Err(_)) = runtime::timeout(time, metrics.changed()).await {
            runtime::sleep(time).await;
        }
    }

    /// Why Raft no longer runs here, if so.
    pub(crate) fn ended(&self) -> Option<Error> {
        self.raft.metrics().borrow_watched().running_state.as_ref().err().map(stopped)
    }

    /// Starts a new group with this node as its only voter.
    pub(crate) async fn bootstrap(&self, meta: NodeMeta) -> Result<(), Error> {
        match self.raft.initialize(BTreeMap::from([(self.node, meta)])).await {
            Ok(()) => {
                // What this node knows is published a moment after it is so; nobody may start the group again meanwhile.
                let mut states = self.raft.server_metrics();
                let known = states.wait_until(|s| s.membership_config.membership().nodes().next().is_some());
                let _ended = runtime::timeout(limits::ADMIN_TIMEOUT, known).await;
                Ok(())
            }
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(Error::Initialised(self.id)),
            Err(RaftError::APIError(error)) => Err(Error::Change(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(stopped(&fatal)),
        }
    }

    /// Lets the node campaign, or not: not with a disk in trouble, nor without a voice.
    pub(crate) fn judge_election(&self) {
        self.raft.runtime_config().elect(self.troubles.borrow().is_none() && self.voice.is_had());
    }

    /// Whether the disk has no room for anything new.
    pub(crate) fn is_full(&self) -> bool {
        *self.troubles.borrow() == Some(DiskTrouble::Full)
    }

    /// Proposes as leader.
    pub(crate) async fn propose(&self, command: Bytes, time: Duration) -> Result<crate::Applied, Miss> {
        if self.is_full() {
            // Another leader is on its way where there can be one.
            let alone = self.membership().voter_ids().count() == 1;
            let error = Error::NoRoom { node: self.node };
            return Err(if alone { Miss::Failed(error) } else { Miss::Retry(error.to_string()) });
        }
        let uncertain = |reason: String| Miss::Failed(Error::Uncertain { reason });
        match runtime::timeout(time, self.raft.client_write(Command(command))).await {
            None => Err(uncertain("no answer before the deadline".to_owned())),
            Some(Ok(written)) => Ok(crate::Applied { index: written.log_id.index, outcome: written.data.0 }),
            Some(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
                Err(Miss::NotLeader(to.leader_id))
            }
            Some(Err(RaftError::APIError(error))) => Err(uncertain(error.to_string())),
            Some(Err(RaftError::Fatal(fatal))) => Err(uncertain(fatal.to_string())),
        }
    }

    /// The position a read must see, confirmed by a majority: now, or a moment ago.
    pub(crate) async fn read_point(&self, freshness: Freshness, time: Duration) -> Result<u64, Miss> {
        let age = match freshness {
            Freshness::Confirmed => Duration::ZERO,
            // Shorter than any election, by the rule that options are checked by.
            Freshness::Recent => self.timing.heartbeat * 2,
        };
        let how = LinearizerOption::new(Some(age), true);
        match runtime::timeout(time, self.raft.get_read_linearizer(how)).await {
            None => Err(Miss::Failed(Error::Deadline)),
            Some(Ok(linearizer)) => Ok(linearizer.read_log_id().index()),
            Some(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to)))) => {
                Err(Miss::NotLeader(to.leader_id))
            }
            Some(Err(RaftError::APIError(error))) => Err(Miss::Retry(error.to_string())),
            Some(Err(RaftError::Fatal(fatal))) => Err(Miss::Failed(stopped(&fatal))),
        }
    }

    /// Waits until everything up to `index` is applied here.
    pub(crate) async fn wait_applied(&self, index: u64, time: Duration) -> Result<(), Error> {
        let mut applied = self.applied.clone();
        match runtime::timeout(time, applied.wait_for(|at| *at >= index)).await {
            None => Err(Error::Deadline),
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) => Err(Error::Stopped),
        }
    }

    /// Adds or updates a node, as leader.
    pub(crate) async fn add(&self, node: NodeId, meta: NodeMeta) -> Result<(), Miss> {
        let membership = self.membership();
        let nodes = BTreeMap::from([(node, meta.clone())]);
        match membership.get_node(&node) {
            Some(known) if *known == meta => Ok(()),
            Some(_) => self.change(ChangeMembers::SetNodes(nodes)).await,
            None if membership.nodes().count() >= limits::NODES_MAX => {
                Err(Miss::Failed(Error::Change(format!("the group has {} nodes already", limits::NODES_MAX))))
            }
            None => self.change(ChangeMembers::AddNodes(nodes)).await,
        }
    }

    /// Changes the membership as leader, waiting for a change that is under way.
    pub(crate) async fn change(&self, change: ChangeMembers<NodeId, NodeMeta>) -> Result<(), Miss> {
        let _one_at_a_time = self.changing.lock().await;
        self.change_locked(change, true).await
    }

    /// As [`Self::change`], with the lock held; `retain` keeps removed voters as learners.
    pub(crate) async fn change_locked(
        &self,
        change: ChangeMembers<NodeId, NodeMeta>,
        retain: bool,
    ) -> Result<(), Miss> {
        let changed =
            runtime::timeout(limits::ADMIN_TIMEOUT, self.raft.change_membership(change, retain)).await;
        match changed {
            None => Err(Miss::Retry("the membership change was not committed in time".to_owned())),
            Some(Ok(_)) => Ok(()),
            Some(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
                Err(Miss::NotLeader(to.leader_id))
            }
            Some(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(error),
            )))) => Err(Miss::Retry(error.to_string())),
            Some(Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(to)))) => {
                Err(Miss::NotLeader(to.leader_id))
            }
            Some(Err(RaftError::APIError(error))) => Err(Miss::Failed(Error::Change(error.to_string()))),
            Some(Err(RaftError::Fatal(fatal))) => Err(Miss::Failed(stopped(&fatal))),
        }
    }

    /// Hands leadership to `to`, or to the best voter, and waits until it has happened.
    pub(crate) async fn transfer(
        &self,
        to: Option<NodeId>,
        prefer: &BTreeSet<NodeId>,
    ) -> Result<NodeId, Miss> {
        for _ in 0..3 {
            let metrics = self.metrics();
            if metrics.current_leader != Some(self.node) {
                return Err(Miss::NotLeader(metrics.current_leader));
            }
            let Some(target) = to.or_else(|| self.successor(&metrics, prefer)) else {
                return Err(Miss::Failed(Error::Change("no other voter is live".to_owned())));
            };
            if target == self.node {
                return Ok(target);
            }
            if !metrics.membership_config.voter_ids().any(|voter| voter == target) {
                return Err(Miss::Failed(Error::Change(format!("node {target} is not a voter"))));
            }
            self.raft
                .trigger()
                .transfer_leader(target)
                .await
                .map_err(|fatal| Miss::Failed(stopped(&fatal)))?;
            if let Some(leader) = self.wait_other_leader().await {
                return Ok(leader);
            }
        }
        Err(Miss::Failed(Error::Change("leadership did not move".to_owned())))
    }

    /// Waits until no change of voters is under way, as this node knows it.
    pub(crate) async fn settled(&self) {
        let mut metrics = self.raft.server_metrics();
        // An error means that the group has ended, and with it the change.
        let _ended =
            metrics.wait_until(|m| m.membership_config.membership().get_joint_config().len() <= 1).await;
    }

    async fn wait_other_leader(&self) -> Option<NodeId> {
        let mut metrics = self.raft.server_metrics();
        let me = self.node;
        let moved = metrics.wait_until(|m| m.current_leader.is_some_and(|leader| leader != me));
        runtime::timeout(self.timing.election_max * 3, moved).await?.ok()?.current_leader
    }

    /// The live voter with the longest log; preferred ones first.
    fn successor(&self, metrics: &Metrics, prefer: &BTreeSet<NodeId>) -> Option<NodeId> {
        let live = self.live(metrics, self.timing.election_max * 2);
        let matched = |id: &NodeId| {
            let progress = metrics.replication.as_ref().and_then(|r| r.get(id).copied()).flatten();
            progress.map(|at| at.index)
        };
        let others = metrics.membership_config.voter_ids().filter(|id| *id != self.node && live.contains(id));
        others.max_by_key(|id| (prefer.contains(id), matched(id), std::cmp::Reverse(*id)))
    }
}

/// Where the newest good checkpoint ends.
async fn checkpoint_end(
    group: GroupId,
    checkpoints: Arc<dyn CheckpointStore>,
) -> Result<Option<LogId>, Error> {
    match runtime::blocking(move || checkpoints.load(group)).await {
        Some(Ok(found)) => Ok(found.and_then(|(head, _)| head.last).as_ref().map(log_id_in)),
        Some(Err(error)) => Err(Error::Storage(format!("group {group}: {error}"))),
        None => Err(Error::Storage(format!("group {group}: reading a checkpoint panicked"))),
    }
}

fn config(options: &Options, timing: Timing, has_voice: bool) -> openraft::Config {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let checkpoint_entries = options.tuning.checkpoint_entries.unwrap_or(20_000);
    openraft::Config {
        cluster_name: options.cluster_name.clone(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        enable_pre_vote: Some(true),
        enable_elect: has_voice,
        // A follower that found its log damaged is filled again; `voice` sees to it that it decides nothing meanwhile.
        allow_log_reversion: Some(true),
        quorum_loss_probe_interval: Some(ms(timing.quorum_probe)),
        max_payload_entries: 1024,
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(checkpoint_entries),
        max_in_snapshot_log_to_keep: options.tuning.log_entries_kept.unwrap_or(5_000),
        // No more than a checkpoint frees, so that each of them shortens the log.
        purge_batch_size: checkpoint_entries.min(1024),
        replication_lag_threshold: 50_000,
        install_snapshot_timeout: ms(network::install_timeout()),
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms ...500ms".to_owned(),
        ..openraft::Config::default()
    }
}

/// Raft no longer runs.
pub(crate) fn stopped(fatal: &Fatal<Types>) -> Error {
    match fatal {
        Fatal::Stopped => Error::Stopped,
        Fatal::StorageError(_) | Fatal::Panicked => Error::Storage(fatal.to_string()),
    }
}
