//! Everything a fault may reach: the lab, the nodes, their disks and clocks, the traffic, the watch.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use super::{
    clients::Stream,
    error::StormError,
    fleet::{Fleet, Node},
    setup::Apis,
    target::Target,
    watch::Watch,
};
use crate::{
    clock::Clock,
    clocks::WallClocks,
    disk::Disk,
    exchange::get_once,
    lab::{Lab, site::Site},
    limits::{CATCH_UP, POLL, WATCH_ANSWER},
};

/// What a storm runs in.
pub(crate) struct World {
    /// Namespaces and network.
    pub(crate) lab: Lab,
    /// The nodes.
    pub(crate) fleet: Fleet,
    /// Their disks, where disks may fail, in the order of the nodes.
    pub(crate) disks: Vec<Disk>,
    /// Their wall clocks, where clocks may be wrong.
    pub(crate) clocks: Option<WallClocks>,
    /// What was configured.
    pub(crate) apis: Apis,
    /// Time of the run.
    pub(crate) clock: Clock,
    /// The observer's eyes.
    pub(crate) watch: Watch,
    /// Streams that faults may make faster, by region.
    pub(crate) floods: Mutex<Vec<Stream>>,
    /// The binary that an upgrade goes to.
    pub(crate) upgrade_to: Option<PathBuf>,
    journal: Mutex<Journal>,
    random: Mutex<StdRng>,
}

/// What happened, and when.
#[derive(Default)]
pub(crate) struct Journal {
    /// Remarks for the time line, in order.
    pub(crate) notes: Vec<(u64, String)>,
    /// Each start of a node's process until it answered a request, in microseconds of the run.
    pub(crate) starts: Vec<Start>,
    /// Parts of the storm that could not be rehearsed here, and why.
    pub(crate) skipped: Vec<String>,
    /// Figures that faults themselves have measured, by measure.
    pub(crate) measured: Vec<(super::scenario::Measure, f64)>,
    /// Stretches in which a node's place was struck, and is again.
    pub(crate) struck: Vec<(Site, u64, Option<u64>)>,
}

/// A node's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The node.
    pub(crate) site: Site,
    /// When its process was started.
    pub(crate) from_us: u64,
    /// When it answered a request.
    pub(crate) to_us: u64,
}

impl World {
    /// A world that stands.
    pub(crate) fn new(lab: Lab, fleet: Fleet, clock: Clock, random: StdRng) -> Self {
        Self {
            lab,
            fleet,
            disks: Vec::new(),
            clocks: None,
            apis: Apis::default(),
            clock,
            watch: Watch::default(),
            floods: Mutex::default(),
            upgrade_to: None,
            journal: Mutex::default(),
            random: Mutex::new(random),
        }
    }

    /// Ends every process: no disk may hold one back.
    fn put_away(&self) {
        self.disks.iter().for_each(Disk::heal);
        // A process that stands still ends by SIGKILL as any other.
        self.fleet.kill_all();
    }

    /// What happened so far.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chance, as the seed decides it.
    pub(crate) fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something for the time line, and says it.
    pub(crate) fn note(&self, text: impl Into<String>) {
        let (at_us, text) = (self.clock.now_us(), text.into());
        super::progress::say(at_us, &text);
        self.journal().notes.push((at_us, text));
    }

    /// The nodes that a target means now.
    pub(crate) fn resolve(&self, fault: &'static str, target: Target) -> Result<Vec<&Node>, StormError> {
        let zones = target.zones(self.lab.extent, self.watch.leader(), &mut self.random());
        let zones = zones.map_err(|reason| StormError::Target { fault, reason })?;
        Ok(zones.into_iter().filter_map(|site| self.fleet.node(site)).collect())
    }

    /// The disk of a node.
    pub(crate) fn disk(&self, node: &Node) -> Result<&Disk, StormError> {
        let absent = || StormError::Target {
            fault: "disk",
            reason: format!("{} has no disk that can fail", node.name),
        };
        self.disks.iter().find(|disk| disk.site() == node.site).ok_or_else(absent)
    }

    /// Marks a zone as struck from now on.
    pub(crate) fn strike(&self, site: Site) {
        let now_us = self.clock.now_us();
        let mut journal = self.journal();
        if !journal.struck.iter().any(|(own, _, end)| *own == site && end.is_none()) {
            journal.struck.push((site, now_us, None));
        }
    }

    /// A zone is well again.
    pub(crate) fn relieve(&self, site: Site) {
        let now_us = self.clock.now_us();
        let mut journal = self.journal();
        let open = journal.struck.iter_mut().filter(|(own, _, end)| *own == site && end.is_none());
        open.for_each(|(_, _, end)| *end = Some(now_us));
    }

    /// Starts a node again and waits until it answers a request; notes how long that took, and relieves its zone. One that does not
    /// answer in time stays struck: the run goes on, and is not well in the end.
    pub(crate) async fn revive(&self, node: &Node) -> Result<(), StormError> {
        let (from_us, ran) = (self.clock.now_us(), node.is_running());
        self.fleet.start(&self.lab, node).await?;
        if self.welcome(node).await && !ran {
            let to_us = self.clock.now_us();
            self.journal().starts.push(Start { site: node.site, from_us, to_us });
        }
        Ok(())
    }

    /// Waits until a node answers and relieves its zone; whether it did.
    pub(crate) async fn welcome(&self, node: &Node) -> bool {
        match self.await_serving(node).await {
            Ok(()) => self.relieve(node.site),
            Err(error) => {
                self.note(error.to_string());
                return false;
            }
        }
        true
    }

    /// Waits until a node answers the churn's request, which needs no upstream, from its own zone: what cuts it off does not count.
    pub(crate) async fn await_serving(&self, node: &Node) -> Result<(), StormError> {
        let deadline = Instant::now() + CATCH_UP;
        let (address, space) = (node.gateway(), self.lab.space(node.site));
        loop {
            let path = self.apis.churn.clone();
            let asked = space.spawn(async move { get_once(address, &path, WATCH_ANSWER).await });
            let seen = match asked.await.ok().flatten() {
                Some((status, _)) if status.is_success() => return Ok(()),
                Some((status, _)) => status.to_string(),
                None => "no answer".to_owned(),
            };
            if Instant::now() > deadline {
                let what = format!("{} to answer a request after its start", node.name);
                return Err(StormError::Slow { what, seconds: CATCH_UP.as_secs(), seen });
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.put_away();
    }
}
