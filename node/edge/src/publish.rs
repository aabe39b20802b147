//! The snapshot pointer: what shards read without a lock, and what replaces it without making them wait.

use std::{
    cell::OnceCell,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
};

use arc_swap::{ArcSwap, Guard};
use tidegate_gateway::{Answer, Snapshot, StageTable, Target};
use tidegate_telemetry::metrics::{Registry, RouteLabels, RouteMetrics};

use crate::{
    cache::{Cache, Store, Stores},
    upstream::{Kind, Pool, Upstream, Upstreams},
};

/// A snapshot with the meters of its routes, resolved before any request needs them.
pub(crate) struct Published {
    snapshot: Arc<Snapshot>,
    meters: Box<[Meters]>,
    /// By stage; empty where nothing is cached.
    stores: Stores,
}

type Meters = Arc<[Arc<RouteMetrics>]>;

/// A shard's own handle on what is published: requests clone it in memory of their own thread, without an atomic.
#[derive(Clone)]
pub(crate) struct View(Rc<Held>);

/// The one reference of a shard, and the pools it has looked up.
struct Held {
    published: Arc<Published>,
    /// By stage; looked up by name once, reached by number from then on.
    pools: Box<[OnceCell<Pools>]>,
}

/// The pools of one stage.
struct Pools {
    by_target: Box<[OnceCell<Rc<Pool>>]>,
    /// By method, for those that call through a VPC link.
    linked: Box<[OnceCell<Rc<Pool>>]>,
}

impl View {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        let pools = published.snapshot.stages().iter().map(|_| OnceCell::new()).collect();
        Self(Rc::new(Held { published, pools }))
    }

    /// The pool of the method at `place`, whose stage has it call `target`.
    pub(crate) fn pool(&self, place: (usize, usize), target: u32, upstream: &Upstream) -> Option<Rc<Pool>> {
        let (stage, method) = place;
        let link = self.snapshot().links().of(stage, method);
        let pools = self.0.pools.get(stage)?.get_or_init(|| self.pools(stage));
        let found = match link {
            None => pools.by_target.get(target as usize)?,
            Some(_) => pools.linked.get(method)?,
        };
        if let Some(pool) = found.get() {
            return Some(Rc::clone(pool));
        }
        let Target { tls, tls_unverified, authority } =
            self.snapshot().stages().get(stage)?.targets().get(target as usize)?;
        let kind = Kind::of(*tls, *tls_unverified);
        let pool = match link {
            None => upstream.pool(kind, authority, true),
            Some(link) => upstream.link_pool(kind, authority, &link.id),
        };
        Some(Rc::clone(found.get_or_init(|| pool)))
    }

    fn pools(&self, stage: usize) -> Pools {
        let table = self.snapshot().stages().get(stage);
        let cells = |count| std::iter::repeat_with(OnceCell::new).take(count).collect();
        let methods = table.map_or(0, |table| table.routes().len());
        let has_links = (0..methods).any(|method| self.snapshot().links().of(stage, method).is_some());
        Pools {
            by_target: cells(table.map_or(0, |table| table.targets().len())),
            linked: cells(if has_links { methods } else { 0 }),
        }
    }

    /// A constant answer of the method at `route`.
    pub(crate) fn answer(&self, route: Option<(usize, usize)>, index: u32) -> Option<&Answer> {
        self.snapshot().stages().get(route?.0)?.answer(index)
    }
}

impl std::ops::Deref for View {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.0.published
    }
}

/// Holds the published snapshot and those it replaced until no shard reads them.
pub(crate) struct Publisher {
    current: ArcSwap<Published>,
    /// Replaced ones: kept so that the last reference, and with it the work of freeing, is never a shard's.
    retired: Mutex<Vec<Arc<Published>>>,
    /// Counts publications, so that a shard sees with one load that nothing is new.
    generation: AtomicU64,
    /// Revision of the newest publication that all shards see.
    revision: AtomicU64,
    registry: Registry,
    cache: Arc<Cache>,
    upstreams: Arc<Upstreams>,
}

impl Published {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn shared_snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// What is stored of a stage's answers.
    #[inline]
    pub(crate) fn store(&self, stage: usize) -> Option<&Arc<Store>> {
        self.stores.get(stage)?.as_ref()
    }

    /// The meter of a method, by the places of its stage and itself.
    pub(crate) fn meter(&self, stage: usize, method: usize) -> Option<&RouteMetrics> {
        self.meters.get(stage)?.get(method).map(|meter| &**meter)
    }
}

impl Publisher {
    pub(crate) fn new(
        registry: Registry,
        cache: Arc<Cache>,
        upstreams: Arc<Upstreams>,
        first: Arc<Snapshot>,
    ) -> Self {
        upstreams.follow(first.links());
        let meters = first.stages().iter().map(|stage| resolve(&registry, stage)).collect();
        let stores = cache.stores(first.caches(), first.stages().len(), &[]);
        let revision = AtomicU64::new(first.revision());
        let current = ArcSwap::from_pointee(Published { snapshot: first, meters, stores });
        let (retired, generation) = (Mutex::default(), AtomicU64::new(0));
        Self { current, retired, generation, revision, registry, cache, upstreams }
    }

    /// The upstreams, shared by all shards.
    pub(crate) fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }

    /// What all shards share of the cache.
    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Changes with every publication.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Revision of what every request from now on is served by, or an older one than that.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Acquire)
    }

    /// The metrics of this node.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is served now. Wait-free.
    pub(crate) fn load(&self) -> Guard<Arc<Published>> {
        self.current.load()
    }

    /// The same for those who take their time.
    pub(crate) fn load_full(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Replaces what is served. Meters of unchanged stages are taken over.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        // The lock orders concurrent publishers; shards never take it.
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        self.upstreams.follow(snapshot.links());
        let known = before.snapshot.stages();
        let take_over = |stage: &Arc<StageTable>| {
            let (index, same) = before.snapshot.stage(stage.api(), stage.name())?;
            (index < known.len() && Arc::ptr_eq(same, stage)).then(|| before.meters.get(index).cloned())?
        };
        let meters = snapshot
            .stages()
            .iter()
            .map(|stage| take_over(stage).unwrap_or_else(|| resolve(&self.registry, stage)));
        let stores = self.cache.stores(snapshot.caches(), snapshot.stages().len(), &before.stores);
        let revision = snapshot.revision();
        self.cache.keep_scopes(snapshot.caches(), snapshot.stages().len());
        let published = Published { meters: meters.collect(), snapshot, stores };
        retired.push(self.current.swap(Arc::new(published)));
        self.generation.fetch_add(1, Release);
        // Shards look at the generation: whoever reads this revision knows that they have seen it.
        self.revision.store(revision, Release);
        drop(before);
        retired.retain(|old| Arc::strong_count(old) > 1);
    }

    /// Sizes what is stored anew, because the nodes of the zone are others now.
    pub(crate) fn resize(&self) {
        let current = self.current.load_full();
        self.cache.resize(current.snapshot.caches(), &current.stores);
    }

    /// Keeps what is stored for the next process, where there is a disk for it. Call it when no shard runs any more.
    pub(crate) async fn close(&self) {
        let published = self.current.load_full();
        self.cache.close(&published.stores).await;
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
        self.cache.zone().sweep();
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
