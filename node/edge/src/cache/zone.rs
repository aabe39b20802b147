//! The nodes of an availability zone share what they store: each key has an owner among them, which is asked before an upstream is.
//! Owns who is asked and for how long; no request ever fails, or waits long, because of an owner.

mod ask;
mod circle;
mod duty;
mod forgotten;
mod owner;
mod table;
mod wire;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tidegate_proto::{
    cache::MessageV1,
    limits::{CACHE_ZONE_ASKS_MAX, CACHE_ZONE_AVOID_MS, CACHE_ZONE_HELD_MAX},
};
use tidegate_telemetry::metrics::{Counter, Registry};
use tokio::sync::Semaphore;

pub(crate) use ask::{Discovery, Question, Verdict};
pub(crate) use duty::Duty;
pub(crate) use owner::take;

use circle::Circle;
use forgotten::Forgotten;
use table::Table;
use wire::Moment;

/// What comes of a question; `None` when no reply came in time.
pub type Reply = Pin<Box<dyn Future<Output = Option<MessageV1>> + Send>>;

/// The way to other nodes. None of its functions blocks or waits, and what they start goes on when their caller is gone.
pub trait Neighbours: Send + Sync + 'static {
    /// Asks a node.
    fn ask(&self, node: u64, message: MessageV1, patience: Duration) -> Reply;

    /// Tells a node something; `false` when that cannot even be tried now.
    fn tell(&self, node: u64, message: MessageV1) -> bool;

    /// Tells all nodes of the region but this one and `except` that the answers of a key are not valid any more; `false` when that cannot
    /// even be tried now.
    fn forget(&self, key: Vec<u8>, except: Option<u64>) -> bool;
}

/// This node's place in its zone.
pub(crate) struct Zone {
    /// Origin of the clock of the shards.
    origin: Instant,
    circle: ArcSwap<Circle>,
    neighbours: OnceLock<Arc<dyn Neighbours>>,
    /// Of the keys that this node owns.
    table: Table,
    forgotten: Forgotten,
    asks: Semaphore,
    held: Semaphore,
    counters: Counters,
}

struct Counters {
    found: Counter,
    fill: Counter,
    unfit: Counter,
    failed: Counter,
    served: Counter,
    tickets_bounded: Counter,
    held_bounded: Counter,
    asks_bounded: Counter,
    forgotten_bounded: Counter,
    tells_bounded: Counter,
    forgets_bounded: Counter,
}

impl Zone {
    /// A node on its own.
    pub(crate) fn new(origin: Instant, registry: &Registry) -> Self {
        let asks = |result| {
            let help = "Questions to the owner of a key in this zone, by what came of them";
            registry.counter("cache_zone_asks", help, &[("result", result)])
        };
        let bounded = |what| {
            let help =
                "Times that a bound of the sharing of cached answers was hit, by what there was too much of";
            registry.counter("cache_zone_bounded", help, &[("what", what)])
        };
        let served = "Stored answers that this node gave to others of its zone";
        let counters = Counters {
            found: asks("found"),
            fill: asks("fill"),
            unfit: asks("unfit"),
            failed: asks("failed"),
            served: registry.counter("cache_zone_served", served, &[]),
            tickets_bounded: bounded("tickets"),
            held_bounded: bounded("held"),
            asks_bounded: bounded("asks"),
            forgotten_bounded: bounded("forgotten"),
            tells_bounded: bounded("tells"),
            forgets_bounded: bounded("forgets"),
        };
        Self {
            origin,
            circle: ArcSwap::default(),
            neighbours: OnceLock::new(),
            table: Table::default(),
            forgotten: Forgotten::default(),
            asks: Semaphore::new(CACHE_ZONE_ASKS_MAX),
            held: Semaphore::new(CACHE_ZONE_HELD_MAX),
            counters,
        }
    }

    /// Opens the way to the other nodes; a second one changes nothing.
    pub(crate) fn join(&self, neighbours: Arc<dyn Neighbours>) {
        let _ = self.neighbours.set(neighbours);
    }

    /// Sets which nodes of the zone are there, this one included; `false` when that is nothing new.
    pub(crate) fn set_nodes(&self, own: u64, nodes: &[u64]) -> bool {
        let known = self.circle.load();
        if known.is_of(own, nodes) {
            return false;
        }
        let circle = known.succeed(own, nodes);
        self.table.retain_holders(|holder| circle.has(holder));
        self.circle.store(Arc::new(circle));
        true
    }

    /// Nodes that share what the zone may hold.
    pub(crate) fn sharers(&self) -> u64 {
        self.circle.load().len() as u64
    }

    /// Notes that one of this node's requests made a key invalid, and tells the others.
    pub(crate) fn forget(self: &Arc<Self>, key: &[u8]) {
        self.table.forget(key);
        self.spread(key, None);
        let now_ns = self.now_ns();
        let Some(owner) = self.owner(key, now_ns) else { return };
        let (noted, is_all) = self.forgotten.note(key, now_ns);
        if is_all {
            self.counters.forgotten_bounded.increment();
        }
        let (zone, key) = (Arc::clone(self), key.to_vec());
        tokio::task::spawn_local(async move {
            let message = MessageV1::Forget { keys: vec![key.clone()] };
            if zone.ask(owner, message, ask::PATIENCE).await == Some(MessageV1::Taken) {
                zone.forgotten.confirm(&key, noted);
            }
        });
    }

    /// Tells others that a key has another answer now; its owner gets that one.
    pub(crate) fn replace(&self, key: &[u8]) {
        self.spread(key, self.owner(key, self.now_ns()));
    }

    /// Tells the region that a key has other answers now.
    fn spread(&self, key: &[u8], except: Option<u64>) {
        if self.neighbours.get().is_some_and(|neighbours| !neighbours.forget(key.to_vec(), except)) {
            self.counters.forgets_bounded.increment();
        }
    }

    /// Tells a node something; `false` when that cannot even be tried now.
    fn tell(&self, node: u64, message: MessageV1) -> bool {
        let is_told = self.neighbours.get().is_some_and(|neighbours| neighbours.tell(node, message));
        if !is_told {
            self.counters.tells_bounded.increment();
        }
        is_told
    }

    /// Looks after what nobody came back for.
    pub(crate) fn sweep(&self) {
        let now_ns = self.now_ns();
        self.table.sweep(now_ns);
        self.forgotten.sweep(now_ns);
    }

    /// The node that owns a key; `None` when it is this one.
    fn owner(&self, key: &[u8], now_ns: u64) -> Option<u64> {
        self.circle.load().owner(key, now_ns)
    }

    fn own(&self) -> u64 {
        self.circle.load().own()
    }

    /// Asks a node; one that does not reply is left alone for a while.
    async fn ask(&self, node: u64, message: MessageV1, patience: Duration) -> Option<MessageV1> {
        let Ok(_place) = self.asks.try_acquire() else {
            self.counters.asks_bounded.increment();
            return None;
        };
        let asked = self.neighbours.get()?.ask(node, message, patience);
        // The way there has a bound of its own, which this one does not rely on.
        let reply = tokio::time::timeout(patience + ask::PATIENCE, asked).await.ok().flatten();
        if reply.is_none() {
            tracing::debug!(node, "the owner of a key did not reply");
            self.circle.load().avoid(node, self.now_ns() + CACHE_ZONE_AVOID_MS * 1_000_000);
        }
        reply
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> Moment {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Moment { ns: self.now_ns(), s: wall.as_secs() }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone").field("circle", &self.circle.load()).finish_non_exhaustive()
    }
}
