//! One life of a node: from power on to power off. What it serves, what it knows of limits, and its tasks, which end with it.

use std::sync::{Arc, Mutex};

use tidegate_cluster_sim::{NodeId, sim::Task};
use tidegate_gateway::Snapshot;
use tidegate_throttle::Timing;

use super::{
    clock::Clock,
    desk::{Desk, lock},
    land::Land,
    replica::{ConfigMachine, Replica},
};

/// A life.
pub(crate) struct Life {
    pub(crate) node: NodeId,
    pub(crate) region: &'static str,
    pub(crate) zone: String,
    pub(crate) replica: Replica,
    pub(crate) desk: Arc<Desk>,
    served: Mutex<Option<Arc<Snapshot>>>,
    machine: Mutex<Option<ConfigMachine>>,
    tasks: Mutex<Vec<Task>>,
}

impl Life {
    /// Life number `number` of a node, from 1, with what its disk has kept.
    pub(crate) fn begin(
        node: NodeId,
        land: &Land,
        number: u64,
        (clock, timing): (Arc<Clock>, Timing),
        kept: Option<Vec<u8>>,
    ) -> Arc<Self> {
        let (replica, machine) = Replica::new();
        let desk = Desk::new(node, land.region(node), number, clock, timing);
        let served = kept.and_then(|bytes| Snapshot::decode(&bytes).ok()).map(|(snapshot, limits)| {
            let limits = desk.resolve(limits, snapshot.stages());
            Arc::new(snapshot.with_limits(limits))
        });
        Arc::new(Self {
            node,
            region: land.region(node),
            zone: land.zone(node).to_owned(),
            replica,
            desk,
            served: Mutex::new(served),
            machine: Mutex::new(Some(machine)),
            tasks: Mutex::default(),
        })
    }

    /// The machine of the configuration, once.
    pub(crate) fn take_machine(&self) -> Option<ConfigMachine> {
        lock(&self.machine).take()
    }

    /// What requests are answered by.
    pub(crate) fn served(&self) -> Option<Arc<Snapshot>> {
        lock(&self.served).clone()
    }

    /// From now on requests are answered by this.
    pub(crate) fn serve(&self, snapshot: Arc<Snapshot>) {
        *lock(&self.served) = Some(snapshot);
    }

    /// Keeps a task until the end.
    pub(crate) fn keep(&self, task: Task) {
        lock(&self.tasks).push(task);
    }

    /// Ends all tasks.
    pub(crate) fn end(&self) {
        drop(std::mem::take(&mut *lock(&self.tasks)));
    }
}
