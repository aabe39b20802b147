//! A cluster of real nodes in one process, each with its own directory, socket and identity.

use crate::toy::{Echo, Toy};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tidegate_cluster::{
    Applied, Enroller, Error, GroupId, GroupScope, GroupSpec, Handle, NodeId, NodeMeta, Options, Profile,
    Role, Service, Tuning, group,
    identity::{Authority, Identity},
};
use tokio::{sync::oneshot, task::JoinHandle};

/// A second group next to the configuration.
pub(crate) const LEDGER: GroupId = group::GLOBAL_LEDGER;
/// Enough for anything that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// One running node.
pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) toys: BTreeMap<GroupId, Toy>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<Result<(), Error>>,
}

/// Nodes that share an authority.
pub(crate) struct Cluster {
    pub(crate) authority: Arc<Authority>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) tuning: Tuning,
    pub(crate) groups: Vec<(GroupId, GroupScope)>,
    /// Groups that every node runs and nobody starts.
    pub(crate) dormant: Vec<(GroupId, GroupScope)>,
    addresses: BTreeMap<NodeId, NodeMeta>,
}

/// Options of a node in `dir`; zone `z<node>`.
pub(crate) fn options(dir: PathBuf, node: NodeId, port: u16, tuning: &Tuning) -> Options {
    Options {
        cluster_name: "toy".into(),
        node,
        region: "r".into(),
        az: format!("z{node}"),
        data_dir: dir,
        listen: ([127, 0, 0, 1], port).into(),
        advertise: String::new(),
        profile: Profile::Lan,
        tuning: tuning.clone(),
    }
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::tuned(Tuning::default())
    }

    pub(crate) fn tuned(tuning: Tuning) -> Self {
        let authority = Arc::new(Authority::generate("toy").unwrap());
        let dir = tempfile::tempdir().unwrap();
        let groups = vec![(group::CONFIG, GroupScope::Cluster), (LEDGER, GroupScope::Cluster)];
        Self {
            authority,
            dir,
            nodes: BTreeMap::new(),
            tuning,
            groups,
            dormant: Vec::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Three voters of one group.
    pub(crate) async fn three() -> Self {
        let mut cluster = Self::new();
        cluster.grow(3).await;
        cluster
    }

    /// Starts node 1, bootstraps, adds nodes until there are `count`, waits until placement is done with them.
    pub(crate) async fn grow(&mut self, count: u64) {
        for id in 1..=count {
            self.start(id).await;
            if id == 1 {
                for (group, _) in &self.groups {
                    self.node(1).handle.bootstrap(*group).await.unwrap();
                }
            } else {
                let meta = self.node(id).handle.meta().clone();
                self.node(1).handle.add_node(group::CONFIG, id, meta).await.unwrap();
            }
        }
        let voters = if count >= 3 { 3 } else { 1 };
        for (group, _) in &self.groups {
            eventually("voters", || async {
                let all = self.nodes.values().map(|n| n.handle.status(*group).unwrap());
                all.into_iter().all(|s| s.voters.len() == voters && s.leader.is_some())
            })
            .await;
        }
    }

    pub(crate) async fn start(&mut self, id: NodeId) {
        self.start_with(id, None).await.unwrap();
    }

    pub(crate) async fn start_with(
        &mut self,
        id: NodeId,
        enroller: Option<Arc<dyn Enroller>>,
    ) -> Result<(), Error> {
        let identity = self.authority.identity(id).unwrap();
        self.start_as(identity, enroller).await
    }

    /// Starts a node under an identity; the same port as before when it ran before.
    pub(crate) async fn start_as(
        &mut self,
        identity: Identity,
        enroller: Option<Arc<dyn Enroller>>,
    ) -> Result<(), Error> {
        let id = identity.node;
        let port =
            self.addresses.get(&id).map_or(0, |m| m.address.rsplit_once(':').unwrap().1.parse().unwrap());
        let options = options(self.dir.path().join(id.to_string()), id, port, &self.tuning);
        let until = Instant::now() + SOON;
        let (toys, service) = loop {
            let all = || self.groups.iter().chain(&self.dormant);
            let toys: BTreeMap<_, _> = all().map(|(id, _)| (*id, Toy::default())).collect();
            let spec = |(id, scope): &(GroupId, GroupScope)| GroupSpec {
                id: *id,
                machine: Box::new(toys[id].clone()),
                scope: *scope,
            };
            let groups = all().map(spec).collect();
            let opened =
                Service::new(options.clone(), identity.clone(), groups, Arc::new(Echo), enroller.clone())
                    .await;
            match opened {
                Ok(service) => break (toys, service),
                // The previous life of the node may still hold the lock of its directory or its port.
                Err(error) if port != 0 && Instant::now() < until => {
                    let passing = matches!(error, Error::Socket { .. })
                        || error.to_string().contains("could not acquire lock");
                    if !passing {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error),
            }
        };
        let handle = service.handle();
        self.addresses.insert(id, handle.meta().clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(service.run(async {
            let _dropped = stopped.await;
        }));
        self.nodes.insert(id, Node { handle, toys, stop: Some(stop), task });
        Ok(())
    }

    /// The next start of a node takes another port.
    pub(crate) fn forget_port(&mut self, id: NodeId) {
        self.addresses.remove(&id);
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    /// Stops a node in good order.
    pub(crate) async fn stop(&mut self, id: NodeId) -> Result<(), Error> {
        let mut node = self.nodes.remove(&id).unwrap();
        drop(node.stop.take());
        drop(node.handle);
        node.task.await.unwrap()
    }

    /// Drops a node in the middle of what it does.
    pub(crate) async fn kill(&mut self, id: NodeId) {
        let node = self.nodes.remove(&id).unwrap();
        node.task.abort();
        let _cancelled = node.task.await;
    }

    pub(crate) async fn leader(&self, group: GroupId) -> NodeId {
        let deadline = Instant::now() + SOON;
        loop {
            for (id, node) in &self.nodes {
                if node.handle.status(group).unwrap().role == Role::Leader {
                    return *id;
                }
            }
            assert!(Instant::now() < deadline, "no leader");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn propose(&self, id: NodeId, group: GroupId, command: &str) -> Result<Applied, Error> {
        self.node(id).handle.propose(group, Bytes::from(command.to_owned()), SOON).await
    }

    /// Waits until all running nodes hold the same, and returns it.
    pub(crate) async fn agree(&self, group: GroupId) -> crate::toy::Ledger {
        eventually("agreement", || async {
            let mut ledgers = self.nodes.values().map(|n| n.toys[&group].ledger());
            let first = ledgers.next().unwrap();
            ledgers.all(|ledger| ledger == first)
        })
        .await;
        self.nodes.values().next().unwrap().toys[&group].ledger()
    }
}

impl Drop for Cluster {
    /// Logs are closed before their directories are deleted under them.
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for node in nodes.values() {
                    node.task.abort();
                }
                let until = Instant::now() + SOON;
                while nodes.values().any(|n| n.handle.log_bytes() != Err(Error::Stopped))
                    && Instant::now() < until
                {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        });
    }
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    within(SOON, what, condition).await;
}

/// Waits for a condition, no longer than `time`.
pub(crate) async fn within<F: Future<Output = bool>>(time: Duration, what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + time;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
