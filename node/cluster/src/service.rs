//! Puts the parts of a node together, runs them, and ends them in the right order: leadership first, then the network,
//! then the log. Any storage error ends the service with an error; the process must exit.

use crate::{
    Error, GroupSpec, Handle, Inbox, NodeMeta, Options,
    addresses::Addresses,
    condition::Condition,
    group, limits, members,
    node::Node,
    raft::{
        group::{Ground, Group},
        pulse,
        serve::Desk,
        voice,
    },
    reconcile,
    runtime::{self, Task},
    store::{
        LogBackend,
        checkpoint::CheckpointStore,
        writer::{Health, Watch, Writer},
    },
    tenure,
    transport::Transport,
};
use futures_util::future::{Either, join_all, select, select_all};
use openraft_rt::watch::WatchReceiver as _;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::oneshot;

/// A node's cluster service.
pub struct Service {
    node: Arc<Node>,
    health: Watch,
    written: Option<oneshot::Receiver<()>>,
    condition: Option<Condition>,
    closed: bool,
}

/// The outside world of a node: network, disk, address.
pub(crate) struct Parts {
    pub(crate) options: Options,
    pub(crate) advertise: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) backend: Arc<dyn LogBackend>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) addresses: Addresses,
}

impl Service {
    /// Opens the log, restores every machine to the last commit known here, binds the socket. The machines' state is
    /// readable as soon as this returns, with or without a leader. Frames for a group that is not in `groups` are refused.
    ///
    /// # Errors
    /// [`Error::Option`], also for a bad set of groups, [`Error::Identity`], [`Error::Socket`], or [`Error::Storage`] when the disk cannot be read.
    #[cfg(not(feature = "sim"))]
    pub async fn new(
        options: Options,
        identity: crate::identity::Identity,
        groups: Vec<GroupSpec>,
        inbox: Arc<dyn Inbox>,
        enroller: Option<Arc<dyn crate::Enroller>>,
    ) -> Result<Self, Error> {
        options.validate()?;
        let storage = crate::Storage::open(&options).await?;
        Self::on(storage, options, identity, groups, inbox, enroller).await
    }

    /// As [`Self::new`], on what has been opened before.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(not(feature = "sim"))]
    pub async fn on(
        storage: crate::Storage,
        options: Options,
        identity: crate::identity::Identity,
        groups: Vec<GroupSpec>,
        inbox: Arc<dyn Inbox>,
        enroller: Option<Arc<dyn crate::Enroller>>,
    ) -> Result<Self, Error> {
        use crate::transport::quic::QuicTransport;
        options.validate()?;
        if options.node != identity.node || options.cluster_name != identity.cluster {
            let reason = format!("the identity is node {} of cluster {}", identity.node, identity.cluster);
            return Err(Error::Option { field: "node", reason });
        }
        let transport = QuicTransport::bind(&options, &identity, enroller)?;
        let port = transport.local_address().port();
        let advertise = advertised(&options, port);
        let parts = Parts {
            options,
            advertise,
            transport: Arc::new(transport),
            backend: storage.backend,
            checkpoints: storage.checkpoints,
            addresses: storage.addresses,
        };
        Self::assemble(parts, groups, inbox).await
    }

    /// Puts a node together from its parts.
    pub(crate) async fn assemble(
        parts: Parts,
        specs: Vec<GroupSpec>,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Self, Error> {
        group::check(&specs)?;
        let (writer, queue, health) = Writer::new(parts.backend.clone());
        let written = writer.start().map_err(|e| Error::Storage(e.to_string()))?;
        let condition = Condition::new(health.clone(), &parts.options);
        let mut groups = BTreeMap::new();
        for spec in specs {
            let id = spec.id;
            let ground = Ground {
                options: &parts.options,
                queue: queue.clone(),
                backend: parts.backend.clone(),
                checkpoints: parts.checkpoints.clone(),
                transport: parts.transport.clone(),
                addresses: parts.addresses.clone(),
                troubles: condition.troubles(),
            };
            groups.insert(id, Arc::new(Group::open(spec, ground).await?));
        }
        let meta = NodeMeta {
            address: parts.advertise,
            region: parts.options.region.clone(),
            az: parts.options.az.clone(),
        };
        let node = Arc::new(Node {
            id: parts.options.node,
            meta,
            options: parts.options,
            groups,
            transport: parts.transport,
            backend: Arc::downgrade(&parts.backend),
            addresses: parts.addresses,
            inbox,
            heard: Mutex::default(),
            resting: Mutex::default(),
            troubles: condition.troubles(),
        });
        Ok(Self { node, health, written: Some(written), condition: Some(condition), closed: false })
    }

    /// A handle; usable before and while the service runs.
    pub fn handle(&self) -> Handle {
        Handle(self.node.clone())
    }

    /// Serves until `shutdown` completes, then hands leadership on and closes.
    ///
    /// # Errors
    /// [`Error::Storage`] when the log or a checkpoint could not be written: the process must exit.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let mut tasks = self.start();
        if let Some(condition) = self.condition.take() {
            tasks.push(runtime::spawn_scoped(condition.run(self.node.clone())));
        }
        let failed = pin!(self.failed());
        let result = match select(pin!(shutdown), failed).await {
            Either::Left(_) => Ok(()),
            Either::Right((error, _)) => Err(error),
        };
        if result.is_ok() {
            self.hand_over().await;
        }
        drop(tasks);
        self.close().await;
        result
    }

    fn start(&self) -> Vec<Task> {
        let desk = Arc::new(Desk(self.node.clone()));
        let mut tasks = vec![runtime::spawn_scoped(self.node.transport.serve(desk))];
        for group in self.node.groups.values() {
            tasks.push(runtime::spawn_scoped(reconcile::run(self.node.clone(), group.clone())));
            tasks.push(runtime::spawn_scoped(pulse::run(group.clone())));
            tasks.push(runtime::spawn_scoped(tenure::run(group.clone())));
            tasks.push(runtime::spawn_scoped(voice::run(self.node.clone(), group.clone())));
        }
        tasks.push(runtime::spawn_scoped(keep_addresses(self.node.clone())));
        tasks.push(runtime::spawn_scoped(reach_all(self.node.clone())));
        tasks
    }

    /// Completes with the first reason why this node cannot go on.
    fn failed(&self) -> impl Future<Output = Error> + Send + use<> {
        let health = self.health.clone();
        let groups: Vec<_> = self.node.groups.values().cloned().collect();
        async move {
            let log = log_failed(health);
            let cores = groups.iter().map(|group| Box::pin(core_failed(group))).collect::<Vec<_>>();
            if cores.is_empty() {
                return log.await;
            }
            match select(pin!(log), select_all(cores)).await {
                Either::Left((error, _)) | Either::Right(((error, _, _), _)) => error,
            }
        }
    }

    /// Moves leadership away where the other voters can go on without this node.
    async fn hand_over(&self) {
        let moves = self.node.groups.values().map(|group| async move {
            // Until a change of voters is complete, the old ones have to agree as well: without this node they might not.
            if runtime::timeout(limits::CLOSE_TIMEOUT, group.settled()).await.is_none() {
                tracing::warn!(group = group.id, "stopped in the middle of a change of voters");
            }
            let metrics = group.metrics();
            let voters: Vec<_> = metrics.membership_config.voter_ids().collect();
            let live = group.live(&metrics, group.timing.election_max * 2);
            let others = voters.iter().filter(|id| **id != self.node.id && live.contains(id)).count();
            if metrics.current_leader != Some(self.node.id) || others < voters.len() / 2 + 1 {
                return;
            }
            let prefer = members::preferred(&self.node, group, &metrics);
            match runtime::timeout(limits::CLOSE_TIMEOUT, group.transfer(None, &prefer)).await {
                Some(Ok(leader)) => tracing::info!(group = group.id, leader, "leadership handed over"),
                Some(Err(miss)) => {
                    tracing::warn!(group = group.id, ?miss, "leadership could not be handed over")
                }
                None => tracing::warn!(group = group.id, "handing over leadership took too long"),
            }
        });
        join_all(moves).await;
    }

    async fn close(&mut self) {
        self.closed = true;
        shut(&self.node).await;
        let node = self.node.clone();
        if let Some(Err(error)) = runtime::blocking(move || node.addresses.save()).await {
            tracing::warn!(%error, "the address book was not saved");
        }
        if let Some(written) = self.written.take() {
            let _ended = runtime::timeout(limits::CLOSE_TIMEOUT, written).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.closed {
            let node = self.node.clone();
            runtime::spawn_if_possible(async move { shut(&node).await });
        }
    }
}

/// The address other nodes use: as configured (port 0 takes the bound port), else the one that was bound.
#[cfg(not(feature = "sim"))]
fn advertised(options: &Options, port: u16) -> String {
    match options.advertise.rsplit_once(':') {
        Some((host, "0")) => format!("{host}:{port}"),
        Some(_) => options.advertise.clone(),
        None => std::net::SocketAddr::new(options.listen.ip(), port).to_string(),
    }
}

/// Stops network and consensus; the log writer ends by itself when they are gone.
async fn shut(node: &Node) {
    for group in node.groups.values() {
        group.tenure.end();
    }
    node.transport.close().await;
    for group in node.groups.values() {
        group.voice.end();
        if let Err(error) = group.raft.shutdown().await {
            tracing::warn!(group = group.id, %error, "the group did not stop cleanly");
        }
    }
}

/// Looks once a second, which costs nothing and also notices a commit that never ends.
async fn log_failed(health: Watch) -> Error {
    loop {
        runtime::sleep(Duration::from_secs(1)).await;
        let state = health.borrow().clone();
        match state {
            Health::Failed(text) => return Error::Storage(text),
            Health::Busy(since) if runtime::now() - since > limits::COMMIT_STALL => {
                return Error::Storage(format!("a commit has not ended within {:?}", limits::COMMIT_STALL));
            }
            Health::Busy(_) | Health::Idle => {}
        }
    }
}

/// The channel of server states, which a core closes when it ends: the one with the reason in it changes with every heartbeat.
async fn core_failed(group: &Group) -> Error {
    let mut states = group.raft.server_metrics();
    while group.ended().is_none() && states.changed().await.is_ok() {}
    group.ended().unwrap_or(Error::Stopped)
}

/// Connects to all peers that are known: those that wait for this node need not find out by trying.
async fn reach_all(node: Arc<Node>) {
    let peers = node.addresses.all().into_keys().filter(|id| *id != node.id);
    let targets: Vec<_> = peers.filter_map(|id| node.addresses.target(id)).collect();
    join_all(targets.into_iter().map(|target| node.transport.reach(target))).await;
}

/// Saves the address book when it changes and forgets nodes that left every group.
async fn keep_addresses(node: Arc<Node>) {
    loop {
        runtime::sleep(Duration::from_secs(1)).await;
        let memberships: Vec<_> = node.groups.values().map(|group| group.membership()).collect();
        if memberships.iter().any(|m| m.get_node(&node.id).is_some()) {
            node.addresses.retain(|id| memberships.iter().any(|m| m.get_node(&id).is_some()));
        }
        if !node.addresses.has_changed() {
            continue;
        }
        let saving = node.clone();
        if let Some(Err(error)) = runtime::blocking(move || saving.addresses.save()).await {
            tracing::warn!(%error, "the address book was not saved");
        }
    }
}
