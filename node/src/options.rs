//! The node's configuration file: one TOML document, unknown keys are errors, every error names the key and the rule.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tidegate_proto::limits::{CACHE_DISK_BYTES_MIN, CACHE_MEMORY_BYTES_DEFAULT};

use crate::upstreams::UpstreamOptions;

/// Contents of the file given to `tidegate node --config FILE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeOptions {
    /// Where the node stands and keeps its data.
    pub(crate) node: PlaceOptions,
    /// Agreement with the other nodes.
    pub(crate) cluster: ClusterOptions,
    /// The AWS-compatible control plane.
    pub(crate) control: ControlOptions,
    /// The data plane.
    pub(crate) gateway: GatewayOptions,
    /// The targets of the data plane.
    #[serde(default)]
    pub(crate) upstream: UpstreamOptions,
    /// Metrics and health.
    pub(crate) admin: AdminOptions,
    /// Logs and traces.
    #[serde(default)]
    pub(crate) telemetry: TelemetryOptions,
    /// Behaviour that only a development region may have.
    #[serde(default)]
    pub(crate) dev: DevOptions,
}

/// Where the node stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOptions {
    /// Region, for example `eu-west-1`.
    pub(crate) region: String,
    /// Availability zone, for example `eu-west-1a`.
    pub(crate) az: String,
    /// Directory of identity, log, checkpoints and the serving snapshot.
    pub(crate) data_dir: PathBuf,
}

/// Agreement with the other nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterOptions {
    /// Name of the cluster; only the bootstrapping node's counts.
    #[serde(default = "default_cluster_name")]
    pub(crate) name: String,
    /// UDP address for QUIC.
    pub(crate) listen: SocketAddr,
    /// Address under which other nodes reach this one; `listen` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advertise: Option<String>,
    /// Makes this the first node of a new cluster, when it has no identity yet.
    #[serde(default)]
    pub(crate) bootstrap: bool,
    /// One-time token with which this node joins, when it has no identity yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) join_token: Option<String>,
    /// Timing for the distance between voters.
    #[serde(default)]
    pub(crate) profile: tidegate_cluster::Profile,
    /// Single timing values that differ from the profile.
    #[serde(default)]
    pub(crate) tuning: tidegate_cluster::Tuning,
}

/// The AWS-compatible control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ControlOptions {
    /// TCP address.
    pub(crate) listen: SocketAddr,
    /// 12-digit account that owns everything.
    #[serde(default = "default_account")]
    pub(crate) account_id: String,
    /// Root access key; read only when the cluster is bootstrapped, generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root_access_key_id: Option<String>,
    /// File with the root secret; read only when the cluster is bootstrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root_secret_access_key_file: Option<PathBuf>,
}

/// The data plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayOptions {
    /// TCP address, shared by all shards.
    pub(crate) listen: SocketAddr,
    /// TCP address for TLS, shared by all shards; no TLS when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_listen: Option<SocketAddr>,
    /// Single-threaded workers; one per processor when 0.
    #[serde(default)]
    pub(crate) shards: usize,
    /// Ceiling on admitted requests per second of this node; 0 is no ceiling.
    #[serde(default)]
    pub(crate) requests_per_second_max: u32,
    /// Serves plain HTTP/1 requests without the HTTP server between; `false` is for comparing and for an emergency.
    #[serde(default = "default_direct")]
    pub(crate) direct: bool,
    /// Bytes of stored answers that the node holds in memory, over all stages.
    #[serde(default = "default_cache_bytes_max")]
    pub(crate) cache_bytes_max: u64,
    /// Bytes of stored answers that the node holds on disk, in `cache` in its data directory; 0 holds none. They are encrypted with a key
    /// that lies beside them, in `cache-key`: deleting it makes them unreadable, and who has both can read them.
    #[serde(default)]
    pub(crate) cache_disk_bytes_max: u64,
    /// Most client connections of this node.
    #[serde(default = "default_connections")]
    pub(crate) connections_max: usize,
    /// Time between a red readiness check and closing the listeners, in milliseconds.
    #[serde(default)]
    pub(crate) drain_delay_ms: u64,
    /// Time that a connection without a request gets for one more once the listeners are closed, in milliseconds; the answer says that
    /// the connection ends.
    #[serde(default = "default_drain_idle_ms")]
    pub(crate) drain_idle_ms: u64,
}

/// Metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminOptions {
    /// TCP address; keep it off public networks, it takes no credentials.
    pub(crate) listen: SocketAddr,
}

/// Logs and traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetryOptions {
    /// Filter in the syntax of `RUST_LOG`; `info` when empty.
    pub(crate) log: String,
    /// Structured JSON lines instead of text.
    pub(crate) log_json: bool,
    /// `stdout` or a file; no access log when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<String>,
    /// Access log line with `$context` variables; a JSON line with all of them when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_log_format: Option<String>,
    /// OTLP collector, for example `http://127.0.0.1:4318`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<String>,
}

/// Behaviour that only a development region may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DevOptions {
    /// Allows `POST /_tidegate/dev/reset`, and stops the node when its standard input ends.
    pub(crate) enabled: bool,
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: std::io::Error },
    /// The file is not the TOML this version expects.
    #[error("{path}: {reason}")]
    Parse { path: PathBuf, reason: toml::de::Error },
    /// A value breaks a rule.
    #[error("{path}: {field} = {value:?}: {rule}")]
    Rule { path: PathBuf, field: &'static str, value: String, rule: &'static str },
}

impl NodeOptions {
    /// Reads and checks a configuration file.
    pub(crate) fn load(path: &Path) -> Result<Self, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| OptionsError::Read { path: path.into(), reason })?;
        let options: Self =
            toml::from_str(&text).map_err(|reason| OptionsError::Parse { path: path.into(), reason })?;
        options.check().map_err(|(field, value, rule)| OptionsError::Rule {
            path: path.into(),
            field,
            value,
            rule,
        })?;
        Ok(options)
    }

    fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        let label = |value: &str| {
            !value.is_empty()
                && value.len() <= 32
                && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let rule = "must be 1 to 32 of a-z, 0-9 and -";
        if !label(&self.node.region) {
            return Err(("node.region", self.node.region.clone(), rule));
        }
        if !label(&self.node.az) {
            return Err(("node.az", self.node.az.clone(), rule));
        }
        let account = &self.control.account_id;
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(("control.account_id", account.clone(), "must be 12 digits"));
        }
        if self.gateway.shards > 256 {
            return Err(("gateway.shards", self.gateway.shards.to_string(), "must be at most 256"));
        }
        if self.gateway.connections_max == 0 {
            return Err(("gateway.connections_max", "0".into(), "must be at least 1"));
        }
        if let Some(az) = self.upstream.zones.keys().find(|az| !label(az)) {
            return Err(("upstream.zones", az.clone(), rule));
        }
        if let Err(error) = self.upstream.zones() {
            return Err(("upstream.zones", format!("{} = {}", error.az, error.network), error.rule));
        }
        let disk_bytes = self.gateway.cache_disk_bytes_max;
        if disk_bytes > 0 && disk_bytes < CACHE_DISK_BYTES_MIN {
            return Err((
                "gateway.cache_disk_bytes_max",
                disk_bytes.to_string(),
                "must be 0 or at least 64 MiB",
            ));
        }
        if let Some(tls) = self.gateway.tls_listen.filter(|tls| overlap(*tls, self.gateway.listen)) {
            // Both could be bound, and the system would spread connections over them.
            return Err(("gateway.tls_listen", tls.to_string(), "must be another port than gateway.listen"));
        }
        let advertise = self.cluster.advertise.is_some() || !self.cluster.listen.ip().is_unspecified();
        match advertise {
            true => Ok(()),
            false => Err((
                "cluster.listen",
                self.cluster.listen.to_string(),
                "listens on all addresses, so cluster.advertise must say which one peers use",
            )),
        }
    }

    /// Address under which other nodes reach this one.
    pub(crate) fn advertise(&self) -> String {
        self.cluster.advertise.clone().unwrap_or_else(|| self.cluster.listen.to_string())
    }
}

/// Whether two listeners would get connections for one and the same address.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

fn default_cluster_name() -> String {
    "tidegate".into()
}

fn default_account() -> String {
    "000000000000".into()
}

fn default_cache_bytes_max() -> u64 {
    CACHE_MEMORY_BYTES_DEFAULT
}

fn default_direct() -> bool {
    true
}

fn default_connections() -> usize {
    20_000
}

fn default_drain_idle_ms() -> u64 {
    1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [node]
        region = "eu-west-1"
        az = "eu-west-1a"
        data_dir = "data"
        [cluster]
        listen = "127.0.0.1:4001"
        [control]
        listen = "127.0.0.1:4001"
        [gateway]
        listen = "127.0.0.1:8081"
        [admin]
        listen = "127.0.0.1:4051"
    "#;

    fn check(change: impl FnOnce(String) -> String, expect: Result<(), &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, change(GOOD.into())).unwrap();
        let found = NodeOptions::load(&path).map(|_| ()).map_err(|e| e.to_string());
        match expect {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(part) => assert!(found.as_ref().is_err_and(|e| e.contains(part)), "{found:?} lacks {part:?}"),
        }
    }

    #[test]
    fn errors_name_the_key_and_the_rule() {
        check(|t| t, Ok(()));
        check(|t| t.replace("az =", "zone ="), Err("unknown field `zone`"));
        check(|t| t.replace("\"eu-west-1\"", "\"EU\""), Err("node.region = \"EU\": must be 1 to 32 of a-z"));
        check(|t| t.replace("127.0.0.1:8081", "localhost"), Err("invalid socket address"));
        check(
            |t| t.replace("[cluster]\n        listen = \"127.0.0.1", "[cluster]\n        listen = \"0.0.0.0"),
            Err("cluster.advertise"),
        );
        for (address, expect) in [
            ("127.0.0.1:8443", Ok(())),
            ("127.0.0.1:8081", Err("gateway.tls_listen = \"127.0.0.1:8081\": must be another port")),
            ("0.0.0.0:8081", Err("must be another port")),
            ("8443", Err("invalid socket address")),
        ] {
            let both = format!("listen = \"127.0.0.1:8081\"\ntls_listen = \"{address}\"");
            check(|t| t.replace("listen = \"127.0.0.1:8081\"", &both), expect);
        }
        for (bytes, expect) in [
            ("0", Ok(())),
            ("67108864", Ok(())),
            ("1000", Err("gateway.cache_disk_bytes_max = \"1000\": must be 0 or at least 64 MiB")),
        ] {
            let both = format!("[gateway]\n cache_disk_bytes_max = {bytes}\n");
            check(|t| t.replace("[gateway]\n", &both), expect);
        }
        for (zones, expect) in [
            ("eu-west-1a = [\"10.1.0.0/24\", \"2001:db8::/48\"]", Ok(())),
            (
                "eu-west-1a = [\"10.1.0.1/24\"]",
                Err("upstream.zones = \"eu-west-1a = 10.1.0.1/24\": must have no bits behind"),
            ),
            ("EU = []", Err("upstream.zones = \"EU\": must be 1 to 32 of a-z")),
        ] {
            check(|t| format!("{t}\n[upstream.zones]\n{zones}\n"), expect);
        }
        check(|t| t + "[telemetry]\nlogs = \"info\"", Err("unknown field `logs`"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let options: NodeOptions = toml::from_str(GOOD).unwrap();
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<NodeOptions>(&text).unwrap(), options);
    }
}
