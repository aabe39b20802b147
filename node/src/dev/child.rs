//! One node process: its configuration file, its start, its end.

use std::{fs::File, path::PathBuf, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use super::{DevError, layout::NodePlan};
use tidegate_proto::limits::CACHE_MEMORY_BYTES_DEFAULT;

use crate::options::{
    AdminOptions, ClusterOptions, ControlOptions, DevOptions, GatewayOptions, NodeOptions, PlaceOptions,
    TelemetryOptions,
};
use crate::upstreams::UpstreamOptions;

/// How long a node may take to drain before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How a node without an identity gets one.
pub(crate) enum Entry {
    /// It has an identity.
    Known,
    /// It founds the cluster with this root access key.
    Bootstrap { access_key_id: String, secret_file: PathBuf },
    /// It joins.
    Join { token: String },
}

/// A running node process. It ends with this process: its standard input closes then.
pub(crate) struct NodeProcess {
    child: Child,
    log: PathBuf,
    name: String,
}

/// Whether the node has been given an identity before.
pub(crate) fn has_identity(plan: &NodePlan) -> bool {
    plan.folder.join(crate::founding::IDENTITY_FOLDER).is_dir()
}

impl NodeProcess {
    /// Writes the configuration file and starts the process.
    pub(crate) fn start(plan: &NodePlan, entry: Entry) -> Result<Self, DevError> {
        let config = plan.folder.join("node.toml");
        let log = plan.folder.join("node.log");
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |reason| DevError::File { path, reason }
        };
        std::fs::create_dir_all(&plan.folder).map_err(failed(&plan.folder))?;
        let text = toml::to_string(&options(plan, entry)).map_err(|e| DevError::Refused(e.to_string()))?;
        std::fs::write(&config, text).map_err(failed(&config))?;
        let output = File::options().create(true).append(true).open(&log).map_err(failed(&log))?;
        let errors = output.try_clone().map_err(failed(&log))?;
        let program = std::env::current_exe().map_err(failed(&PathBuf::from("tidegate")))?;
        let child = Command::new(program)
            .arg("node")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed(&config))?;
        Ok(Self { child, log, name: plan.name.clone() })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Fails when the process has ended.
    pub(crate) fn check(&mut self) -> Result<(), DevError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.exited(status.to_string())),
            Err(error) => Err(self.exited(error.to_string())),
        }
    }

    /// SIGKILL, and waits for the end.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }

    /// Ends standard input, which a development node takes as a request to stop; kills it after a while.
    pub(crate) async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    fn exited(&self, status: String) -> DevError {
        DevError::Exited { name: self.name.clone(), status, log: self.log.clone() }
    }
}

fn options(plan: &NodePlan, entry: Entry) -> NodeOptions {
    let mut options = NodeOptions {
        node: PlaceOptions {
            region: plan.region.clone(),
            az: plan.az.clone(),
            data_dir: plan.folder.clone(),
        },
        cluster: ClusterOptions {
            name: "dev".into(),
            listen: plan.control,
            advertise: plan.advertise.map(|address| address.to_string()),
            bootstrap: false,
            join_token: None,
            profile: tidegate_cluster::Profile::default(),
            tuning: tidegate_cluster::Tuning::default(),
        },
        control: ControlOptions {
            listen: plan.control,
            account_id: "000000000000".into(),
            root_access_key_id: None,
            root_secret_access_key_file: None,
        },
        gateway: GatewayOptions {
            listen: plan.gateway,
            tls_listen: Some(plan.gateway_tls),
            shards: 1,
            requests_per_second_max: 0,
            direct: true,
            cache_bytes_max: CACHE_MEMORY_BYTES_DEFAULT,
            cache_disk_bytes_max: 0,
            connections_max: 20_000,
            drain_delay_ms: 0,
            drain_idle_ms: 0,
        },
        upstream: UpstreamOptions::default(),
        admin: AdminOptions { listen: plan.admin },
        telemetry: TelemetryOptions {
            access_log: Some(plan.folder.join("access.log").to_string_lossy().into_owned()),
            ..TelemetryOptions::default()
        },
        dev: DevOptions { enabled: true },
    };
    match entry {
        Entry::Known => {}
        Entry::Bootstrap { access_key_id, secret_file } => {
            options.cluster.bootstrap = true;
            options.control.root_access_key_id = Some(access_key_id);
            options.control.root_secret_access_key_file = Some(secret_file);
        }
        Entry::Join { token } => options.cluster.join_token = Some(token),
    }
    options
}
