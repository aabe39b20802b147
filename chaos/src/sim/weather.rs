//! Makes a schedule of faults happen: at every moment the world is as bad as all faults that have begun and not ended make it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_cluster_sim::{
    NodeId,
    sim::{self, Weather},
};

use super::{
    desk::lock,
    fault::{Fault, What},
    world::World,
};

/// Ways take this long on a good day, in milliseconds.
const DELAY_MS: (u64, u64) = (1, 3);
/// By how much a late message is late.
const LATE: Duration = Duration::from_millis(30);
/// Longest sync of a good disk.
const SYNC_MAX: Duration = Duration::from_millis(4);
/// The rate of a clock that is right, in parts of a million.
const RIGHT_PPM: u64 = 1_000_000;
/// What a power cut in the midst of a checkpoint is counted as.
const TORN: &str = "torn-checkpoint";
/// How often somebody looks after nodes that ended.
const LOOK: Duration = Duration::from_millis(250);
/// Looks after everything is whole: a node notices within a second that its log has failed.
const LOOKS: u32 = 8;

/// The faults of a run as they go by.
pub(crate) struct Nemesis<'a> {
    world: &'a World,
    /// By end, then number.
    active: BTreeMap<(u64, usize), What>,
    /// Nodes whose disk was broken and that must be expected to end.
    doomed: BTreeSet<NodeId>,
    /// The node whose disk was damaged last; it may be whole again.
    damaged: Option<NodeId>,
}

impl<'a> Nemesis<'a> {
    /// Nothing is broken yet.
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, active: BTreeMap::new(), doomed: BTreeSet::new(), damaged: None }
    }

    /// Lets a schedule happen for `length_ms`, or until something does not hold.
    pub(crate) async fn rage(&mut self, faults: &[Fault], length_ms: u64) {
        let began_ms = self.now_ms();
        let mut next = faults.iter().enumerate().peekable();
        loop {
            let now_ms = self.now_ms() - began_ms;
            if now_ms >= length_ms || self.world.is_broken() {
                break;
            }
            let mut has_changed = false;
            while let Some((end, number)) =
                self.active.keys().next().copied().filter(|(end, _)| *end <= now_ms)
            {
                if let Some(what) = self.active.remove(&(end, number)) {
                    self.end(&what);
                }
                has_changed = true;
            }
            while let Some((number, fault)) = next.next_if(|(_, fault)| fault.at_ms <= now_ms) {
                self.begin(&fault.what);
                self.active.insert((fault.at_ms + fault.for_ms.max(1), number), fault.what.clone());
                has_changed = true;
            }
            if has_changed {
                self.apply().await;
            }
            self.bury().await;
            let ends = self.active.keys().next().map(|(end, _)| *end);
            let begins = next.peek().map(|(_, fault)| fault.at_ms);
            let due_ms = ends.into_iter().chain(begins).chain([length_ms]).min().unwrap_or(length_ms);
            sim::sleep(Duration::from_millis(due_ms.saturating_sub(now_ms).max(1)).min(LOOK)).await;
        }
    }

    /// Everything is whole again, but for clocks, which nobody mends; nodes that had ended or were about to are started.
    pub(crate) async fn heal(mut self) {
        let (stay, end) =
            std::mem::take(&mut self.active).into_iter().partition(|(_, what)| what.is_allowed_for());
        self.active = stay;
        let end: BTreeMap<_, _> = end;
        end.values().for_each(|what| self.end(what));
        self.apply().await;
        for _ in 0..LOOKS {
            sim::sleep(LOOK).await;
            self.bury().await;
        }
    }

    fn now_ms(&self) -> u64 {
        self.world.watch.lock().now_us() / 1_000
    }

    fn count(&self, name: &'static str) {
        *self.world.watch.lock().counts.faults.entry(name).or_default() += 1;
    }

    /// What happens when it is over.
    fn end(&mut self, what: &What) {
        match what {
            What::DamagedDisk { node } => {
                let is_first = self.damaged.is_none_or(|other| other == *node || self.world.is_whole(other));
                if is_first && self.world.damage(*node) {
                    self.damaged = Some(*node);
                    self.count(what.name());
                }
            }
            What::TornCheckpoint { node } => self.world.cluster.tear_checkpoint(*node, false),
            _ => {}
        }
    }

    /// What happens once.
    fn begin(&mut self, what: &What) {
        // Whether these come about is seen later: a disk may keep everything after all, a node may write no checkpoint.
        if !matches!(what, What::DamagedDisk { .. } | What::TornCheckpoint { .. }) {
            self.count(what.name());
        }
        match what {
            What::BrokenDisk { node } => drop(self.doomed.insert(*node)),
            What::TornCheckpoint { node } => self.world.cluster.tear_checkpoint(*node, true),
            What::MoveLeader { group, node } => {
                let groups: Vec<_> = self.world.land.founders().into_keys().collect();
                let Some(handle) = self.world.handle(*node) else { return };
                let group = groups[group % groups.len()];
                sim::spawn(async move {
                    let _refused = sim::timeout(Duration::from_secs(2), handle.transfer(group, None)).await;
                });
            }
            _ => {}
        }
    }

    /// Makes the world what the active faults make it.
    async fn apply(&self) {
        let world = self.world;
        let mut dark: BTreeSet<NodeId> = BTreeSet::new();
        let mut sync = BTreeMap::new();
        let (mut full, mut broken, mut off) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut rates_ppm = BTreeMap::new();
        let switch = world.cluster.switch();
        switch.heal();
        let mut weather = fair();
        for what in self.active.values() {
            match what {
                What::PowerCut { nodes } => dark.extend(nodes),
                What::DamagedDisk { node } => drop(dark.insert(*node)),
                What::ZoneLoss { zone } => dark.extend(world.land.in_zone(zone)),
                What::Cut { from, to, mutual } => {
                    for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
                        switch.cut(from, to);
                        if *mutual {
                            switch.cut(to, from);
                        }
                    }
                }
                What::Weather { delay_ms, loss, doubled, late } => {
                    weather.delay.1 = weather.delay.1.max(Duration::from_millis(*delay_ms + DELAY_MS.0));
                    weather.loss_permille += loss;
                    weather.duplicate_permille += doubled;
                    weather.late_permille += late;
                }
                What::SlowDisk { node, sync_ms } => drop(sync.insert(*node, Duration::from_millis(*sync_ms))),
                What::FullDisk { node } => drop(full.insert(*node)),
                What::BrokenDisk { node } => drop(broken.insert(*node)),
                What::ClockJump { node, seconds } => drop(off.insert(*node, *seconds)),
                What::ClockDrift { node, rate_ppm } => {
                    let rate = rates_ppm.entry(*node).or_insert(RIGHT_PPM);
                    *rate = *rate * rate_ppm / RIGHT_PPM;
                }
                What::MoveLeader { .. } | What::TornCheckpoint { .. } => {}
            }
        }
        switch.weather(weather);
        for id in world.land.ids() {
            if let (Some(disk), Some(kept), Some(clock)) =
                (world.cluster.disk(id), world.kept(id), world.clock(id))
            {
                disk.slow(sync.get(&id).copied().unwrap_or(SYNC_MAX));
                disk.leave_room(full.contains(&id).then_some(0));
                disk.fill(broken.contains(&id));
                lock(kept).fill(full.contains(&id) || broken.contains(&id));
                clock.set_off(off.get(&id).copied().unwrap_or(0));
            }
            world.cluster.clock(id).set_rate_ppm(rates_ppm.get(&id).copied().unwrap_or(RIGHT_PPM));
            if dark.contains(&id) {
                world.cut_power(id);
            } else if !broken.contains(&id) {
                world.start(id).await;
            }
        }
    }

    /// Nodes that ended lie where they are until their disk is well; only a broken disk explains it, or a checkpoint during which they lost
    /// their power.
    async fn bury(&mut self) {
        let (torn, ended) = (self.world.cluster.torn(), self.world.cluster.ended());
        torn.iter().for_each(|_| self.count(TORN));
        for (id, error) in &ended {
            if !self.doomed.contains(id) && !torn.contains(id) {
                self.world.watch.ended(*id, &error.to_string());
            }
        }
        for id in torn.into_iter().chain(ended.into_iter().map(|(id, _)| id)) {
            self.world.cut_power(id);
            if !self.active.values().any(|what| self.keeps_off(what, id)) {
                self.world.start(id).await;
            }
        }
    }

    /// Whether a node does not run while this is so.
    fn keeps_off(&self, what: &What, id: NodeId) -> bool {
        match what {
            What::PowerCut { nodes } => nodes.contains(&id),
            What::ZoneLoss { zone } => self.world.land.zone(id) == zone,
            What::DamagedDisk { node } | What::BrokenDisk { node } => *node == id,
            _ => false,
        }
    }
}

/// A good day.
fn fair() -> Weather {
    let (least, most) = DELAY_MS;
    Weather {
        delay: (Duration::from_millis(least), Duration::from_millis(most)),
        late: LATE,
        ..Weather::default()
    }
}
