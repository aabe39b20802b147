//! All nodes of a run with their lives, disks and clocks, the network between them, and the oracle. Starts nodes and takes their power; must
//! never judge.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tidegate_cluster_sim::{
    Error, GroupId, Handle, Machine, NodeId, Tuning, group,
    sim::{self, Cluster, Plan, Stopwatch},
};
use tidegate_throttle::Timing;

use super::{
    clock::Clock,
    config,
    defect::Defect,
    desk::lock,
    invariants::EVERYWHERE,
    land::{APART_MS, Land},
    lead,
    machine::{LedgerMachine, Watched},
    node::Life,
    oracle::Watch,
    publisher::{self, Kept},
};
use crate::flood::Chance;

/// A cluster under test; cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) land: Arc<Land>,
    pub(crate) cluster: Cluster,
    pub(crate) watch: Watch,
    pub(crate) defect: Option<Defect>,
    seats: Arc<BTreeMap<NodeId, Seat>>,
    timing: Timing,
}

/// What outlives the lives of a node.
struct Seat {
    kept: Kept,
    clock: Arc<Clock>,
    life: Mutex<(u64, Option<Arc<Life>>)>,
}

impl World {
    /// A cluster of which nothing runs yet.
    pub(crate) fn new(seed: u64, defect: Option<Defect>) -> Self {
        let (land, began) = (Arc::new(Land::of(seed)), Stopwatch::start());
        let watch = Watch::new(began, seed, &land);
        let seat = |id: NodeId| {
            let clock = Arc::new(Clock::new(began, id));
            (id, Seat { kept: Kept::default(), clock, life: Mutex::default() })
        };
        let seats: Arc<BTreeMap<_, _>> = Arc::new(land.ids().into_iter().map(seat).collect());
        let (of_machines, of_inboxes, saw) = (seats.clone(), seats.clone(), watch.clone());
        let cluster = Cluster::new(Plan {
            seed,
            places: land.places(),
            profile: land.profile(),
            tuning: tuning(seed),
            machines: Arc::new(move |id, group| machine(&of_machines, &saw, defect, (id, group))),
            inboxes: Arc::new(move |id| match of_inboxes.get(&id).and_then(Seat::life) {
                Some(life) => life.desk.clone(),
                None => unreachable!("a node is started after its life has begun"),
            }),
        });
        for id in cluster.nodes() {
            cluster.write_checkpoints_in_place(id, defect == Some(Defect::CheckpointInPlace));
            if let Some(disk) = cluster.disk(id) {
                disk.lie(defect == Some(Defect::LyingDisk));
                disk.forget_marks(defect == Some(Defect::ForgottenMarks));
            }
        }
        let world = Self { seed, land, cluster, watch, defect, seats, timing: timing(defect) };
        world.spread();
        world
    }

    /// Puts the regions apart.
    fn spread(&self) {
        let ids = self.land.ids();
        for from in &ids {
            for to in ids.iter().filter(|to| self.land.region(**to) != self.land.region(*from)) {
                self.cluster.switch().apart(*from, *to, std::time::Duration::from_millis(APART_MS));
            }
        }
    }

    /// Starts all nodes, founds the groups, and writes the first configuration.
    ///
    /// # Errors
    /// What a perfect network and perfect disks do not explain.
    pub(crate) async fn found(&self) -> Result<(), Error> {
        for id in self.land.ids() {
            self.start(id).await;
        }
        for (group, founder) in self.land.founders() {
            self.handle(founder).ok_or(Error::Stopped)?.bootstrap(group).await?;
        }
        let first = self.handle(1).ok_or(Error::Stopped)?;
        for id in self.land.ids().into_iter().skip(1) {
            let meta = self.handle(id).ok_or(Error::Stopped)?.meta().clone();
            first.add_node(group::CONFIG, id, meta).await?;
        }
        let bytes = config::founding(self.seed, self.land.is_wide())
            .encode()
            .map_err(|error| Error::Change(error.to_string()))?;
        first.propose(group::CONFIG, bytes.into(), std::time::Duration::from_secs(5)).await?;
        Ok(())
    }

    /// Starts a node on what its disk has kept, if it does not run.
    pub(crate) async fn start(&self, id: NodeId) {
        let Some(seat) = self.seats.get(&id).filter(|seat| seat.life().is_none()) else { return };
        let life = {
            let mut slot = lock(&seat.life);
            slot.0 += 1;
            let clocks = (seat.clock.clone(), self.timing);
            let life = Life::begin(id, &self.land, slot.0, clocks, lock(&seat.kept).bytes());
            slot.1 = Some(life.clone());
            life
        };
        self.watch.lock().served.starts(id);
        if let Err(error) = self.cluster.start(id).await {
            return self.watch.ended(id, &error.to_string());
        }
        if let Some(handle) = self.cluster.handle(id) {
            self.cluster.clock(id).with(|| self.work(seat, &life, &handle));
        }
    }

    /// Starts what a node does besides consensus.
    fn work(&self, seat: &Seat, life: &Arc<Life>, handle: &Handle) {
        life.keep(sim::spawn_scoped(life.desk.clone().run(handle.clone())));
        for number in 0..life.desk.shards.len() {
            let (desk, watch) = (life.desk.clone(), self.watch.clone());
            life.keep(sim::spawn_scoped(lead::run(desk, handle.clone(), watch, number)));
        }
        let look = lead::look(life.node, group::CONFIG, handle.clone(), self.watch.clone());
        life.keep(sim::spawn_scoped(look));
        let (kept, watch) = (seat.kept.clone(), self.watch.clone());
        life.keep(sim::spawn_scoped(publisher::run(life.clone(), handle.clone(), kept, watch, self.defect)));
    }

    /// Takes a node's power.
    pub(crate) fn cut_power(&self, id: NodeId) {
        self.cluster.cut_power(id);
        if let Some(life) = self.seats.get(&id).and_then(|seat| lock(&seat.life).1.take()) {
            life.end();
        }
    }

    /// A node's consensus, while it runs.
    pub(crate) fn handle(&self, id: NodeId) -> Option<Handle> {
        self.life(id)?;
        self.cluster.handle(id)
    }

    /// Whether a node runs and lacks nothing that it had acknowledged.
    pub(crate) fn is_whole(&self, id: NodeId) -> bool {
        let Some(handle) = self.handle(id) else { return false };
        self.land.groups(id).all(|group| handle.status(group).is_ok_and(|status| !status.is_damaged))
    }

    /// Has the disk of a node that is off lose something, where other voters can bring it back; whether something was lost.
    pub(crate) fn damage(&self, id: NodeId) -> bool {
        let ids = self.land.ids();
        let others = ids.into_iter().filter(|other| *other != id).filter_map(|other| self.handle(other));
        let others: Vec<Handle> = others.collect();
        let has_voters =
            |group| others.iter().any(|one| one.status(group).is_ok_and(|known| known.voters.len() >= 3));
        let is_safe = self.life(id).is_none() && self.land.groups(id).all(has_voters);
        is_safe && self.cluster.disk(id).is_some_and(|disk| disk.damage() > 0)
    }

    /// A node's present life.
    pub(crate) fn life(&self, id: NodeId) -> Option<Arc<Life>> {
        self.seats.get(&id)?.life()
    }

    /// A node's clocks.
    pub(crate) fn clock(&self, id: NodeId) -> Option<&Arc<Clock>> {
        self.seats.get(&id).map(|seat| &seat.clock)
    }

    /// Where a node keeps its snapshot.
    pub(crate) fn kept(&self, id: NodeId) -> Option<&Kept> {
        self.seats.get(&id).map(|seat| &seat.kept)
    }

    /// Whether anything does not hold already.
    pub(crate) fn is_broken(&self) -> bool {
        !self.watch.lock().violations().is_empty()
    }
}

impl Seat {
    fn life(&self) -> Option<Arc<Life>> {
        lock(&self.life).1.clone()
    }
}

/// In half of the seeds checkpoints are so frequent that a run is full of them.
fn tuning(seed: u64) -> Tuning {
    let entries = if Chance::new(seed, "checkpoints").happens(0.5) { 30 } else { 100 };
    Tuning { checkpoint_entries: Some(entries), log_entries_kept: Some(20), ..Tuning::default() }
}

/// The machine of a group for a life that has just begun.
fn machine(
    seats: &BTreeMap<NodeId, Seat>,
    watch: &Watch,
    defect: Option<Defect>,
    (node, group): (NodeId, GroupId),
) -> Box<dyn Machine> {
    let Some(life) = seats.get(&node).and_then(Seat::life) else {
        unreachable!("a node is started after its life has begun")
    };
    let watch = watch.clone();
    watch.lock().acknowledged.begins(group, node);
    if let Some(shard) = life.desk.shards.iter().find(|shard| shard.group == group) {
        return Box::new(LedgerMachine {
            node,
            group,
            days_of: match group {
                group::GLOBAL_LEDGER => Some(EVERYWHERE),
                _ if group == group::ledger(life.region, group::LEDGER_PART) => None,
                _ => Some(life.region),
            },
            ledger: shard.ledger.clone(),
            clock: life.desk.clock.clone(),
            levels_ns: shard.levels_ns.clone(),
            watch,
        });
    }
    match life.take_machine() {
        Some(machine) => Box::new(Watched { node, machine, replica: life.replica.clone(), watch, defect }),
        None => unreachable!("a life has one machine of the configuration"),
    }
}

#[cfg(feature = "seeded-bugs")]
fn timing(defect: Option<Defect>) -> Timing {
    let bug = (defect == Some(Defect::OverAdmit)).then_some(tidegate_throttle::Bug::CreditTwice);
    Timing { bug, ..Timing::default() }
}

#[cfg(not(feature = "seeded-bugs"))]
fn timing(_: Option<Defect>) -> Timing {
    Timing::default()
}
