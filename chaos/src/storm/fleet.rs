//! The nodes of a storm: one real process for each availability zone. Writes their configuration, starts, stops and kills them.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use tidegate_cli::{Client, Endpoint};

use super::{error::StormError, scenario::Layout};
use crate::lab::{
    Lab,
    site::{Site, region_name},
};

/// Where each listener of a node is, at the address of its zone.
const CONTROL: u16 = 4_000;
const CLUSTER: u16 = 4_001;
const ADMIN: u16 = 4_050;
const GATEWAY: u16 = 8_080;

/// All nodes, in the order of their zones.
pub(crate) struct Fleet {
    nodes: Vec<Node>,
    profile: String,
    admitted_per_second: u32,
    access_key_id: String,
    secret_access_key: String,
    secret_file: PathBuf,
}

/// A node, running or not.
pub(crate) struct Node {
    /// Its zone.
    pub(crate) site: Site,
    /// Name: its zone's.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Its configuration and log.
    pub(crate) folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    program: PathBuf,
    /// Where its data are; on a faulty disk where there is one.
    data: PathBuf,
    variables: Vec<(String, String)>,
    process: Option<Child>,
}

/// How a node without an identity gets one.
enum Entry<'a> {
    Known,
    Founder,
    Token(&'a str),
}

impl Fleet {
    /// Plans the nodes; nothing is started.
    ///
    /// # Errors
    /// Their folders cannot be made.
    pub(crate) fn plan(lab: &Lab, program: &Path, data: &Path, layout: &Layout) -> Result<Self, StormError> {
        let node = |site: Site| {
            let (name, folder) = (site.to_string(), data.join(site.to_string()));
            let own = folder.join("data");
            std::fs::create_dir_all(&own).map_err(StormError::system(own.display().to_string()))?;
            let (program, variables) = (program.to_owned(), Vec::new());
            let state = Mutex::new(State { program, data: own, variables, process: None });
            Ok(Node { site, name, address: lab.address(site), folder, state })
        };
        let nodes = lab.extent.azs().map(node).collect::<Result<Vec<_>, StormError>>()?;
        let mut random = rand::rng();
        let mut draw = |length: usize| -> String {
            (0..length)
                .map(|_| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[random.random_range(0..32)] as char)
                .collect()
        };
        let (access_key_id, secret_access_key) = (format!("AKIA{}", draw(16)), draw(40));
        let secret_file = data.join("root-secret-access-key");
        std::fs::write(&secret_file, &secret_access_key)
            .map_err(StormError::system(secret_file.display().to_string()))?;
        let (profile, admitted_per_second) = (layout.profile.clone(), layout.admitted_per_second);
        Ok(Self { nodes, profile, admitted_per_second, access_key_id, secret_access_key, secret_file })
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of a zone.
    pub(crate) fn node(&self, site: Site) -> Option<&Node> {
        self.nodes.iter().find(|node| node.site == site)
    }

    /// Signs calls to a node's control listener.
    pub(crate) fn client(&self, node: &Node) -> Client {
        Client::new(Endpoint {
            url: format!("http://{}", node.control()),
            region: node.site.region().map(region_name).unwrap_or_default(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
        })
    }

    /// Starts the first node of a new cluster.
    pub(crate) async fn found(&self, lab: &Lab, node: &Node) -> Result<(), StormError> {
        self.launch(lab, node, Entry::Founder).await
    }

    /// Starts a node that joins with a token.
    pub(crate) async fn join(&self, lab: &Lab, node: &Node, token: &str) -> Result<(), StormError> {
        self.launch(lab, node, Entry::Token(token)).await
    }

    /// Starts a node that has been a member before; does nothing while it runs.
    pub(crate) async fn start(&self, lab: &Lab, node: &Node) -> Result<(), StormError> {
        match node.is_running() {
            true => Ok(()),
            false => self.launch(lab, node, Entry::Known).await,
        }
    }

    async fn launch(&self, lab: &Lab, node: &Node, entry: Entry<'_>) -> Result<(), StormError> {
        let config = node.folder.join("node.toml");
        let log = node.folder.join("node.log");
        let named = |path: &Path| StormError::system(path.display().to_string());
        std::fs::write(&config, self.configuration(node, entry)).map_err(named(&config))?;
        let output = File::options().create(true).append(true).open(&log).map_err(named(&log))?;
        let errors = output.try_clone().map_err(named(&log))?;
        let mut command = {
            let state = node.state();
            let mut command = Command::new(&state.program);
            command.envs(state.variables.iter().map(|(name, value)| (name, value)));
            command
        };
        command.arg("node").arg("--config").arg(&config).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = lab.space(node.site).start(command).await.map_err(named(&config))?;
        node.state().process = Some(child);
        Ok(())
    }

    fn configuration(&self, node: &Node, entry: Entry<'_>) -> String {
        let at = |port: u16| SocketAddr::from((node.address, port));
        let region = node.site.region().map(region_name).unwrap_or_default();
        let (az, data) = (&node.name, node.state().data.display().to_string());
        let (profile, secret) = (&self.profile, self.secret_file.display());
        let (enter, root) = match entry {
            Entry::Known => (String::new(), String::new()),
            Entry::Founder => {
                let key = &self.access_key_id;
                let root =
                    format!("root_access_key_id = \"{key}\"\nroot_secret_access_key_file = \"{secret}\"\n");
                ("bootstrap = true\n".into(), root)
            }
            Entry::Token(token) => (format!("join_token = \"{token}\"\n"), String::new()),
        };
        format!(
            "[node]\nregion = \"{region}\"\naz = \"{az}\"\ndata_dir = \"{data}\"\n\n\
             [cluster]\nname = \"storm\"\nlisten = \"{}\"\nprofile = \"{profile}\"\n{enter}\n\
             [control]\nlisten = \"{}\"\n{root}\n\
             [gateway]\nlisten = \"{}\"\nshards = 1\n\
             requests_per_second_max = {}\n\n[admin]\nlisten = \"{}\"\n",
            at(CLUSTER),
            at(CONTROL),
            at(GATEWAY),
            self.admitted_per_second,
            at(ADMIN)
        )
    }

    /// Kills every process that runs.
    pub(crate) fn kill_all(&self) {
        self.nodes.iter().for_each(|node| drop(node.kill()));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.kill_all();
    }
}

impl Node {
    /// Its control listener.
    pub(crate) fn control(&self) -> SocketAddr {
        SocketAddr::from((self.address, CONTROL))
    }

    /// Its data-plane listener.
    pub(crate) fn gateway(&self) -> SocketAddr {
        SocketAddr::from((self.address, GATEWAY))
    }

    /// Its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        SocketAddr::from((self.address, ADMIN))
    }

    /// Its address in the cluster, by which the status knows it.
    pub(crate) fn cluster(&self) -> SocketAddr {
        SocketAddr::from((self.address, CLUSTER))
    }

    /// Puts its data elsewhere from the next start on.
    pub(crate) fn set_data(&self, data: PathBuf) {
        self.state().data = data;
    }

    /// Runs another binary from the next start on.
    pub(crate) fn set_program(&self, program: PathBuf) {
        self.state().program = program;
    }

    /// The binary it runs from the next start on.
    pub(crate) fn program(&self) -> PathBuf {
        self.state().program.clone()
    }

    /// Adds to its environment from the next start on.
    pub(crate) fn set_variable(&self, name: &str, value: String) {
        let mut state = self.state();
        state.variables.retain(|(own, _)| own != name);
        state.variables.push((name.to_owned(), value));
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let mut state = self.state();
        let child = state.process.as_mut()?;
        match child.try_wait() {
            Ok(None) => Pid::from_raw(child.id() as i32),
            _ => None,
        }
    }

    /// Whether its process runs.
    pub(crate) fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// How its process ended, when it ended by itself.
    pub(crate) fn ended(&self) -> Option<std::process::ExitStatus> {
        self.state().process.as_mut()?.try_wait().ok().flatten()
    }

    /// Sends a signal; whether there was a process to take it.
    pub(crate) fn signal(&self, signal: Signal) -> Result<bool, StormError> {
        let Some(pid) = self.pid() else { return Ok(false) };
        kill_process(pid, signal)
            .map_err(|e| StormError::system(format!("a signal to {}", self.name))(e.into()))?;
        Ok(true)
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&self) -> Result<(), StormError> {
        let Some(mut child) = self.state().process.take() else { return Ok(()) };
        let failed = |reason| StormError::System { what: format!("kill -9 {}", self.name), reason };
        match child.try_wait() {
            Ok(None) => child.kill().and_then(|()| child.wait()).map(|_| ()).map_err(failed),
            _ => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
