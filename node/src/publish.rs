//! From replicated state to serving snapshot: composed off the request threads, swapped in, kept on disk (`publish::disk`). A node that
//! kept crashing serves what was proven instead, for as long as `Hold` says.

mod disk;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tidegate_gateway::{Limits, Snapshot, StageTable};
use tidegate_proto::compiled::limits::LimitsV1;
use tidegate_publish::{Composer, Hold, RETRY_S};
use tidegate_telemetry::panics;
use tidegate_throttle::Holders;
use tokio::{sync::watch, time::Instant};

use crate::{node::NodeError, replica::Replica};
pub(crate) use disk::{load, load_proven};

/// What the publisher counts and knows, for metrics and status.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Whether the data plane has a configuration of the cluster, from disk or from the log.
    pub(crate) serving: watch::Sender<bool>,
    /// Snapshots handed to the data plane.
    pub(crate) swaps: AtomicU64,
    /// Stages and certificates that kept their last good version because the new one cannot be used here.
    pub(crate) compile_failures: AtomicU64,
    /// Snapshot files that could not be written.
    pub(crate) persist_failures: AtomicU64,
    /// Whether the node kept crashing and serves what was proven before.
    pub(crate) is_held: AtomicBool,
    /// API and stage of what is not served here in its newest version, because it cannot be.
    pub(crate) failing: ArcSwap<BTreeSet<(String, String)>>,
}

/// Where snapshots go.
pub(crate) type Publish = Box<dyn Fn(Arc<Snapshot>) + Send>;
/// Resolves limits for stages; when it returns, requests may be held against them.
pub(crate) type Resolve = Box<dyn Fn(LimitsV1, &[Arc<StageTable>]) -> Arc<Limits> + Send>;

/// Turns applied states into snapshots, one at a time, newest wins.
pub(crate) struct Publisher {
    replica: Replica,
    composer: Composer,
    hold: Hold,
    started: Instant,
    holders: watch::Receiver<Holders>,
    counters: Arc<Counters>,
    resolve: Resolve,
    publish: Publish,
    persist: watch::Sender<Option<Arc<Snapshot>>>,
}

impl Publisher {
    /// Follows the replica with `composer`, which begins with the snapshot that is served already, once `hold` lets it. Snapshots are
    /// kept in `folder`.
    pub(crate) fn new(
        replica: Replica,
        (composer, hold): (Composer, Hold),
        folder: &Path,
        counters: Arc<Counters>,
        holders: watch::Receiver<Holders>,
        resolve: Resolve,
        publish: Publish,
    ) -> Self {
        let persist = watch::Sender::new(None);
        tokio::spawn(disk::keep(folder.to_owned(), persist.subscribe(), counters.clone()));
        tokio::spawn(disk::prove(folder.to_owned(), persist.subscribe(), counters.clone()));
        counters.is_held.store(hold != Hold::No, Ordering::Relaxed);
        let started = Instant::now();
        Self { replica, composer, hold, started, holders, counters, resolve, publish, persist }
    }

    /// Follows the replica until it is asked to stop.
    pub(crate) async fn run(self, asked: impl Future<Output = ()>) -> Result<(), NodeError> {
        tokio::select! {
            () = self.follow_all() => {}
            () = asked => {}
        }
        Ok(())
    }

    async fn follow_all(mut self) {
        let (mut changes, mut holders) = (self.replica.changes(), self.holders.clone());
        let retry = tokio::time::sleep_until(self.started + Duration::from_secs(RETRY_S));
        tokio::pin!(retry);
        loop {
            changes.borrow_and_update();
            holders.borrow_and_update();
            let applied = self.replica.load();
            if applied.index > 0 && !self.keeps_back(applied.state.revision()) {
                let follow = move || panics::contained(|| self.follow(applied.index, &applied.state));
                self = match tokio::task::spawn_blocking(follow).await {
                    Ok(this) => this,
                    Err(_) => return,
                };
            }
            let is_over = tokio::select! {
                changed = changes.changed() => changed.is_err(),
                changed = holders.changed() => changed.is_err(),
                () = &mut retry, if self.hold != Hold::No => false,
            };
            if is_over {
                return;
            }
        }
    }

    fn keeps_back(&mut self, revision: u64) -> bool {
        let (before, running) = (self.hold, self.started.elapsed());
        let keeps_back = self.hold.keeps_back(revision, running.as_secs());
        self.counters.is_held.store(keeps_back, Ordering::Relaxed);
        if before != Hold::No && !keeps_back {
            tracing::warn!(revision, "the newest configuration is tried again after a crash loop");
        }
        keeps_back
    }

    fn follow(mut self, index: u64, state: &tidegate_state::State) -> Self {
        let holders = *self.holders.borrow();
        let Some(composed) = self.composer.compose(index, state, holders, &*self.resolve) else {
            return self;
        };
        self.counters.compile_failures.fetch_add(composed.failures, Ordering::Relaxed);
        self.counters.failing.store(Arc::new(self.composer.failing().clone()));
        (self.publish)(composed.snapshot.clone());
        self.counters.swaps.fetch_add(1, Ordering::Relaxed);
        self.counters.serving.send_replace(true);
        self.persist.send_replace(Some(composed.snapshot));
        self
    }
}
