//! Starts the processes of a development region, keeps `dev.json` true, obeys commands, stops everything on Ctrl-C.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::Method;
use tidegate_cli::{Client, Endpoint};
use tidegate_cluster::placement::{self, Candidate};
use tidegate_proto::{
    dev::DevRegion,
    status::{ClusterStatus, JoinTokenIssued},
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use super::{
    DevArgs, DevError, balancer, certificate,
    child::{Entry, NodeProcess, has_identity},
    command::{self, Asked, Order, Reply, SOCKET},
    layout::{Layout, NodePlan},
    prepare, sample,
    settle::settled,
    upstream,
};

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
const WATCH: Duration = Duration::from_millis(250);

struct Supervisor {
    layout: Layout,
    region: DevRegion,
    processes: BTreeMap<String, NodeProcess>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) async fn run(args: &DevArgs, data: &Path) -> Result<(), DevError> {
    let started = Instant::now();
    let layout = Layout::plan(args, data);
    layout.check_advertised(args)?;
    let region = prepare::region(args, &layout)?;
    layout.check_ports()?;
    let socket = layout.data.join(SOCKET);
    let _ = std::fs::remove_file(&socket);
    let listener =
        UnixListener::bind(&socket).map_err(|reason| DevError::File { path: socket.clone(), reason })?;
    let (orders, mut asked) = mpsc::channel::<Asked>(16);
    tokio::spawn(command::listen(listener, orders));
    listen(&layout).await?;
    let mut supervisor = Supervisor { layout, region, processes: BTreeMap::new() };
    let result = match supervisor.start().await {
        Ok(()) => {
            supervisor.greet(started.elapsed());
            supervisor.attend(&mut asked).await
        }
        Err(error) => Err(error),
    };
    supervisor.stop().await;
    let _ = std::fs::remove_file(&socket);
    result
}

async fn listen(layout: &Layout) -> Result<(), DevError> {
    let bind = |address: std::net::SocketAddr| async move {
        let path = PathBuf::from(address.to_string());
        TcpListener::bind(address).await.map_err(|reason| DevError::File { path, reason })
    };
    tokio::spawn(upstream::serve(bind(layout.upstream).await?));
    for region in &layout.regions {
        let controls = region.nodes.iter().map(|node| node.control).collect();
        let gateways = region.nodes.iter().map(|node| node.gateway).collect();
        let secured = region.nodes.iter().map(|node| node.gateway_tls).collect();
        tokio::spawn(balancer::balance(bind(region.control).await?, controls));
        tokio::spawn(balancer::balance(bind(region.gateway).await?, gateways));
        tokio::spawn(balancer::balance(bind(region.gateway_tls).await?, secured));
    }
    Ok(())
}

impl Supervisor {
    /// Nodes with an identity start at once; the others found or join the cluster.
    async fn start(&mut self) -> Result<(), DevError> {
        let plans: Vec<NodePlan> = self.layout.nodes().cloned().collect();
        let (known, mut fresh): (Vec<NodePlan>, Vec<NodePlan>) = plans.into_iter().partition(has_identity);
        for plan in &known {
            self.spawn(plan, Entry::Known)?;
        }
        if known.is_empty() && !fresh.is_empty() {
            let first = fresh.remove(0);
            let secret_file = prepare::secret_file(&self.layout.data);
            let access_key_id = self.region.access_key_id.clone();
            self.spawn(&first, Entry::Bootstrap { access_key_id, secret_file })?;
        }
        let client = self.client();
        self.wait("ready", |_, status| status.leader.is_some()).await?;
        for plan in &fresh {
            // A token that nobody has heard of ends unused.
            let issue =
                async || client.json(Method::POST, "/_tidegate/cluster/token", &serde_json::json!({})).await;
            let issued: JoinTokenIssued = settled(READY_TIMEOUT, issue).await?;
            self.spawn(plan, Entry::Join { token: issued.token })?;
            // One after the other, so that node ids follow the zones.
            let address = plan.address().to_string();
            let is_member =
                move |status: &ClusterStatus| status.nodes.iter().any(|node| node.cluster_address == address);
            self.wait("a member", move |_, status| is_member(status)).await?;
        }
        match &self.region.sample {
            Some(old) => {
                let repoint = async || sample::repoint(&client, old, self.layout.upstream).await;
                if let Err(error) = settled(READY_TIMEOUT, repoint).await {
                    eprintln!("the sample is not updated: {error}");
                }
            }
            None if !fresh.is_empty() || known.is_empty() => {
                let mut import = sample::Import::default();
                let attempt =
                    async || import.attempt(&client, &self.region.gateway, self.layout.upstream).await;
                self.region.sample = Some(settled(READY_TIMEOUT, attempt).await?);
            }
            None => {}
        }
        settled(READY_TIMEOUT, async || certificate::ensure(&client, &self.layout).await).await?;
        let expected = self.layout.nodes().count();
        let voters = expected_voters(&self.layout);
        let serving = |node: &tidegate_proto::status::NodeStatus, revision| {
            node.ready && node.serving_revision >= revision
        };
        self.wait("ready", move |_, status| {
            let seated = status.nodes.iter().filter(|node| node.role != "learner").count();
            seated >= voters
                && status.nodes.iter().filter(|node| serving(node, status.revision)).count() >= expected
        })
        .await?;
        prepare::write_region(&self.layout.data, &self.region)
    }

    fn spawn(&mut self, plan: &NodePlan, entry: Entry) -> Result<(), DevError> {
        let process = NodeProcess::start(plan, entry)?;
        if let Some(node) = self.region.nodes.iter_mut().find(|node| node.name == plan.name) {
            node.pid = process.pid();
        }
        self.processes.insert(plan.name.clone(), process);
        prepare::write_region(&self.layout.data, &self.region)
    }

    /// Polls the cluster until `done`; takes over node ids; fails when a process ends or time is up.
    async fn wait(
        &mut self,
        state: &'static str,
        done: impl Fn(&DevRegion, &ClusterStatus) -> bool,
    ) -> Result<(), DevError> {
        let (client, deadline) = (self.client(), Instant::now() + READY_TIMEOUT);
        loop {
            for process in self.processes.values_mut() {
                process.check()?;
            }
            let status = client
                .json::<ClusterStatus>(Method::GET, "/_tidegate/cluster/status", &serde_json::Value::Null)
                .await;
            if let Ok(status) = &status {
                self.take_ids(status);
                if done(&self.region, status) {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                let name = self.processes.keys().next().cloned().unwrap_or_default();
                let log = self.layout.data.join(&name).join("node.log");
                return Err(DevError::Slow { name, state, seconds: READY_TIMEOUT.as_secs(), log });
            }
            sleep(POLL).await;
        }
    }

    fn take_ids(&mut self, status: &ClusterStatus) {
        for plan in self.layout.nodes() {
            let address = plan.address().to_string();
            let member = status.nodes.iter().find(|member| member.cluster_address == address);
            let node = self.region.nodes.iter_mut().find(|node| node.name == plan.name);
            if let (Some(member), Some(node)) = (member, node) {
                node.node_id = member.node;
            }
        }
    }

    fn client(&self) -> Client {
        Client::new(Endpoint {
            url: self.region.control.clone(),
            region: self.region.region.clone(),
            access_key_id: self.region.access_key_id.clone(),
            secret_access_key: self.region.secret_access_key.clone(),
        })
    }

    fn region_count(&self) -> usize {
        self.layout.regions.len()
    }

    fn greet(&self, took: Duration) {
        let region = &self.region;
        println!(
            "tidegate {}   {} region(s) of {} AZ(s), {} process{} each, data in {}",
            env!("CARGO_PKG_VERSION"),
            self.region_count(),
            self.layout.azs,
            if self.layout.nodes_per_az == 1 { "one".into() } else { self.layout.nodes_per_az.to_string() },
            if self.layout.nodes_per_az == 1 { "" } else { "es" },
            self.layout.data.display()
        );
        for node in &region.nodes {
            println!(
                "  {}  node {}  pid {:<8} gateway {}  control {}  admin {}",
                node.name, node.node_id, node.pid, node.gateway, node.control, node.admin
            );
        }
        println!(
            "\n  AWS API    {}   (region {}, access key {})",
            region.control, region.region, region.access_key_id
        );
        println!("  Gateway    {}", region.gateway);
        let certificate = self.layout.data.join(certificate::FILE);
        println!("  With TLS   {}   (certificate {})", region.gateway_tls, certificate.display());
        if let Some(sample) = &region.sample {
            println!("  Sample     {}", sample.url);
        }
        println!(
            "\n  Ready in {:.1} s. Ctrl-C stops everything; the data stays.\n\nNext, in another terminal:",
            took.as_secs_f64()
        );
        println!("  eval \"$(tidegate env)\"             # the AWS CLI and SDKs now talk to this region");
        if let Some(sample) = &region.sample {
            println!("  curl {}", sample.url);
        }
        println!("  tidegate cluster status");
        println!("  tidegate dev stop-az {}", region.nodes[0].az);
    }

    /// Obeys commands and reports processes that end by themselves.
    async fn attend(&mut self, asked: &mut mpsc::Receiver<Asked>) -> Result<(), DevError> {
        let failed = |reason| DevError::File { path: "signal".into(), reason };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                order = asked.recv() => {
                    let Some((order, reply)) = order else { return Ok(()) };
                    let outcome = self.obey(order).await;
                    let _ = reply.send(outcome.map_or_else(|e| Reply::Failed(e.to_string()), Reply::Done));
                }
                () = sleep(WATCH) => self.notice_ended()?,
            }
        }
    }

    fn notice_ended(&mut self) -> Result<(), DevError> {
        let ended: Vec<String> = self
            .processes
            .iter_mut()
            .filter_map(|(name, p)| p.check().err().map(|e| (name.clone(), e)))
            .map(|(name, error)| {
                let az = self.layout.nodes().find(|node| node.name == name).map_or("", |node| &node.az);
                eprintln!("{error}\n  start it again with `tidegate dev start-az {az}`");
                name
            })
            .collect();
        if ended.is_empty() {
            return Ok(());
        }
        for name in ended {
            self.processes.remove(&name);
            self.mark_stopped(&name);
        }
        prepare::write_region(&self.layout.data, &self.region)
    }

    async fn obey(&mut self, order: Order) -> Result<String, DevError> {
        match order {
            Order::StopAz { az } => {
                let plans = self.plans(&az)?;
                let running = plans.iter().filter_map(|plan| self.processes.remove(&plan.name));
                let running: Vec<NodeProcess> = running.collect();
                if running.is_empty() {
                    return Ok(format!("{az} is already stopped"));
                }
                join_all(running.into_iter().map(NodeProcess::kill)).await;
                plans.iter().for_each(|plan| self.mark_stopped(&plan.name));
                prepare::write_region(&self.layout.data, &self.region)?;
                Ok(format!("{az} is killed"))
            }
            Order::StartAz { az } => {
                let mut plans = self.plans(&az)?;
                plans.retain(|plan| !self.processes.contains_key(&plan.name));
                if plans.is_empty() {
                    return Ok(format!("{az} already runs"));
                }
                plans.iter().try_for_each(|plan| self.spawn(plan, Entry::Known))?;
                let wanted: Vec<String> = plans.iter().map(|plan| plan.address().to_string()).collect();
                self.wait("ready", move |_, status| {
                    let ready = status.nodes.iter().filter(|node| node.live && node.ready);
                    let ready: BTreeSet<&String> = ready.map(|node| &node.cluster_address).collect();
                    wanted.iter().all(|address| ready.contains(address))
                })
                .await?;
                Ok(format!("{az} runs and is ready"))
            }
            Order::ForgetSample => {
                self.region.sample = None;
                prepare::write_region(&self.layout.data, &self.region)?;
                Ok("every API is removed".into())
            }
        }
    }

    /// The nodes of a zone.
    fn plans(&self, az: &str) -> Result<Vec<NodePlan>, DevError> {
        let found: Vec<NodePlan> = self.layout.nodes().filter(|node| node.az == az).cloned().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let mut names: Vec<&str> = self.layout.nodes().map(|node| node.az.as_str()).collect();
        names.dedup();
        Err(DevError::Refused(format!("no availability zone {az}; there are {}", names.join(", "))))
    }

    fn mark_stopped(&mut self, name: &str) {
        if let Some(node) = self.region.nodes.iter_mut().find(|node| node.name == name) {
            node.pid = 0;
        }
    }

    async fn stop(&mut self) {
        let processes = std::mem::take(&mut self.processes);
        let stops: Vec<_> = processes.into_values().map(|process| tokio::spawn(process.stop())).collect();
        for stop in stops {
            let _ = stop.await;
        }
        for node in &mut self.region.nodes {
            node.pid = 0;
        }
        let _ = prepare::write_region(&self.layout.data, &self.region);
    }
}

/// How many voters the placement rule seats once every planned node is up.
fn expected_voters(layout: &Layout) -> usize {
    let candidate = |(id, node): (u64, &NodePlan)| Candidate {
        id,
        region: node.region.clone(),
        az: node.az.clone(),
        live: true,
        caught_up: true,
    };
    let nodes: Vec<Candidate> = (1..).zip(layout.nodes()).map(candidate).collect();
    let mut voters = BTreeSet::from([1]);
    for _ in 0..nodes.len() * 2 {
        let plan = placement::voters(&nodes, &voters);
        voters.extend(plan.add);
        voters.retain(|id| !plan.remove.contains(id));
    }
    voters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placement_rule_decides_how_many_voters_to_wait_for() {
        for (azs, nodes_per_az, regions, voters) in
            [(1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 1, 3), (3, 1, 3, 5), (1, 1, 3, 3), (3, 2, 1, 3)]
        {
            let args = DevArgs {
                azs,
                nodes_per_az,
                regions,
                port: 4000,
                gateway_port: 8080,
                advertise: Vec::new(),
                reset: false,
                verb: None,
            };
            assert_eq!(
                expected_voters(&Layout::plan(&args, Path::new("d"))),
                voters,
                "{azs} AZs of {nodes_per_az} in {regions} regions"
            );
        }
    }
}
