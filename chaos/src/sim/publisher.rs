//! From applied state to what a node serves: the product's composer, off the log's thread for a moment, then a swap, then the disk. What a
//! disk kept outlives the node and is served before anything else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate_cluster_sim::{Handle, group, sim};
use tidegate_gateway::Snapshot;
use tidegate_publish::Composer;
use tidegate_throttle::Holders;

use super::{defect::Defect, desk::lock, node::Life, oracle::Watch};

/// Time that compiling takes.
const COMPILE: Duration = Duration::from_millis(2);
/// How often the holders of limits are counted.
const COUNT: Duration = Duration::from_millis(500);
/// Time that a durable replacement of the file takes.
const STORE: Duration = Duration::from_millis(5);

/// A node's disk, for snapshots.
#[derive(Default)]
pub(crate) struct Shelf {
    /// The newest one that is durable.
    bytes: Option<Vec<u8>>,
    /// Whether nothing can be written.
    is_full: bool,
}

/// The shelf of a node.
pub(crate) type Kept = Arc<Mutex<Shelf>>;

impl Shelf {
    /// From now on writes fail, or work again.
    pub(crate) fn fill(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// What is there.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        self.bytes.clone()
    }
}

/// Follows the replica for as long as the node lives, once its log is whole: one that lost entries leads to an older configuration than the
/// one that is served from disk.
pub(crate) async fn run(life: Arc<Life>, handle: Handle, kept: Kept, watch: Watch, defect: Option<Defect>) {
    if handle.whole(group::CONFIG).await.is_err() {
        return;
    }
    let first = life.served().unwrap_or_else(|| Arc::new(Snapshot::empty(life.region, "1")));
    let mut composer = Composer::new(&first, &life.zone);
    let mut changes = life.replica.changes();
    let mut before: Option<Arc<Snapshot>> = None;
    let mut known = count(&handle, life.region).unwrap_or_default();
    loop {
        let changed = sim::timeout(COUNT, changes.changed()).await;
        if matches!(changed, Some(Err(_))) {
            return;
        }
        let is_due = changed.is_none();
        if let Some(now) = count(&handle, life.region).filter(|_| is_due) {
            known = now;
        }
        sim::sleep(COMPILE).await;
        changes.borrow_and_update();
        let applied = life.replica.load();
        if applied.index == 0 {
            continue;
        }
        let desk = life.desk.clone();
        let resolve = move |compiled, stages: &[_]| desk.resolve(compiled, stages);
        let Some(composed) = composer.compose(applied.index, &applied.state, known, &resolve) else {
            continue;
        };
        let snapshot = composed.snapshot;
        let is_late = defect == Some(Defect::ServedBack) && snapshot.revision().is_multiple_of(32);
        life.serve(before.take().filter(|_| is_late).unwrap_or_else(|| snapshot.clone()));
        before = Some(snapshot.clone());
        store(&life, &kept, snapshot, &watch).await;
    }
}

/// Replaces the file; a power cut on the way leaves the one before.
async fn store(life: &Life, kept: &Kept, snapshot: Arc<Snapshot>, watch: &Watch) {
    let Ok(bytes) = snapshot.encode() else { return };
    sim::sleep(STORE).await;
    let mut shelf = lock(kept);
    if !shelf.is_full {
        shelf.bytes = Some(bytes);
        watch.lock().served.kept(life.node, snapshot.revision());
    }
}

/// How many nodes share the limits of a region, as the members of the configuration have it.
fn count(handle: &Handle, region: &str) -> Option<Holders> {
    let status = handle.status(group::CONFIG).ok()?;
    let nodes: Vec<&str> =
        status.voters.iter().chain(&status.learners).map(|(_, meta)| meta.region.as_str()).collect();
    let mut regions = nodes.clone();
    regions.sort_unstable();
    regions.dedup();
    Some(Holders {
        region: nodes.iter().filter(|other| **other == region).count().max(1),
        all: nodes.len().max(1),
        regions: regions.len().max(1),
    })
}
