//! The nodes of one run, their disks and network, and the record of everything that was promised.

use super::pause;
use crate::{
    Encode, GroupId, GroupScope, Handle, Inbox, Machine, MachineError, NodeId, Profile, Tuning, group,
    runtime::Instant,
    sim::{Cluster, Place, Plan, Switch, Weather},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

pub(super) const GROUPS: [GroupId; 2] = [group::CONFIG, group::GLOBAL_LEDGER];

/// Where the nodes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Land {
    /// This many nodes in zones of their own.
    OneRegion(u64),
    /// Three nodes in the first region, this many in the second, all in zones of their own, and ledgers in both.
    TwoRegions(u64),
}

/// A cluster under test.
#[derive(Clone)]
pub(super) struct World {
    pub(super) switch: Switch,
    pub(super) land: Land,
    pub(super) ids: Vec<NodeId>,
    /// All groups and the nodes that run them.
    pub(super) groups: BTreeMap<GroupId, Vec<NodeId>>,
    cluster: Cluster,
    record: Arc<Mutex<Record>>,
}

/// What was promised and what was seen.
#[derive(Default)]
pub(super) struct Record {
    /// Acknowledged commands by group and index.
    pub(super) acknowledged: BTreeMap<(GroupId, u64), Bytes>,
    pub(super) refused: usize,
    /// Highest acknowledged index of each group.
    pub(super) horizon: BTreeMap<GroupId, u64>,
    /// Every applied command and the state hash after it, as the first node applied it.
    pub(super) applied: BTreeMap<(GroupId, u64), (Bytes, u64)>,
    /// Where each command was applied; a second place is a violation.
    pub(super) places: BTreeMap<(GroupId, Bytes), u64>,
    /// Who was first seen in office in a term, and since when.
    pub(super) offices: BTreeMap<(GroupId, u64), (NodeId, Instant)>,
    pub(super) confirmed: usize,
    /// Commands that were refused and must not be applied.
    pub(super) never: BTreeSet<(GroupId, Bytes)>,
    pub(super) violations: Vec<String>,
}

/// The machine under test: a hash over everything applied.
struct Tally {
    node: NodeId,
    group: GroupId,
    hash: u64,
    record: Arc<Mutex<Record>>,
}

struct NoInbox;

impl Land {
    fn nodes(self) -> u64 {
        match self {
            Self::OneRegion(nodes) => nodes,
            Self::TwoRegions(second) => 3 + second,
        }
    }

    /// The groups of a node.
    pub(super) fn groups(self, id: NodeId) -> Vec<(GroupId, GroupScope)> {
        let mut groups = GROUPS.map(|group| (group, GroupScope::Cluster)).to_vec();
        if matches!(self, Self::TwoRegions(_)) {
            let ledger = |shard| group::ledger(self.region(id), shard);
            let shards = (0..group::LEDGER_SHARDS).zip(0..);
            groups.extend(shards.map(|(shard, spread)| (ledger(shard), GroupScope::Region { spread })));
        }
        groups
    }

    fn region(self, id: NodeId) -> &'static str {
        if matches!(self, Self::TwoRegions(_)) && id > 3 { "s" } else { "r" }
    }

    fn place(self, id: NodeId) -> Place {
        Place { region: self.region(id).to_owned(), az: format!("z{id}"), groups: self.groups(id) }
    }
}

impl World {
    /// Starts a cluster whose nodes stand in zones of their own, and waits for its voters.
    pub(super) async fn new(seed: u64, land: Land, disks_lie: bool) -> Self {
        let world = Self::founded(seed, land, disks_lie, false).await;
        let first = world.handle(1).expect("node 1 has just been started");
        for id in &world.ids[1..] {
            let meta = world.handle(*id).expect("just started").meta().clone();
            first.add_node(group::CONFIG, *id, meta).await.expect("the cluster is healthy");
        }
        for _ in 0..600 {
            let ready = |(group, members): (&GroupId, &Vec<NodeId>)| {
                let known = members.first().and_then(|id| world.handle(*id)?.status(*group).ok());
                let voters = if members.len() < 3 { 1 } else { 3 };
                known.is_some_and(|status| status.voters.len() == voters)
            };
            if world.groups.iter().all(ready) {
                return world;
            }
            pause(10).await;
        }
        world.record().violations.push("the cluster did not form within 6 s".to_owned());
        world
    }

    /// Starts all nodes; of every group only the first of its nodes is a member.
    pub(super) async fn founded(seed: u64, land: Land, disks_lie: bool, manual_placement: bool) -> Self {
        let ids: Vec<NodeId> = (1..=land.nodes()).collect();
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for (id, (group, _)) in ids.iter().flat_map(|id| land.groups(*id).into_iter().map(move |g| (*id, g)))
        {
            groups.entry(group).or_default().push(id);
        }
        let record: Arc<Mutex<Record>> = Arc::default();
        let tallies = record.clone();
        let cluster = Cluster::new(Plan {
            seed,
            places: ids.iter().map(|id| (*id, land.place(*id))).collect(),
            profile: Profile::Lan,
            tuning: Tuning {
                checkpoint_entries: Some(150),
                log_entries_kept: Some(30),
                manual_placement,
                ..Tuning::default()
            },
            machines: Arc::new(move |node, group| {
                Box::new(Tally { node, group, hash: 0, record: tallies.clone() })
            }),
            inboxes: Arc::new(|_| Arc::new(NoInbox)),
        });
        let switch = cluster.switch().clone();
        let world = Self { switch, land, ids, groups, cluster, record };
        for id in &world.ids {
            world.disk(*id).lie(disks_lie);
        }
        world.rough_weather();
        for id in &world.ids {
            world.start(*id).await;
        }
        for (group, members) in &world.groups {
            let founder = world.handle(members[0]).expect("all have just been started");
            founder.bootstrap(*group).await.expect("the group is new");
        }
        world
    }

    /// Delays, losses and duplicates, as on a bad day.
    pub(super) fn rough_weather(&self) {
        self.switch.weather(Weather {
            delay: (Duration::from_millis(1), Duration::from_millis(5)),
            loss_permille: 5,
            duplicate_permille: 5,
            ..Weather::default()
        });
    }

    /// Repairs the network and starts everyone.
    pub(super) async fn calm(&self) {
        self.switch.heal();
        self.switch.weather(Weather {
            delay: (Duration::from_millis(1), Duration::from_millis(2)),
            ..Weather::default()
        });
        for id in &self.ids {
            if self.handle(*id).is_none() {
                self.start(*id).await;
            }
        }
    }

    /// Starts a node on what its disk has kept.
    pub(super) async fn start(&self, id: NodeId) {
        if let Err(error) = self.cluster.start(id).await {
            self.record().violations.push(format!("node {id} did not start: {error}"));
        }
    }

    /// Cuts the power of a node.
    pub(super) fn cut_power(&self, id: NodeId) {
        self.cluster.cut_power(id);
    }

    /// Has the disk of a node that is off lose a part of what it kept; returns how many values.
    pub(super) fn damage_disk(&self, id: NodeId) -> usize {
        self.disk(id).damage()
    }

    /// From now on a node cannot write.
    pub(super) fn fill_disk(&self, id: NodeId) {
        self.disk(id).fill(true);
    }

    /// From now on a node's disk has so much room, whatever is written; `None` is plenty.
    pub(super) fn leave_room(&self, id: NodeId, bytes: Option<u64>) {
        self.disk(id).leave_room(bytes);
    }

    pub(super) fn handle(&self, id: NodeId) -> Option<Handle> {
        self.cluster.handle(id)
    }

    /// The clock of a node.
    pub(super) fn clock(&self, id: NodeId) -> crate::sim::Clock {
        self.cluster.clock(id)
    }

    fn disk(&self, id: NodeId) -> &crate::sim::Disk {
        self.cluster.disk(id).expect("every node has a disk")
    }

    /// The record, to which nodes that stopped by themselves have been added.
    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        let mut record = lock(&self.record);
        let stopped = self.cluster.ended();
        record.violations.extend(stopped.iter().map(|(id, error)| format!("node {id} stopped: {error}")));
        record
    }
}

impl Record {
    /// A hash over everything applied.
    pub(super) fn digest(&self) -> u64 {
        self.applied.iter().fold(0, |sum: u64, ((group, index), (_, hash))| {
            sum.rotate_left(5) ^ hash ^ index ^ (group << 60)
        })
    }

    fn check(&mut self, what: &str, node: NodeId, at: (GroupId, u64), command: Option<&Bytes>, hash: u64) {
        let Some((first, state)) = self.applied.get(&at) else { return };
        if *state != hash || command.is_some_and(|command| command != first) {
            let text = format!("node {node} {what} another state at {at:?}");
            self.violations.push(text);
        }
    }
}

impl Machine for Tally {
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes {
        let command = Bytes::copy_from_slice(command);
        self.hash = mix(self.hash, index, &command);
        let mut record = lock(&self.record);
        let at = (self.group, index);
        record.check("applied", self.node, at, Some(&command), self.hash);
        let place = *record.places.entry((self.group, command.clone())).or_insert(index);
        if place != index {
            record.violations.push(format!("{command:?} was applied at {place} and at {index}"));
        }
        record.applied.entry(at).or_insert((command, self.hash));
        Bytes::copy_from_slice(&self.hash.to_be_bytes())
    }

    fn checkpoint(&self) -> Encode {
        let hash = self.hash;
        Box::new(move || hash.to_be_bytes().to_vec())
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let hash = bytes.try_into().map_err(|_| MachineError("length".to_owned()))?;
        self.hash = u64::from_be_bytes(hash);
        lock(&self.record).check("restored", self.node, (self.group, index), None, self.hash);
        Ok(())
    }
}

impl Inbox for NoInbox {
    fn call(&self, _from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        Box::pin(std::future::ready(Ok(message)))
    }
}

fn mix(hash: u64, index: u64, command: &[u8]) -> u64 {
    let seed = (hash ^ index).wrapping_mul(0x0100_0000_01b3);
    command.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
