//! What one shard owns: everything a request needs, reachable without a lock and without another thread.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    cache::{Cache, Local},
    direct::Boxes,
    identity::Generator,
    limiter::Admission,
    publish::{Publisher, View},
    respond::{DATE_BYTES, Log, Pages},
    upstream::Upstream,
};

/// How often a shard looks after itself.
const TICK: Duration = Duration::from_secs(1);

/// One shard.
pub(crate) struct Shard {
    publisher: Arc<Publisher>,
    /// This shard's own reference, so that requests count references in memory of their own thread.
    view: RefCell<View>,
    pub(crate) identities: RefCell<Generator>,
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) admission: Admission,
    pub(crate) cache: Arc<Cache>,
    /// What this shard knows of the stored answers.
    pub(crate) local: Local,
    /// Requests count references to it in memory of their own thread.
    pub(crate) log: Option<Rc<Log>>,
    pub(crate) pages: Pages,
    pub(crate) errands: Boxes,
    /// The date as answers carry it.
    pub(crate) date: RefCell<[u8; DATE_BYTES]>,
    /// Which publication `view` is.
    generation: Cell<u64>,
    /// Origin of the monotonic clock, the same on all shards.
    origin: Instant,
    /// Wall clock minus monotonic clock, in milliseconds; corrected at each tick.
    wall_offset_ms: Cell<u64>,
}

impl Shard {
    pub(crate) fn new(
        publisher: Arc<Publisher>,
        upstream: Upstream,
        admission: Admission,
        log: Option<Log>,
        origin: Instant,
        seed: u64,
    ) -> Rc<Self> {
        let generation = publisher.generation();
        let cache = Arc::clone(publisher.cache());
        let view = RefCell::new(View::new(Arc::clone(&publisher.load())));
        let shard = Self {
            publisher,
            view,
            identities: RefCell::new(Generator::new(seed)),
            upstream: Rc::new(upstream),
            admission,
            local: Local::new(cache.seed().clone()),
            cache,
            log: log.map(Rc::new),
            pages: Pages::new(),
            errands: Boxes::default(),
            date: RefCell::new([b' '; DATE_BYTES]),
            generation: Cell::new(generation),
            origin,
            wall_offset_ms: Cell::new(0),
        };
        shard.correct_wall_clock();
        Rc::new(shard)
    }

    /// What is served now; a request keeps it for its whole life.
    pub(crate) fn view(&self) -> View {
        let newest = self.publisher.generation();
        let mut view = self.view.borrow_mut();
        if self.generation.replace(newest) != newest {
            *view = View::new(Arc::clone(&self.publisher.load()));
        }
        view.clone()
    }

    /// A moment on the clock of the token buckets, in nanoseconds.
    pub(crate) fn monotonic_ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Now, on the same clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.monotonic_ns(Instant::now())
    }

    /// Whole microseconds since a moment on that clock.
    pub(crate) fn us_since(&self, moment_ns: u64) -> u64 {
        self.now_ns().saturating_sub(moment_ns) / 1_000
    }

    /// The moment that this clock calls `moment_ns`.
    pub(crate) fn instant(&self, moment_ns: u64) -> Instant {
        self.origin + Duration::from_nanos(moment_ns)
    }

    /// The same moment in milliseconds since the Unix epoch.
    pub(crate) fn wall_ms(&self, moment_ns: u64) -> u64 {
        self.wall_offset_ms.get() + moment_ns / 1_000_000
    }

    /// Lets go of replaced snapshots and idle connections even when no request comes. Never ends.
    pub(crate) async fn tick(self: Rc<Self>) {
        loop {
            tokio::time::sleep(TICK).await;
            self.view();
            self.correct_wall_clock();
            self.upstream.sweep();
            self.local.sweep(self.now_ns());
        }
    }

    fn correct_wall_clock(&self) {
        let now = SystemTime::now();
        if let Ok(date) = httpdate::fmt_http_date(now).into_bytes().try_into() {
            self.date.replace(date);
        }
        let wall = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        self.wall_offset_ms.set(wall_ms.saturating_sub(self.monotonic_ns(Instant::now()) / 1_000_000));
    }
}
