//! A development region of its own: starts it under the guard, waits until it serves, asks it, stops it.
//!
//! Uses what `tidegate dev` promises to everyone: its flags, `dev.json`, its verbs and the public APIs of the nodes.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tidegate_cli::{Client, Endpoint};
use tidegate_proto::{
    dev::{DevNode, DevRegion},
    status::ClusterStatus,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{
    exchange::{address, get_once},
    limits::{LOG_TAIL_BYTES, POLL, REGION_READY, REGION_STOP, REQUEST},
    link::Links,
    ports::{self, Ports},
};

/// Environment that would lead a client of the region elsewhere.
const FOREIGN: [&str; 4] = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// Why there is no region to try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    /// The binary under test is not there.
    #[error(
        "{} does not exist; build it with `cargo build --release -p tidegate-node`, or pass --tidegate PATH", .0.display()
    )]
    Absent(PathBuf),
    /// The data directory is somebody else's.
    #[error("{} is not empty; a storm needs a directory of its own", .0.display())]
    Occupied(PathBuf),
    /// No range of free ports.
    #[error("found no range of free ports on 127.0.0.1; stop what holds them")]
    Ports,
    /// The file system or the process table said no.
    #[error("{what}: {reason}")]
    System {
        /// File or program.
        what: String,
        /// From the operating system.
        reason: io::Error,
    },
    /// `tidegate dev` ended before its time.
    #[error("`tidegate dev` ended before it was ready:\n{0}")]
    Ended(String),
    /// A condition did not come true.
    #[error("{what} took longer than {seconds} s; last seen: {seen}")]
    Slow {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last obstacle.
        seen: String,
    },
    /// The control plane refused a call that the storm cannot do without.
    #[error("{what}: {reason}")]
    Call {
        /// What was asked.
        what: String,
        /// The answer.
        reason: tidegate_cli::Error,
    },
}

/// What to start.
pub(crate) struct RegionOptions {
    /// The `tidegate` binary.
    pub(crate) program: PathBuf,
    /// Data directory; one of its own when absent.
    pub(crate) data: Option<PathBuf>,
    /// Availability zones.
    pub(crate) azs: u16,
    /// Whether the nodes speak through links that can be cut.
    pub(crate) linked: bool,
}

/// A running region. Dropping it stops its processes.
pub(crate) struct Region {
    program: PathBuf,
    data: PathBuf,
    guard: Child,
    links: Option<Links>,
    /// As it was when the region became ready: addresses, keys and the sample do not change.
    pub(crate) dev: DevRegion,
    /// Path of the sample on every data-plane listener.
    pub(crate) sample_path: String,
    /// What the sample answers.
    pub(crate) sample_answer: Bytes,
}

impl Region {
    /// Starts a region and waits until every node serves the sample.
    pub(crate) async fn start(options: &RegionOptions) -> Result<Self, RegionError> {
        let program = options.program.clone();
        if !program.is_file() {
            return Err(RegionError::Absent(program));
        }
        let data = data_directory(options.data.as_deref())?;
        let ports = ports::draw(options.azs, &mut StdRng::from_os_rng()).ok_or(RegionError::Ports)?;
        let links = links(options, ports).await?;
        let mut command = [
            program.as_os_str(),
            "dev".as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
            "--azs".as_ref(),
            options.azs.to_string().as_ref(),
            "--port".as_ref(),
            ports.control.to_string().as_ref(),
            "--gateway-port".as_ref(),
            ports.gateway.to_string().as_ref(),
        ]
        .map(OsStr::to_owned)
        .to_vec();
        if let Some(links) = &links {
            let doors: Vec<String> = links.doors().iter().map(ToString::to_string).collect();
            command.extend(["--advertise".into(), doors.join(",").into()]);
        }
        eprintln!("data and logs are in {}", data.display());
        let guard = spawn_guard(&command, &data)?;
        let (dev, sample_path, sample_answer) = (DevRegion::default(), String::new(), Bytes::new());
        let mut region = Self { program, data, guard, links, dev, sample_path, sample_answer };
        match region.await_ready().await {
            Ok(()) => Ok(region),
            Err(error) => {
                region.stop().await;
                Err(error)
            }
        }
    }

    /// Data directory, logs included.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The links between the nodes, where they were asked for.
    pub(crate) fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// The node of a zone, with its process id of now; `None` while `dev.json` cannot be read.
    pub(crate) fn node(&self, az: &str) -> Option<DevNode> {
        read_dev(&self.data)?.nodes.into_iter().find(|node| node.az == az)
    }

    /// Signs calls to one control URL of the region.
    pub(crate) fn client(&self, control: &str) -> Client {
        Client::new(Endpoint {
            url: control.to_owned(),
            region: self.dev.region.clone(),
            access_key_id: self.dev.access_key_id.clone(),
            secret_access_key: self.dev.secret_access_key.clone(),
        })
    }

    /// The cluster as the first node that answers sees it, without asking `except`.
    pub(crate) async fn status(&self, except: Option<&str>) -> Option<ClusterStatus> {
        for node in self.dev.nodes.iter().filter(|node| Some(node.az.as_str()) != except) {
            if let Ok(Ok(status)) = timeout(REQUEST, self.status_of(node)).await {
                return Some(status);
            }
        }
        None
    }

    /// The cluster as one node sees it.
    pub(crate) async fn status_of(&self, node: &DevNode) -> Result<ClusterStatus, tidegate_cli::Error> {
        let client = self.client(&node.control);
        client.json(Method::GET, "/_tidegate/cluster/status", &Value::Null).await
    }

    /// `tidegate dev VERB AZ`; ends when the verb does.
    pub(crate) fn verb(&self, verb: &str, az: &str) -> Result<Child, RegionError> {
        let mut command = Command::new(&self.program);
        command.args(["dev", verb, az, "--data"]).arg(&self.data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        FOREIGN.iter().for_each(|name| {
            command.env_remove(name);
        });
        let what = format!("{} dev {verb}", self.program.display());
        command.spawn().map_err(|reason| RegionError::System { what, reason })
    }

    /// Stops every process of the region; whether all of them ended in time.
    pub(crate) async fn stop(mut self) -> bool {
        drop(self.guard.stdin.take());
        timeout(REGION_STOP, self.guard.wait()).await.is_ok()
    }

    async fn await_ready(&mut self) -> Result<(), RegionError> {
        let deadline = Instant::now() + REGION_READY;
        loop {
            let ended = self.guard.try_wait();
            if !matches!(ended, Ok(None)) {
                return Err(RegionError::Ended(log_tail(&self.data)));
            }
            let seen = match self.look().await {
                Ok(()) => return Ok(()),
                Err(seen) => seen,
            };
            if Instant::now() > deadline {
                let what = "the region's start".to_owned();
                return Err(RegionError::Slow { what, seconds: REGION_READY.as_secs(), seen });
            }
            sleep(POLL).await;
        }
    }

    /// Whether all nodes serve; the first obstacle otherwise.
    async fn look(&mut self) -> Result<(), String> {
        self.dev = read_dev(&self.data).ok_or("no dev.json yet")?;
        let sample = self.dev.sample.clone().ok_or("no sample yet")?;
        self.sample_path = format!("/_aws/execute-api/{}/{}/pets", sample.api_id, sample.stage);
        for node in &self.dev.nodes {
            if node.pid == 0 || node.node_id == 0 {
                return Err(format!("{} does not run yet", node.az));
            }
            probe(&node.admin, "/readyz").await?;
            self.sample_answer = probe(&node.gateway, &self.sample_path).await?;
        }
        probe(&self.dev.gateway, &self.sample_path).await?;
        let status = self.status(None).await.ok_or("no cluster status yet")?;
        let settled = status.leader.is_some()
            && status.nodes.len() == self.dev.nodes.len()
            && status.nodes.iter().all(|node| node.live && node.ready && node.role != "learner");
        settled.then_some(()).ok_or_else(|| "not every node is a live voter yet".into())
    }
}

impl Drop for Region {
    /// On the way out of an interrupted storm nothing else has to run, so this may block until the processes have ended.
    fn drop(&mut self) {
        if self.guard.stdin.take().is_none() {
            return;
        }
        let deadline = Instant::now() + REGION_STOP;
        while matches!(self.guard.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

async fn links(options: &RegionOptions, ports: Ports) -> Result<Option<Links>, RegionError> {
    if !options.linked {
        return Ok(None);
    }
    let system = |reason| RegionError::System { what: "links between the nodes".into(), reason };
    Links::open(ports.cluster(options.azs)).await.map(Some).map_err(system)
}

fn data_directory(given: Option<&Path>) -> Result<PathBuf, RegionError> {
    let system = |what: &Path| {
        let what = what.display().to_string();
        move |reason| RegionError::System { what, reason }
    };
    let Some(given) = given else {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("tidegate-storm-").tempdir();
        return folder.map(tempfile::TempDir::keep).map_err(system(&parent));
    };
    std::fs::create_dir_all(given).map_err(system(given))?;
    let empty = std::fs::read_dir(given).map_err(system(given))?.next().is_none();
    match empty {
        true => std::path::absolute(given).map_err(system(given)),
        false => Err(RegionError::Occupied(given.to_owned())),
    }
}

fn spawn_guard(command: &[std::ffi::OsString], data: &Path) -> Result<Child, RegionError> {
    let log = log_file(data);
    let system = |what: &Path| {
        let what = what.display().to_string();
        move |reason| RegionError::System { what, reason }
    };
    let own = std::env::current_exe().map_err(system("chaos".as_ref()))?;
    let output = File::create(&log).map_err(system(&log))?;
    let errors = output.try_clone().map_err(system(&log))?;
    let mut guard = Command::new(&own);
    guard.arg("guard").arg("--").args(command).stdin(Stdio::piped()).stdout(output).stderr(errors);
    FOREIGN.iter().for_each(|name| {
        guard.env_remove(name);
    });
    // A Ctrl-C reaches the whole process group of the terminal; the region must outlive it until it is told to stop.
    guard.process_group(0).spawn().map_err(system(&own))
}

async fn probe(url: &str, path: &str) -> Result<Bytes, String> {
    let target = address(url).ok_or_else(|| format!("{url} is not an address"))?;
    match get_once(target, path, Duration::from_millis(500)).await {
        Some((StatusCode::OK, body)) => Ok(body),
        Some((status, _)) => Err(format!("{url}{path} answers {status}")),
        None => Err(format!("{url}{path} does not answer")),
    }
}

fn read_dev(data: &Path) -> Option<DevRegion> {
    serde_json::from_slice(&std::fs::read(data.join("dev.json")).ok()?).ok()
}

fn log_file(data: &Path) -> PathBuf {
    data.join("dev.log")
}

fn log_tail(data: &Path) -> String {
    let text = std::fs::read(log_file(data)).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
}
