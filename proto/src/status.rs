//! What the cluster API prints: shared by the server, the command line and the console.

use serde::{Deserialize, Serialize};

/// The cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Name of the cluster.
    pub cluster: String,
    /// Node that answered.
    pub answered_by: u64,
    /// Leader of the configuration group, as this node knows it.
    pub leader: Option<u64>,
    /// Raft term of the configuration group.
    pub term: u64,
    /// Newest configuration revision at this node.
    pub revision: u64,
    /// How much more the cluster can lose and still accept writes.
    pub tolerance: Tolerance,
    /// All members, by node id.
    pub nodes: Vec<NodeStatus>,
}

/// Further failures that leave a quorum, given what is down now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Any so many more nodes.
    pub nodes: u32,
    /// Any so many more whole availability zones.
    pub azs: u32,
    /// Any so many more whole regions.
    pub regions: u32,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Node id.
    pub node: u64,
    /// Region.
    pub region: String,
    /// Availability zone.
    pub az: String,
    /// `leader`, `voter` or `learner`.
    pub role: String,
    /// Whether it answered just now.
    pub live: bool,
    /// Whether its data plane is ready.
    pub ready: bool,
    /// Whether it is drained.
    pub draining: bool,
    /// Applied index of the configuration log.
    pub applied_index: u64,
    /// Revision of the configuration that its data plane serves.
    pub serving_revision: u64,
    /// Hash of its replicated state, hexadecimal.
    pub state_hash: String,
    /// Milliseconds since the answering node last heard from it.
    pub last_contact_ms: Option<u64>,
    /// Version of its binary.
    pub version: String,
    /// Address of its control listener.
    pub control_address: String,
    /// Address of its data-plane listener.
    pub gateway_address: String,
    /// Address of its cluster transport.
    pub cluster_address: String,
    /// Seconds since it started.
    pub uptime_s: u64,
}

/// A fresh join token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JoinTokenIssued {
    /// What the joining node is given.
    pub token: String,
    /// Seconds until it is refused.
    pub expires_in_s: i64,
}

/// A leadership transfer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeaderTransferred {
    /// The new leader.
    pub leader: u64,
}

/// A certificate of the data plane, without its private key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// Host names it is served for, `*.` ones included.
    pub dns_names: Vec<String>,
    /// Start of validity, in seconds since the Unix epoch.
    pub not_before: i64,
    /// End of validity, in seconds since the Unix epoch.
    pub not_after: i64,
    /// When it was stored, in seconds since the Unix epoch.
    pub stored: i64,
    /// The chain, PEM; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chain_pem: Option<String>,
}

/// All certificates of the data plane, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CertificateList {
    /// Without chains.
    pub certificates: Vec<CertificateStatus>,
}

/// A restored checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRestored {
    /// Records written.
    pub records: usize,
    /// Revision of the configuration afterwards.
    pub revision: u64,
}
