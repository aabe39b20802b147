//! One node: the only place where the wings meet. Opens identity, log, data plane and control plane, runs them side by
//! side, and ends them together: whichever service fails first stops the process.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc};

use tidegate_cluster::{Enroller, GroupSpec, group, identity};
use tidegate_gateway::Snapshot;
use tidegate_publish::{Composer, Hold};
use tidegate_telemetry::{access_log, metrics::Registry, trace::LogFormat};
use tokio::sync::watch;

use crate::{
    admin, boots,
    caches::{
        self,
        callers::AccessKeys,
        fence::Fence,
        region::{self, RegionCaches},
    },
    enroll::{Desk, EnrollDesk},
    founding,
    inbox::PeerInbox,
    limits::{self, Desk as LimitDesk, top::RegionLimits, usage::LedgerUsage},
    members::{Members, epoch_s},
    opening::Opening,
    options::NodeOptions,
    publish::{self, Counters, Publisher},
    replica::{ConfigMachine, Replica},
    resting, rollout,
    services::Services,
    shutdown::Shutdown,
    store::ConfigStore,
    upstreams::NodeUpstreams,
    vitals::Vitals,
};

/// Why a node does not start or has stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: std::io::Error },
    #[error(
        "this node has no identity in {0}: set cluster.bootstrap = true on the first node of a new cluster, or give cluster.join_token"
    )]
    NoIdentity(PathBuf),
    #[error("control.root_secret_access_key_file is needed when control.root_access_key_id is set")]
    RootSecret,
    #[error("cluster: {0}")]
    Cluster(#[from] tidegate_cluster::Error),
    #[error("identity: {0}")]
    Identity(#[from] identity::IdentityError),
    #[error("gateway: {0}")]
    Edge(#[from] tidegate_edge::Error),
    #[error("upstream.zones: {0}")]
    Zones(#[from] tidegate_edge::ZonesError),
    #[error("control: {0}")]
    Control(#[from] tidegate_control::Error),
    #[error("admin: {0}")]
    Listener(#[from] tidegate_listener::Error),
    #[error("telemetry: {0}")]
    Trace(#[from] tidegate_telemetry::trace::Error),
    #[error("telemetry.access_log: {0}")]
    AccessLog(#[from] access_log::Error),
    #[error("telemetry.access_log_format: {0}")]
    AccessLogFormat(#[from] access_log::FormatError),
    #[error("the first configuration could not be written: {0}")]
    Found(String),
}

/// Runs a node until it is asked to stop or a service fails.
pub(crate) async fn run(options: NodeOptions) -> Result<(), NodeError> {
    let folder = options.node.data_dir.clone();
    std::fs::create_dir_all(&folder).map_err(|reason| NodeError::File { path: folder.clone(), reason })?;
    let (signalled, shutdown) = (Shutdown::new(), Shutdown::new());
    signalled
        .listen(options.dev.enabled)
        .map_err(|reason| NodeError::File { path: "signals".into(), reason })?;
    let (identity, authority) = founding::open_identity(&options).await?;
    let traces = tidegate_telemetry::trace::init(&trace_options(&options, identity.node))?;
    let result = serve(options, identity, authority, signalled, shutdown).await;
    // Exporting what is left may block.
    tokio::task::block_in_place(|| drop(traces));
    if result.is_ok() {
        boots::end(&folder);
    }
    result
}

/// Opens everything in the order in which it becomes useful, and runs it to the end.
async fn serve(
    options: NodeOptions,
    identity: identity::Identity,
    authority: Option<identity::Authority>,
    signalled: Shutdown,
    shutdown: Shutdown,
) -> Result<(), NodeError> {
    let (node, folder) = (identity.node, options.node.data_dir.clone());
    let registry = Registry::default();
    registry.build_info(env!("CARGO_PKG_VERSION"), "");
    let counters = Arc::new(Counters::default());
    let limit_desk = LimitDesk::new(node, &options.node.region, &folder);
    let (first, hold) = first_snapshot(&options, &counters, &limit_desk);
    let mut services = Services::new(shutdown.clone());
    let (replica, machine) = Replica::new();
    let edge = open_edge(&options, node, &first, &limit_desk, &registry, &mut services)?;
    let edge = edge.with_callers(Arc::new(AccessKeys::new(replica.clone(), &options.node.region)));
    let fence = Fence::new(edge.handle(), limit_desk.clone());
    let (swaps, edge_handle, asked_edge, resting_edge) =
        (fence.clone(), edge.handle(), edge.handle(), edge.handle());
    let disk = Opening::new(&registry);
    let vitals =
        Arc::new(Vitals::new(&options, node, replica.clone(), edge_handle, counters.clone(), disk.clone()));
    let admin = admin::Service::new(options.admin.listen, registry.clone(), vitals.checks())?;
    services.spawn("admin", admin.run(shutdown.asked()));
    // From here on a restarted node answers, while its log is still being opened. Whoever gets an answer can ask for its health.
    let (served, serving) = (Shutdown::new(), counters.serving.subscribe());
    services.spawn("gateway", serve_edge(edge, serving, shutdown.asked(), served.clone()));

    let inbox = inbox(&vitals, &asked_edge, &limit_desk, &counters);
    let opening =
        open_cluster((&options, &disk), identity, machine, &replica, inbox, &limit_desk, &asked_edge);
    let Agreement { cluster, handle, store, members } = tokio::select! {
        opened = opening => opened?,
        // A disk that is tried again and again must not keep the node from ending.
        () = signalled.asked() => {
            shutdown.ask();
            return services.finish().await;
        }
    };
    let control = open_control(&options, &store, members, &handle, &replica, &limit_desk, asked_edge)?;
    observe(&registry, handle.clone(), vitals.clone(), limit_desk.clone(), fence.clone());
    tokio::spawn(fence.keep(handle.clone(), replica.clone()));
    let (holders, resolver) = (limits::holders::begin(&handle, &first), limit_desk.clone());
    let publisher = Publisher::new(
        replica.clone(),
        (Composer::new(&first, &options.node.az), hold),
        &folder,
        counters,
        holders.subscribe(),
        Box::new(move |compiled, stages| resolver.resolve(compiled, stages)),
        Box::new(move |snapshot| swaps.publish(snapshot)),
    );
    tokio::spawn(resting::keep(replica.clone(), resting_edge, handle.clone()));
    tokio::spawn(rollout::keep(handle.clone(), store.clone(), replica.clone()));

    let opened = vitals.clone();
    tokio::spawn(red_then_stop(signalled, vitals, options.gateway.drain_delay_ms, shutdown.clone()));
    let (stop_cluster, stop_control) = (shutdown.asked(), shutdown.asked());
    services.spawn("publish", publish_whole(publisher, handle.clone(), shutdown.asked()));
    let region = options.node.region.clone();
    tokio::spawn(limits::serve(limit_desk.clone(), handle.clone(), store.clone(), region, holders));
    let stop_cluster = limits::last_words(stop_cluster, served, limit_desk, handle.clone());
    services.spawn("cluster", async move { cluster.run(stop_cluster).await.map_err(NodeError::from) });
    services.spawn("control", serve_control(control, replica, opened, stop_control));
    if let Some(authority) = authority {
        services.spawn_once("found", founding::found(options, authority, handle, store));
    }
    services.finish().await
}

/// Agreement with the other nodes, opened but not yet running.
struct Agreement {
    cluster: tidegate_cluster::Service,
    handle: tidegate_cluster::Handle,
    store: ConfigStore,
    members: Members,
}

/// Opens the log, restores the replica from it, and opens the door for joining nodes.
async fn open_cluster(
    (options, disk): (&NodeOptions, &Opening),
    identity: identity::Identity,
    machine: ConfigMachine,
    replica: &Replica,
    inbox: Arc<PeerInbox>,
    limits: &Arc<LimitDesk>,
    edge: &tidegate_edge::Handle,
) -> Result<Agreement, NodeError> {
    let (name, ca_sha256) = (identity.cluster.clone(), identity.ca_sha256());
    let (door, open_door) = EnrollDesk::new();
    let mut groups = vec![GroupSpec::cluster(group::CONFIG, machine)];
    groups.extend(limits.groups());
    let settings = cluster_options(options, &identity);
    let has_snapshot = edge.serving().revision() > 0;
    let storage = disk.open(&settings, limits, has_snapshot).await?;
    let door = Some(Arc::new(door) as Arc<dyn Enroller>);
    let opened = tidegate_cluster::Service::on(storage, settings, identity, groups, inbox, door).await;
    let cluster = match opened {
        Err(error @ tidegate_cluster::Error::Storage(_)) if has_snapshot => disk.stay_closed(&error).await,
        opened => opened?,
    };
    let handle = cluster.handle();
    caches::zone::join(&handle, edge);
    let store = ConfigStore::new(handle.clone(), replica.clone());
    open_door.send_replace(Some(Desk {
        cluster: name.clone(),
        handle: handle.clone(),
        store: store.clone(),
    }));
    let members = Members::new(name, ca_sha256, handle.clone(), store.clone());
    Ok(Agreement { cluster, handle, store, members })
}

/// Publishes once the log is whole: one that lost entries leads to an older configuration than the one that is served from disk.
async fn publish_whole(
    publisher: Publisher,
    handle: tidegate_cluster::Handle,
    asked: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        // A service that has stopped publishes nothing any more.
        _stopped = handle.whole(group::CONFIG) => {}
        () = &mut asked => return Ok(()),
    }
    publisher.run(asked).await
}

/// What other nodes may ask this one.
fn inbox(
    vitals: &Arc<Vitals>,
    edge: &tidegate_edge::Handle,
    limits: &Arc<LimitDesk>,
    counters: &Arc<Counters>,
) -> Arc<PeerInbox> {
    let taking = caches::zone::taking(edge.clone());
    let held = region::held(edge.clone(), limits.clone());
    let count = rollout::counting(edge.clone(), counters.clone());
    Arc::new(PeerInbox::new(vitals.describe(), count, limits.clone(), taking, held))
}

/// Lets metrics be sampled at each scrape.
fn observe(
    registry: &Registry,
    handle: tidegate_cluster::Handle,
    vitals: Arc<Vitals>,
    limits: Arc<LimitDesk>,
    fence: Fence,
) {
    registry.collector(move |encoder| {
        vitals.sample(&handle, encoder);
        limits.sample(encoder);
        fence.sample(encoder);
    });
}

/// The control plane over the store, the cluster, the ledger, the caches and the upstreams.
fn open_control(
    options: &NodeOptions,
    store: &ConfigStore,
    members: Members,
    handle: &tidegate_cluster::Handle,
    replica: &Replica,
    limits: &Arc<LimitDesk>,
    edge: tidegate_edge::Handle,
) -> Result<tidegate_control::Service, NodeError> {
    let (store, members) = (Arc::new(store.clone()), Arc::new(members));
    let usage = LedgerUsage::new(limits.clone(), handle.clone(), replica.clone());
    let busy = RegionLimits::new(limits.clone(), handle.clone(), replica.clone(), edge.clone());
    let upstreams = NodeUpstreams::new(handle.node(), &options.node.az, edge);
    let control = tidegate_control::Service::new(control_options(options), store, members)?;
    let control = control.with_usage(Arc::new(usage)).with_limits(Arc::new(busy));
    let control = control.with_caches(Arc::new(RegionCaches::new(handle.clone())));
    Ok(control.with_upstreams(Arc::new(upstreams)))
}

/// Accepts requests once there is a configuration to serve; until then connections wait instead of being told 403.
async fn serve_edge(
    edge: tidegate_edge::Service,
    mut serving: watch::Receiver<bool>,
    asked: impl Future<Output = ()> + Send + 'static,
    served: Shutdown,
) -> Result<(), NodeError> {
    let mut asked = std::pin::pin!(asked);
    let found = async { serving.wait_for(|serving| *serving).await.is_ok() };
    let is_found = tokio::select! {
        is_found = found => is_found,
        () = &mut asked => false,
    };
    let ended = if is_found { edge.run(asked).await.map_err(NodeError::from) } else { Ok(()) };
    served.ask();
    ended
}

/// Takes calls once the access keys have arrived: a node that has just joined knows none yet, and would refuse them all.
async fn serve_control(
    control: tidegate_control::Service,
    replica: Replica,
    vitals: Arc<Vitals>,
    asked: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        () = replica.founded() => {}
        () = &mut asked => return Ok(()),
    }
    vitals.open();
    control.run(asked).await.map_err(NodeError::from)
}

/// The first snapshot of this process: the newest on disk, in a crash loop the newest that was proven, or an empty one that is not
/// served. Also whether what the log says is kept back.
fn first_snapshot(options: &NodeOptions, counters: &Counters, limits: &LimitDesk) -> (Arc<Snapshot>, Hold) {
    let folder = &options.node.data_dir;
    let newest = publish::load(folder);
    let served = newest.as_ref().map(|(snapshot, _)| snapshot.revision());
    let hold = boots::begin(folder, u64::try_from(epoch_s()).unwrap_or_default(), served);
    let proven = if hold == Hold::No { None } else { publish::load_proven(folder) };
    // Nothing can be kept back where nothing was proven.
    let hold = if proven.is_some() { hold } else { Hold::No };
    let found = proven.or(newest);
    counters.serving.send_replace(found.is_some());
    let Some((snapshot, compiled)) = found else {
        return (Arc::new(Snapshot::empty(&options.node.region, &options.control.account_id)), hold);
    };
    let resolved = limits.resolve(compiled, snapshot.stages());
    (Arc::new(snapshot.with_limits(resolved)), hold)
}

/// The data plane, serving `first` as soon as it runs, with the access log that the options ask for.
fn open_edge(
    options: &NodeOptions,
    node: u64,
    first: &Arc<Snapshot>,
    limits: &LimitDesk,
    registry: &Registry,
    services: &mut Services,
) -> Result<tidegate_edge::Service, NodeError> {
    let listener = |address| tidegate_listener::Options {
        address,
        connections_max: options.gateway.connections_max,
        drain_idle_ms: options.gateway.drain_idle_ms,
        ..tidegate_listener::Options::default()
    };
    let settings = tidegate_edge::Options {
        listener: listener(options.gateway.listen),
        tls_listener: options.gateway.tls_listen.map(listener),
        shards: options.gateway.shards,
        requests_per_second_max: NonZeroU32::new(options.gateway.requests_per_second_max),
        direct: options.gateway.direct,
        cache_bytes_max: options.gateway.cache_bytes_max,
        cache_disk: caches::disk::options(options)?,
        az: options.node.az.clone(),
        zones: options.upstream.zones()?,
        dns: options.upstream.dns.clone(),
    };
    let edge =
        tidegate_edge::Service::new(settings, first.clone(), limits.limiter().clone(), registry.clone())?;
    let Some(destination) = &options.telemetry.access_log else { return Ok(edge) };
    let destination = match destination.as_str() {
        "stdout" => access_log::Destination::Stdout,
        path => access_log::Destination::File(path.into()),
    };
    let log =
        access_log::Service::new(access_log::Options { destination, ..access_log::Options::default() })?;
    let format = match &options.telemetry.access_log_format {
        Some(format) => access_log::Format::parse(format)?,
        None => access_log::Format::default(),
    };
    log.handle().report_to(registry);
    let edge = edge.with_access_log(log.handle(), format, &options.node.az, &node.to_string());
    services.spawn_last("access-log", |ended| async move {
        log.run(ended).await;
        Ok(())
    });
    Ok(edge)
}

/// Balancers must see a red readiness check before connections are closed.
async fn red_then_stop(signalled: Shutdown, vitals: Arc<Vitals>, delay_ms: u64, shutdown: Shutdown) {
    signalled.asked().await;
    vitals.stop();
    tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
    shutdown.ask();
}

/// Settings of the node's cluster service.
pub(crate) fn cluster_options(
    options: &NodeOptions,
    identity: &identity::Identity,
) -> tidegate_cluster::Options {
    tidegate_cluster::Options {
        cluster_name: identity.cluster.clone(),
        node: identity.node,
        region: options.node.region.clone(),
        az: options.node.az.clone(),
        data_dir: options.node.data_dir.clone(),
        listen: options.cluster.listen,
        advertise: options.advertise(),
        profile: options.cluster.profile,
        tuning: options.cluster.tuning.clone(),
    }
}

fn control_options(options: &NodeOptions) -> tidegate_control::Options {
    tidegate_control::Options {
        listen: options.control.listen,
        region: options.node.region.clone(),
        account_id: options.control.account_id.clone(),
        dev: options.dev.enabled,
        signing_region: Some(options.node.region.clone()),
        ..tidegate_control::Options::default()
    }
}

fn trace_options(options: &NodeOptions, node: u64) -> tidegate_telemetry::trace::Options {
    let defaults = tidegate_telemetry::trace::Options::default();
    let telemetry = &options.telemetry;
    tidegate_telemetry::trace::Options {
        log_filter: if telemetry.log.is_empty() { defaults.log_filter } else { telemetry.log.clone() },
        log_format: if telemetry.log_json { LogFormat::Json } else { LogFormat::Text },
        otlp_endpoint: telemetry.otlp_endpoint.clone(),
        service_version: env!("CARGO_PKG_VERSION").into(),
        service_instance: node.to_string(),
        region: options.node.region.clone(),
        az: options.node.az.clone(),
        ..defaults
    }
}
