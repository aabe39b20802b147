//! Stored answers: looked for before an upstream is asked, filled by one call for all who wait. Owns what is stored on this node and the
//! order in which it is looked for; what may be stored and reused is decided elsewhere.

mod callers;
mod disk;
mod entry;
mod fill;
mod flight;
mod form;
mod hash;
pub(crate) mod held;
mod hit;
mod invalidate;
mod local;
mod present;
mod restore;
mod serve;
mod store;
mod trial;
mod zone;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::request::Parts;
use tidegate_gateway::{Caches, Rule};
use tidegate_telemetry::metrics::{Counter, Registry};

pub use callers::Callers;
pub(crate) use disk::Disk;
pub(crate) use entry::Entry;
pub(crate) use hash::Seed;
pub(crate) use hit::{Found, Place, find};
pub(crate) use invalidate::{invalidate, may_invalidate};
pub(crate) use local::Local;
pub(crate) use serve::serve;
pub(crate) use store::Store;
pub use trial::CacheTrial;
pub(crate) use zone::take;
pub use zone::{Neighbours, Reply};

use flight::{Boarding, Flights};
use zone::Zone;

/// What all shards share of the cache.
pub(crate) struct Cache {
    flights: Arc<Flights>,
    seed: Seed,
    zone: Arc<Zone>,
    /// Bytes that all stages may hold together.
    bytes_max: u64,
    /// Until when this node knows that nothing was flushed without its knowledge, on the clock of the shards.
    current_until_ns: AtomicU64,
    counters: Counters,
    callers: OnceLock<Arc<dyn Callers>>,
    /// Where answers go that memory has no room for.
    disk: Option<Arc<Disk>>,
}

/// What the cache counts besides what it did with requests, which is counted per method.
#[derive(Debug)]
struct Counters {
    stored: Counter,
    unfit: Counter,
}

impl Cache {
    /// Nothing is stored. `origin` is that of the clock of the shards.
    pub(crate) fn new(bytes_max: u64, origin: Instant, registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        let counters = Counters {
            stored: counter("cache_stored", "Answers that were stored"),
            unfit: counter("cache_unfit", "Answers of cached methods that were not fit for storing"),
        };
        let (flights, seed) = (Arc::default(), Seed::default());
        let (current_until_ns, callers) = (AtomicU64::new(u64::MAX), OnceLock::new());
        let zone = Arc::new(Zone::new(origin, registry));
        Self { flights, seed, zone, bytes_max, current_until_ns, counters, callers, disk: None }
    }

    /// With a disk behind the memory.
    pub(crate) fn with_disk(self, disk: Option<Arc<Disk>>) -> Self {
        Self { disk, ..self }
    }

    /// Takes part in the call for a key.
    fn board(&self, hash: u64, key: &[u8]) -> Boarding {
        self.flights.board(hash, key)
    }

    /// Takes on who knows the callers; without one nobody is known.
    pub(crate) fn know(&self, callers: Arc<dyn Callers>) {
        // Told twice, the first one stays.
        let _told_before = self.callers.set(callers);
    }

    /// Whether a request is signed by a caller of the account.
    fn is_signed(&self, head: &Parts, now_s: i64) -> bool {
        self.callers.get().is_some_and(|callers| callers.is_signed(head, now_s))
    }

    fn note_kept(&self, is_stored: bool) {
        let counter = if is_stored { &self.counters.stored } else { &self.counters.unfit };
        counter.increment();
    }

    pub(crate) fn seed(&self) -> &Seed {
        &self.seed
    }

    /// This node's place among those that share what they store.
    pub(crate) fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// Sets until when this node knows of every flush.
    pub(crate) fn set_current_until(&self, until_ns: u64) {
        self.current_until_ns.store(until_ns, Relaxed);
    }

    /// Whether nothing was flushed without this node's knowledge.
    pub(crate) fn is_certain(&self, now_ns: u64) -> bool {
        now_ns < self.current_until_ns.load(Relaxed)
    }

    /// Whether stored answers may be served: nothing was flushed without this node's knowledge, or the stage does not mind.
    #[inline]
    pub(crate) fn is_current(&self, rule: &Rule, now_ns: u64) -> bool {
        self.is_certain(now_ns) || rule.serves_isolated
    }

    /// The stores of a snapshot's stages, by place; those of caches that go on are taken over.
    pub(crate) fn stores(&self, caches: &Caches, stages: usize, before: &[Option<Arc<Store>>]) -> Stores {
        let budget = self.budget(caches, stages);
        let store = |place: usize| {
            let cache = caches.stage(place)?;
            let bytes_max = budget.part(cache.bytes_max);
            let same = before.iter().flatten().find(|store| store.is_of(cache));
            let store = match same {
                Some(store) => Arc::clone(store),
                None => {
                    let tier = self.disk.as_ref().map(|disk| disk.tier(&cache.scope));
                    Arc::new(Store::new(Arc::clone(&cache.scope), bytes_max, tier))
                }
            };
            store.resize(bytes_max);
            Some(store)
        };
        if caches.is_empty() { Box::default() } else { (0..stages).map(store).collect() }
    }

    /// Lets go of what is on disk of other caches than these.
    pub(crate) fn keep_scopes(&self, caches: &Caches, stages: usize) {
        if let Some(disk) = &self.disk {
            disk.keep_scopes((0..stages).filter_map(|place| Some(&*caches.stage(place)?.scope)));
        }
    }

    /// Writes what is in memory to disk, as far as there is time.
    pub(crate) async fn close(&self, stores: &Stores) {
        let Some(disk) = &self.disk else { return };
        let answers = stores.iter().flatten().filter_map(|store| {
            let tier = store.tier()?.clone();
            Some(store.entries().into_iter().map(move |entry| (tier.clone(), entry)))
        });
        disk.close(answers.flatten().collect()).await;
    }

    /// Sizes stores anew, because the nodes of the zone are others now.
    pub(crate) fn resize(&self, caches: &Caches, stores: &[Option<Arc<Store>>]) {
        let budget = self.budget(caches, stores.len());
        for (place, store) in stores.iter().enumerate() {
            if let (Some(store), Some(cache)) = (store, caches.stage(place)) {
                store.resize(budget.part(cache.bytes_max));
            }
        }
    }

    fn budget(&self, caches: &Caches, stages: usize) -> Budget {
        let sharers = self.zone.sharers();
        let wanted = |place: usize| caches.stage(place).map(|cache| cache.bytes_max / sharers);
        let asked = (0..stages).filter_map(wanted).fold(0, u64::saturating_add);
        Budget { sharers, asked, bytes_max: self.bytes_max }
    }
}

/// What a node holds of what its zone may.
struct Budget {
    sharers: u64,
    /// Bytes that all stages want here.
    asked: u64,
    bytes_max: u64,
}

impl Budget {
    /// This node's part of a stage's bytes, such that all together stay within what the node has.
    fn part(&self, bytes: u64) -> u64 {
        let own = bytes / self.sharers;
        match self.asked > self.bytes_max {
            true => (u128::from(own) * u128::from(self.bytes_max) / u128::from(self.asked)) as u64,
            false => own,
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

/// What is stored, by the place of the stage.
pub(crate) type Stores = Box<[Option<Arc<Store>>]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_of_a_zone_share_what_it_may_hold() {
        for (sharers, stages, bytes_max, expect) in [
            (1, [500, 300], 1_000, [500, 300]),
            (2, [500, 300], 1_000, [250, 150]),
            (3, [500, 300], 1_000, [166, 100]),
            (1, [500, 300], 400, [250, 150]),
            (2, [500, 300], 400, [250, 150]),
            (2, [500, 300], 200, [125, 75]),
            (2, [0, 0], 0, [0, 0]),
        ] {
            let asked = stages.iter().map(|bytes| bytes / sharers).sum();
            let budget = Budget { sharers, asked, bytes_max };
            assert_eq!(stages.map(|bytes| budget.part(bytes)), expect, "{sharers} {stages:?} {bytes_max}");
        }
    }
}
