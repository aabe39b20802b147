//! The snapshot pointer: what shards read without a lock, and what replaces it without making them wait.

use std::{
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use tidegate_gateway::{Snapshot, StageTable};
use tidegate_telemetry::metrics::{Registry, RouteLabels, RouteMetrics};

/// A snapshot with the meters of its routes, resolved before any request needs them.
pub(crate) struct Published {
    snapshot: Arc<Snapshot>,
    meters: Box<[Meters]>,
}

type Meters = Arc<[Arc<RouteMetrics>]>;

/// A shard's own handle on what is published: requests clone it in memory of their own thread, without an atomic.
#[derive(Clone)]
pub(crate) struct View(Rc<Held>);

/// The one reference of a shard.
struct Held(Arc<Published>);

impl View {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Self(Rc::new(Held(published)))
    }

    /// Whether this is the same publication.
    pub(crate) fn is(&self, other: &Arc<Published>) -> bool {
        Arc::ptr_eq(&self.0.0, other)
    }
}

impl std::ops::Deref for View {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.0.0
    }
}

/// Holds the published snapshot and those it replaced until no shard reads them.
pub(crate) struct Publisher {
    current: ArcSwap<Published>,
    /// Replaced ones: kept so that the last reference, and with it the work of freeing, is never a shard's.
    retired: Mutex<Vec<Arc<Published>>>,
    registry: Registry,
}

impl Published {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn shared_snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// The meter of a method, by the places of its stage and itself.
    pub(crate) fn meter(&self, stage: usize, method: usize) -> Option<&RouteMetrics> {
        self.meters.get(stage)?.get(method).map(|meter| &**meter)
    }
}

impl Publisher {
    pub(crate) fn new(registry: Registry, first: Arc<Snapshot>) -> Self {
        let meters = first.stages().iter().map(|stage| resolve(&registry, stage)).collect();
        let current = ArcSwap::from_pointee(Published { snapshot: first, meters });
        Self { current, retired: Mutex::default(), registry }
    }

    /// What is served now. Wait-free.
    pub(crate) fn load(&self) -> Guard<Arc<Published>> {
        self.current.load()
    }

    /// Replaces what is served. Meters of unchanged stages are taken over.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        // The lock orders concurrent publishers; shards never take it.
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let known = before.snapshot.stages();
        let take_over = |stage: &Arc<StageTable>| {
            let (index, same) = before.snapshot.stage(stage.api(), stage.name())?;
            (index < known.len() && Arc::ptr_eq(same, stage)).then(|| before.meters.get(index).cloned())?
        };
        let meters = snapshot
            .stages()
            .iter()
            .map(|stage| take_over(stage).unwrap_or_else(|| resolve(&self.registry, stage)));
        let published = Published { meters: meters.collect(), snapshot };
        retired.push(self.current.swap(Arc::new(published)));
        drop(before);
        retired.retain(|old| Arc::strong_count(old) > 1);
    }

    /// Frees replaced snapshots that no shard reads any more.
    pub(crate) fn sweep(&self) {
        let free = {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            let (free, used): (Vec<_>, Vec<_>) =
                retired.drain(..).partition(|old| Arc::strong_count(old) == 1);
            *retired = used;
            free
        };
        if !free.is_empty() {
            drop(free);
            self.registry.routes().sweep();
        }
    }
}

fn resolve(registry: &Registry, stage: &StageTable) -> Meters {
    let labels = |(route, method): (&str, &str)| RouteLabels {
        api: stage.api().to_owned(),
        stage: stage.name().to_owned(),
        route: route.to_owned(),
        method: method.to_owned(),
    };
    stage.routes().map(|route| registry.routes().resolve(labels(route))).collect()
}
