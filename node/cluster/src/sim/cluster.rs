//! The nodes of one simulated cluster with their disks, and the network between them. A node is started, loses its power, and is started
//! again on what its disk has kept.

use crate::{
    Error, GroupId, GroupScope, GroupSpec, Handle, Inbox, Machine, NodeId, NodeMeta, Options, Profile,
    Service, Tuning,
    addresses::Addresses,
    runtime::{self, Task, clock::Clock},
    service::Parts,
    store::{
        checkpoint::memory::{Cut, Directory},
        memory::Disk,
    },
    transport::memory::Switch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Longest sync of a healthy disk.
const SYNC_MAX: Duration = Duration::from_millis(4);

/// Makes the machine of a group for a node that is about to start.
pub type Machines = Arc<dyn Fn(NodeId, GroupId) -> Box<dyn Machine> + Send + Sync>;
/// Makes the inbox of a node that is about to start.
pub type Inboxes = Arc<dyn Fn(NodeId) -> Arc<dyn Inbox> + Send + Sync>;

/// Where a node stands and what it runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its region.
    pub region: String,
    /// Its availability zone.
    pub az: String,
    /// Its groups.
    pub groups: Vec<(GroupId, GroupScope)>,
}

/// What a cluster is made of.
#[derive(Clone)]
pub struct Plan {
    /// Decides delays, losses and what survives a power cut.
    pub seed: u64,
    /// All nodes there will ever be.
    pub places: BTreeMap<NodeId, Place>,
    /// Timing of the consensus.
    pub profile: Profile,
    /// Settings of every node.
    pub tuning: Tuning,
    /// Their machines.
    pub machines: Machines,
    /// Their inboxes.
    pub inboxes: Inboxes,
}

/// A cluster; cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Site>);

struct Site {
    plan: Plan,
    switch: Switch,
    disks: BTreeMap<NodeId, (Disk, Directory)>,
    clocks: BTreeMap<NodeId, Clock>,
    running: Mutex<BTreeMap<NodeId, (Handle, Task)>>,
    /// Nodes that ended by themselves since somebody asked.
    ended: Arc<Mutex<Vec<(NodeId, Error)>>>,
    /// Nodes whose power was cut while they wrote a checkpoint since somebody asked.
    torn: Arc<Mutex<BTreeSet<NodeId>>>,
}

impl Cluster {
    /// A cluster of which no node runs yet, on a perfect network.
    pub fn new(plan: Plan) -> Self {
        let disk = |id: &NodeId| {
            let disk = Disk::new(plan.seed ^ (id << 32), SYNC_MAX);
            (*id, (disk, Directory::new(!plan.seed ^ (id << 32))))
        };
        Self(Arc::new(Site {
            switch: Switch::new(plan.seed),
            disks: plan.places.keys().map(disk).collect(),
            clocks: plan.places.keys().map(|id| (*id, Clock::new())).collect(),
            running: Mutex::default(),
            ended: Arc::default(),
            torn: Arc::default(),
            plan,
        }))
    }

    /// The network.
    pub fn switch(&self) -> &Switch {
        &self.0.switch
    }

    /// The disk of a node, which outlives the node.
    pub fn disk(&self, id: NodeId) -> Option<&Disk> {
        self.0.disks.get(&id).map(|(disk, _)| disk)
    }

    /// The monotonic clock of a node, on which everything in it runs; it outlives the node. A right one for nodes that do not exist.
    pub fn clock(&self, id: NodeId) -> Clock {
        self.0.clocks.get(&id).cloned().unwrap_or_default()
    }

    /// All nodes, running or not.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.plan.places.keys().copied()
    }

    /// A node, while it runs.
    pub fn handle(&self, id: NodeId) -> Option<Handle> {
        lock(&self.0.running).get(&id).map(|(handle, _)| handle.clone())
    }

    /// Starts a node on what its disk has kept; its machines are restored when this returns.
    ///
    /// # Errors
    /// What the node says about its log.
    pub async fn start(&self, id: NodeId) -> Result<(), Error> {
        self.clock(id).run(self.start_here(id)).await
    }

    async fn start_here(&self, id: NodeId) -> Result<(), Error> {
        let Site { plan, switch, disks, .. } = &*self.0;
        let (Some(place), Some((disk, checkpoints))) = (plan.places.get(&id), disks.get(&id)) else {
            return Err(Error::UnknownNode(id));
        };
        let addresses = Addresses::default();
        addresses.learn(plan.places.iter().map(|(id, place)| (*id, meta(*id, place))));
        let parts = Parts {
            options: options(id, place, plan),
            advertise: address(id),
            transport: Arc::new(switch.attach(id)),
            backend: Arc::new(disk.open()),
            checkpoints: Arc::new(checkpoints.open()),
            addresses,
        };
        let spec = |(group, scope): &(GroupId, GroupScope)| GroupSpec {
            id: *group,
            machine: (plan.machines)(id, *group),
            scope: *scope,
        };
        let groups = place.groups.iter().map(spec).collect();
        let service = Service::assemble(parts, groups, (plan.inboxes)(id)).await?;
        let handle = service.handle();
        let ended = self.0.ended.clone();
        let task = runtime::spawn_scoped(async move {
            if let Err(error) = service.run(std::future::pending()).await {
                lock(&ended).push((id, error));
            }
        });
        lock(&self.0.running).insert(id, (handle, task));
        Ok(())
    }

    /// Cuts the power of a node: what its disk had not synced survives as a prefix or not at all.
    pub fn cut_power(&self, id: NodeId) {
        self.0.switch.detach(id);
        drop(lock(&self.0.running).remove(&id));
        if let Some((disk, checkpoints)) = self.0.disks.get(&id) {
            disk.cut();
            checkpoints.cut();
        }
    }

    /// Cuts the power of a node in the midst of the next checkpoint that it writes, or not after all.
    pub fn tear_checkpoint(&self, id: NodeId, tears: bool) {
        let Some((disk, checkpoints)) = self.0.disks.get(&id) else { return };
        let (switch, disk, directory) = (self.0.switch.clone(), disk.clone(), checkpoints.clone());
        let torn = self.0.torn.clone();
        let cut: Cut = Box::new(move || {
            switch.detach(id);
            disk.cut();
            directory.cut();
            lock(&torn).insert(id);
        });
        checkpoints.cut_next(tears.then_some(cut));
    }

    /// From now on a node writes checkpoints under their final names, so that a power cut leaves a part of one.
    pub fn write_checkpoints_in_place(&self, id: NodeId, in_place: bool) {
        if let Some((_, checkpoints)) = self.0.disks.get(&id) {
            checkpoints.write_in_place(in_place);
        }
    }

    /// Nodes whose power was cut while they wrote a checkpoint, since this was asked last. They do nothing any more, but hold on to their
    /// memory until [`Self::cut_power`].
    pub fn torn(&self) -> BTreeSet<NodeId> {
        std::mem::take(&mut *lock(&self.0.torn))
    }

    /// Nodes that ended by themselves, and why, since this was asked last.
    pub fn ended(&self) -> Vec<(NodeId, Error)> {
        std::mem::take(&mut *lock(&self.0.ended))
    }
}

fn address(id: NodeId) -> String {
    format!("n{id}")
}

fn meta(id: NodeId, place: &Place) -> NodeMeta {
    NodeMeta { address: address(id), region: place.region.clone(), az: place.az.clone() }
}

fn options(id: NodeId, place: &Place, plan: &Plan) -> Options {
    Options {
        cluster_name: "sim".to_owned(),
        node: id,
        region: place.region.clone(),
        az: place.az.clone(),
        data_dir: "unused".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: String::new(),
        profile: plan.profile,
        tuning: plan.tuning.clone(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
