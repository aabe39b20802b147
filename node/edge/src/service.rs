//! The data plane as a service: binds the shards, runs a thread for each, publishes snapshots to all, drains them.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rand::RngCore;
use tidegate_gateway::Snapshot;
use tidegate_listener as listener;
use tidegate_proto::{
    cache::MessageV1,
    peer::{CacheEntryV1, CacheHeldV1, CacheLookV1, CacheTopV1},
    status::UpstreamStatus,
};
use tidegate_telemetry::{
    access_log::{self, Record},
    metrics::Registry,
    panics,
};
use tidegate_throttle::Bucket;
use tokio::sync::oneshot;

use crate::{
    Options,
    cache::{self, Cache, Callers, Disk, Neighbours, held},
    certificates::Keeper,
    direct::DirectPath,
    limiter::{Admission, Limiter},
    pipeline,
    publish::Publisher,
    respond::Log,
    shard::Shard,
    upstream::{Place, Resolver, Roots, Tls, Upstream, Upstreams, keep},
};

/// How often replaced snapshots are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// Why the data plane cannot start or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option breaks its rule.
    #[error("option {field} is {value}, must be {rule}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A shard cannot listen.
    #[error(transparent)]
    Listen(#[from] listener::Error),
    /// TLS to upstreams cannot be set up.
    #[error("TLS to upstreams: {0}")]
    Tls(#[from] rustls::Error),
    /// The folder of stored answers cannot be used.
    #[error("stored answers on disk: {0}")]
    Disk(io::Error),
    /// A thread or its runtime cannot be started.
    #[error("cannot start a shard: {0}")]
    Shard(#[from] io::Error),
}

/// A bound data plane that has not begun to accept.
pub struct Service {
    listeners: Vec<listener::Service>,
    /// One for each of `listeners`, or none at all.
    tls_listeners: Vec<listener::Service>,
    handle: Handle,
    roots: Roots,
    ceiling: Option<Arc<Bucket>>,
    limiter: Limiter,
    registry: Registry,
    log: Option<Log>,
    is_direct: bool,
}

/// Publishes to, observes and drains a running data plane.
#[derive(Clone)]
pub struct Handle {
    publisher: Arc<Publisher>,
    /// Present when there are TLS listeners.
    certificates: Option<Arc<Keeper>>,
    listeners: Arc<[listener::Handle]>,
    tls_listeners: Arc<[listener::Handle]>,
}

impl Service {
    /// Checks the options and binds every shard to the same port, and to the same TLS port when there is one. Until something is published, `first` is served.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::Listen`], [`Error::Disk`].
    pub fn new(
        options: Options,
        first: Arc<Snapshot>,
        limiter: Limiter,
        registry: Registry,
    ) -> Result<Self, Error> {
        let (shards, is_direct) = (options.shard_count()?, options.direct);
        let listeners = bind(shards, options.listener.clone(), listener::Service::new)?;
        let certificates = options.tls_listener.is_some().then(|| Arc::new(Keeper::new(&first)));
        let tls_listeners = match (&certificates, options.tls_listener) {
            (Some(keeper), Some(settings)) => {
                bind(shards, settings, |settings| listener::Service::new_tls(settings, keeper.settings()))?
            }
            _ => Vec::new(),
        };
        let handles =
            |listeners: &[listener::Service]| listeners.iter().map(listener::Service::handle).collect();
        let ceiling = options.requests_per_second_max.map(|rate| {
            let rate = u64::from(rate.get());
            Arc::new(Bucket::new(rate, rate))
        });
        let open = |disk| Disk::open(&disk, limiter.origin(), &registry);
        let disk = options.cache_disk.map(open).transpose().map_err(Error::Disk)?;
        let cache = Cache::new(options.cache_bytes_max, limiter.origin(), &registry).with_disk(disk);
        let cache = Arc::new(cache);
        let upstreams = Arc::new(Upstreams::new(Place {
            az: options.az.into(),
            zones: options.zones,
            origin: limiter.origin(),
            resolver: Resolver::new(options.dns),
            avoided: Mutex::default(),
        }));
        let sampled = Arc::clone(&upstreams);
        registry.collector(move |encoder| sampled.sample(encoder));
        let handle = Handle {
            publisher: Arc::new(Publisher::new(registry.clone(), cache, upstreams, first)),
            certificates,
            listeners: handles(&listeners),
            tls_listeners: handles(&tls_listeners),
        };
        let (roots, log) = (Roots::load(), None);
        Ok(Self { listeners, tls_listeners, handle, roots, ceiling, limiter, registry, log, is_direct })
    }

    /// Logs every request as `format` says; lines carry the availability zone and name of this node.
    #[must_use]
    pub fn with_access_log(
        mut self,
        handle: access_log::Handle,
        format: access_log::Format,
        az: &str,
        node: &str,
    ) -> Self {
        let snapshot = self.handle.serving();
        let own =
            Record { region: Some(snapshot.region()), az: Some(az), node: Some(node), ..Record::default() };
        self.log = Some(Log { handle, format: Arc::new(format.bind(&own)) });
        self
    }

    /// Lets callers that `callers` knows have stored answers replaced.
    #[must_use]
    pub fn with_callers(self, callers: Arc<dyn Callers>) -> Self {
        self.handle.publisher.cache().know(callers);
        self
    }

    /// A handle that outlives [`Self::run`].
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `shutdown` resolves or [`Handle::drain`] is called, and every shard has drained.
    ///
    /// # Errors
    /// [`Error::Shard`] when a thread cannot be started or a shard's listener failed, [`Error::Tls`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let handle = self.handle.clone();
        let tls = Tls::new(&self.roots)?;
        let mut keeping = pin!(keep(Arc::clone(handle.publisher.upstreams()), tls));
        let ends = self.start().inspect_err(|_| handle.drain())?;
        let mut shutdown = pin!(shutdown);
        let mut all = pin!(async {
            let mut result = Ok(());
            for ended in ends {
                let died = || Err(Error::Shard(io::Error::other("a shard ended without a word")));
                result = result.and(ended.await.unwrap_or_else(|_| died()));
            }
            result
        });
        let mut is_stopping = false;
        loop {
            tokio::select! {
                result = all.as_mut() => {
                    handle.publisher.close().await;
                    return result;
                }
                () = shutdown.as_mut(), if !is_stopping => {
                    is_stopping = true;
                    handle.drain();
                }
                () = keeping.as_mut() => {}
                () = tokio::time::sleep(SWEEP) => handle.publisher.sweep(),
            }
        }
    }

    /// Starts a thread for each shard; what comes back tells how each ended.
    fn start(self) -> Result<Vec<oneshot::Receiver<Result<(), Error>>>, Error> {
        let origin = self.limiter.origin();
        let mut ends = Vec::with_capacity(self.listeners.len());
        let mut tls_listeners = self.tls_listeners.into_iter();
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let tls_listener = tls_listeners.next();
            let tls = Tls::new(&self.roots)?;
            let publisher = Arc::clone(&self.handle.publisher);
            let upstream = (Arc::clone(publisher.upstreams()), tls, seed());
            let admission = Admission::new(self.limiter.clone(), self.ceiling.clone(), &self.registry);
            let (log, is_direct) = (self.log.clone(), self.is_direct);
            let (end, ended) = oneshot::channel();
            thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
                // A panic ends the task that met it: a request or a connection. Without its accepting task or its clock a shard ends.
                panics::contain_thread();
                let (upstreams, tls, drawn) = upstream;
                let upstream = Upstream::new(upstreams, tls, drawn);
                let shard = Shard::new(publisher, upstream, admission, log, origin, seed());
                let _ = end.send(serve(listener, tls_listener, shard, is_direct));
            })?;
            ends.push(ended);
        }
        Ok(ends)
    }
}

impl Handle {
    /// Serves `snapshot` from the next request and the next TLS handshake on; requests in flight keep the one they began
    /// with. Resolving the meters of new stages and loading new keys takes time, so call it where a pause does not hurt.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        if let Some(keeper) = &self.certificates {
            keeper.follow(&snapshot);
        }
        self.publisher.publish(snapshot);
    }

    /// Shares what is stored with the other nodes of the zone from here on, once [`Self::set_zone`] has named some.
    pub fn join_zone(&self, neighbours: Arc<dyn Neighbours>) {
        self.publisher.cache().zone().join(neighbours);
    }

    /// Sets which nodes of this node's zone are there, `own` included: they own keys and share what the zone may hold.
    pub fn set_zone(&self, own: u64, nodes: &[u64]) {
        if self.publisher.cache().zone().set_nodes(own, nodes) {
            self.publisher.resize();
        }
    }

    /// Whether answers of any stage are cached.
    pub fn is_caching(&self) -> bool {
        !self.publisher.load().snapshot().caches().is_empty()
    }

    /// Takes a message of another node about cached answers in, and resolves to its reply, soon in any case.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn take_cache_message(
        &self,
        from: u64,
        message: MessageV1,
    ) -> impl Future<Output = Result<MessageV1, &'static str>> + Send + 'static {
        let publisher = Arc::clone(&self.publisher);
        async move { cache::take(&publisher, from, message).await }
    }

    /// Revision of the snapshot that is served: no request that comes from now on is served by an older one.
    pub fn serving_revision(&self) -> u64 {
        self.publisher.revision()
    }

    /// The snapshot that is served.
    pub fn serving(&self) -> Arc<Snapshot> {
        self.publisher.load().shared_snapshot()
    }

    /// Sets until when this node knows of every flush, on the clock of the limiter; afterwards stored answers are bypassed, but those
    /// of stages that do not mind. Before the first call that is for ever.
    pub fn set_cache_current_until(&self, until_ns: u64) {
        self.publisher.cache().set_current_until(until_ns);
    }

    /// Whether that is so at `now_ns` on the same clock.
    pub fn is_cache_current(&self, now_ns: u64) -> bool {
        self.publisher.cache().is_certain(now_ns)
    }

    /// What is stored here, at `now_ns` on the clock of the limiter. Looks at every stored answer, so call it where a pause does not
    /// hurt.
    pub fn cache_top(&self, question: &CacheTopV1, now_ns: u64) -> CacheHeldV1 {
        let published = self.publisher.load_full();
        held::top(&published, self.publisher.registry().routes(), question, now_ns)
    }

    /// The stored answers to GET of one path, most used first. As costly as [`Self::cache_top`].
    pub fn cache_look(&self, question: &CacheLookV1, now_ns: u64) -> Vec<CacheEntryV1> {
        held::look(&self.publisher.load_full(), question, now_ns)
    }

    /// Requests of a stage that were answered, and those answered with a status of 500 or above, since the node started.
    pub fn stage_counts(&self, api: &str, stage: &str) -> (u64, u64) {
        self.publisher.registry().routes().stage_counts(api, stage)
    }

    /// Shifts calls away from upstream targets in these availability zones, and from no others, from the next call on. A shift that
    /// would leave an upstream without targets is not followed there.
    pub fn avoid(&self, azs: &[&str]) {
        self.publisher.upstreams().avoid(azs);
    }

    /// The upstreams of this node and what it knows of their targets.
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        self.publisher.upstreams().describe()
    }

    /// Whether requests are accepted.
    pub fn is_ready(&self) -> bool {
        self.all().all(|listener| !listener.is_draining())
    }

    /// Begins to drain: no new connections; requests in flight finish.
    pub fn drain(&self) {
        self.all().for_each(listener::Handle::drain);
    }

    /// Asks the client connections of the moment to leave, while new ones are still taken.
    pub fn shed(&self) {
        self.all().for_each(listener::Handle::shed);
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.all().map(listener::Handle::connections).sum()
    }

    /// Counters of the listeners; each shard has one, and with TLS a second.
    pub fn listener_counters(&self) -> impl Iterator<Item = listener::CounterValues> {
        self.all().map(listener::Handle::counters)
    }

    /// The address that all shards listen on.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.listeners.first().map(listener::Handle::local_address)
    }

    /// The address that all shards listen on with TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_listeners.first().map(listener::Handle::local_address)
    }

    fn all(&self) -> impl Iterator<Item = &listener::Handle> {
        self.listeners.iter().chain(self.tls_listeners.iter())
    }
}

/// Binds all shards to one port; with port 0 the first one chooses.
fn bind(
    shards: usize,
    mut settings: listener::Options,
    open: impl Fn(listener::Options) -> Result<listener::Service, listener::Error>,
) -> Result<Vec<listener::Service>, Error> {
    settings.reuse_port |= shards > 1;
    let mut listeners = Vec::with_capacity(shards);
    for _ in 0..shards {
        let listener = open(settings.clone())?;
        settings.address = listener.local_address();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// One shard, on its own thread and runtime, from start to drained.
fn serve(
    listener: listener::Service,
    tls_listener: Option<listener::Service>,
    shard: Rc<Shard>,
    is_direct: bool,
) -> Result<(), Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    runtime.block_on(async move {
        let mut ticking = tokio::task::spawn_local(Rc::clone(&shard).tick());
        let direct = is_direct.then(|| DirectPath::new(Rc::clone(&shard)));
        // Apart: on its way to its task the future would be copied several times, and it is large.
        let handler =
            move |request, connection| Box::pin(pipeline::serve(Rc::clone(&shard), request, connection));
        let listen = async |listener: listener::Service| {
            let (handler, forever) = (handler.clone(), std::future::pending());
            match direct.clone() {
                Some(direct) => listener.run_direct(direct, handler, forever).await,
                None => listener.run_local(handler, forever).await,
            }
        };
        let secured = async {
            match tls_listener {
                Some(listener) => listen(listener).await,
                None => Ok(()),
            }
        };
        let plain = listen(listener);
        tokio::select! {
            result = async { tokio::try_join!(plain, secured) } => {
                ticking.abort();
                result.map(drop).map_err(Error::from)
            }
            // Deadlines would not be kept any more.
            _ = &mut ticking => Err(Error::Shard(io::Error::other("the clock of a shard has ended"))),
        }
    })
}

/// The seed of a shard's identifiers.
fn seed() -> u64 {
    rand::rng().next_u64()
}
