//! One node: the only place where the wings meet. Opens identity, log, data plane and control plane, runs them side by
//! side, and ends them together: whichever service fails first stops the process.

use std::{path::PathBuf, sync::Arc};

use tidegate_cluster::{group, identity};

use crate::{
    admin,
    enroll::{Desk, EnrollDesk},
    founding,
    inbox::PeerInbox,
    members::Members,
    options::NodeOptions,
    publish::{Counters, Place, Publisher},
    replica::Replica,
    services::Services,
    shutdown::Shutdown,
    store::ConfigStore,
    vitals::Vitals,
};

/// Why a node does not start or has stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: std::io::Error },
    #[error("this node has no identity in {0}: set cluster.bootstrap = true on the first node of a new cluster, or give cluster.join_token")]
    NoIdentity(PathBuf),
    #[error("control.root_secret_access_key_file is needed when control.root_access_key_id is set")]
    RootSecret,
    #[error("cluster: {0}")]
    Cluster(#[from] tidegate_cluster::Error),
    #[error("identity: {0}")]
    Identity(#[from] identity::IdentityError),
    #[error("gateway: {0}")]
    Edge(#[from] tidegate_edge::Error),
    #[error("control: {0}")]
    Control(#[from] tidegate_control::Error),
    #[error("admin: {0}")]
    Listener(#[from] tidegate_listener::Error),
    #[error("telemetry: {0}")]
    Telemetry(#[from] tidegate_telemetry::Error),
    #[error("the first configuration could not be written: {0}")]
    Found(String),
}

/// Runs a node until it is asked to stop or a service fails.
pub(crate) async fn run(options: NodeOptions) -> Result<(), NodeError> {
    let folder = options.node.data_dir.clone();
    std::fs::create_dir_all(&folder).map_err(|reason| NodeError::File { path: folder.clone(), reason })?;
    let (signalled, shutdown) = (Shutdown::new(), Shutdown::new());
    signalled.listen(options.dev.enabled).map_err(|reason| NodeError::File { path: "signals".into(), reason })?;
    let (identity, authority) = founding::open_identity(&options).await?;
    let _telemetry = tidegate_telemetry::init(telemetry_options(&options, identity.node))?;
    let fingerprint = identity.ca_sha256();
    let cluster_name = identity.cluster.clone();

    let (replica, machine) = Replica::new();
    let metrics = tidegate_telemetry::Registry::new();
    let edge = tidegate_edge::Service::new(edge_options(&options, identity.node), &metrics)?;
    let vitals = Arc::new(Vitals::new(&options, identity.node, replica.clone(), edge.handle()));
    let swaps = edge.handle();
    let counters = Arc::new(Counters::default());
    let place = Place { region: options.node.region.clone(), account: options.control.account_id.clone() };
    let publish = Box::new(move |snapshot| swaps.publish(snapshot));
    let publisher = Publisher::new(replica.clone(), place, &folder, counters.clone(), publish);

    let (door, open_door) = EnrollDesk::new();
    let inbox = Arc::new(PeerInbox::new(vitals.describe()));
    let machines: Vec<(_, Box<dyn tidegate_cluster::Machine>)> = vec![(group::CONFIG, Box::new(machine))];
    let cluster =
        tidegate_cluster::Service::new(cluster_options(&options, &identity), identity, machines, inbox, Some(Arc::new(door)))
            .await?;
    let handle = cluster.handle();
    let store = ConfigStore::new(handle.clone(), replica.clone());
    open_door.send_replace(Some(Desk { cluster: cluster_name.clone(), handle: handle.clone(), store: store.clone() }));
    let members = Members::new(cluster_name, fingerprint, handle.clone(), store.clone());
    let control = tidegate_control::Service::new(control_options(&options), Arc::new(store.clone()), Arc::new(members))?;
    let admin = admin::Service::new(options.admin.listen, metrics, vitals.clone(), handle.clone(), counters)?;

    tokio::spawn(red_then_stop(signalled, vitals, options.gateway.drain_delay_ms, shutdown.clone()));
    let mut services = Services::new(shutdown.clone());
    services.spawn("publish", async move {
        publisher.run().await;
        Ok(())
    });
    let asked = shutdown.asked();
    services.spawn("cluster", async move { cluster.run(asked).await.map_err(NodeError::from) });
    let asked = shutdown.asked();
    services.spawn("gateway", async move { edge.run(asked).await.map_err(NodeError::from) });
    let asked = shutdown.asked();
    services.spawn("control", async move { control.run(asked).await.map_err(NodeError::from) });
    let asked = shutdown.asked();
    services.spawn("admin", async move { admin.run(asked).await });
    if let Some(authority) = authority {
        services.spawn_once("found", founding::found(options.clone(), authority, handle, store));
    }
    services.finish().await
}

/// Balancers must see a red readiness check before connections are closed.
async fn red_then_stop(signalled: Shutdown, vitals: Arc<Vitals>, delay_ms: u64, shutdown: Shutdown) {
    signalled.asked().await;
    vitals.stop();
    tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
    shutdown.ask();
}

fn cluster_options(options: &NodeOptions, identity: &identity::Identity) -> tidegate_cluster::Options {
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
