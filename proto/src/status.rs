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

/// The busiest limits of a region, as [`LIMITS_TOP_COUNT_MAX`](crate::limits::LIMITS_TOP_COUNT_MAX) bounds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsTop {
    /// The region.
    pub region: String,
    /// Node that answered.
    pub answered_by: u64,
    /// Busiest first.
    pub limits: Vec<LimitStatus>,
    /// Shards of the region's ledger whose leader did not answer: what is left of their limits is not known.
    pub silent_shards: Vec<u64>,
    /// Nodes that did not answer: what is offered to them may be missing.
    pub silent_nodes: Vec<u64>,
}

/// One limit and what it sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// What it is called here: names where there are some, else ids.
    pub limit: String,
    /// Its number in the ledger, hexadecimal.
    pub id: String,
    /// What it is on, as in the access log: `plan`, `plan-method`, `quota`, `method`, `stage` or `account`; `unknown` where it is
    /// not configured any more.
    pub level: String,
    /// Id of the usage plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
    /// Name of the usage plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan_name: Option<String>,
    /// Id of the API key; its value is not told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Name of the API key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_name: Option<String>,
    /// Id of the API.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api: Option<String>,
    /// Name of the stage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// Verb and path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    /// How it is kept: `slice`, `count`, `pool` or `quota`.
    pub kind: String,
    /// What matters more where not everything can be had.
    pub policy: LimitPolicyStatus,
    /// Requests per second of a rate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<f64>,
    /// Requests at once of a rate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub burst: Option<f64>,
    /// Requests per period of a quota.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quota: Option<u64>,
    /// `DAY`, `WEEK` or `MONTH` of a quota.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub period: Option<String>,
    /// Requests per second that asked; one that waits for a share may ask more than once.
    pub demand: f64,
    /// Requests per second that this limit let through; another limit may have refused them.
    pub admitted: f64,
    /// Requests per second that this limit refused.
    pub refused: f64,
    /// How much of the rate is let through, or of the quota is used, in percent; a burst is more than 100.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fill_percent: Option<f64>,
    /// Requests left; not known of a limit that is cut into slices.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remaining: Option<f64>,
    /// Whether the limit as a whole is used up.
    pub short: bool,
    /// Who holds what of it, busiest first.
    pub holders: Vec<LimitHolder>,
}

/// What matters more of a limit where not everything can be had.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitPolicyStatus {
    /// Whether it never admits more, whatever fails.
    pub strict: bool,
    /// What a node without contact admits: `even`, `last` or `closed`.
    pub isolated: String,
    /// `region` or `global`.
    pub scope: String,
}

/// A node's part of a limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitHolder {
    /// The node.
    pub node: u64,
    /// Its availability zone; empty where it is not a member any more.
    pub az: String,
    /// Requests per second that asked there.
    pub demand: f64,
    /// Requests per second that were refused there.
    pub refused: f64,
    /// What it may use of the limit, in percent of the whole; nothing is held of a limit that is counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share_percent: Option<f64>,
}

/// The most used cached answers of a region, as [`CACHE_TOP_COUNT_MAX`](crate::limits::CACHE_TOP_COUNT_MAX) bounds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheTop {
    /// Stages that cache something, by API and name; figures of all nodes together.
    pub stages: Vec<CacheStage>,
    /// Most used first.
    pub entries: Vec<CacheEntry>,
    /// Nodes that did not answer: what they hold is missing.
    pub silent: Vec<u64>,
}

/// What the cache of a stage did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheStage {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Answers held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Requests that a stored answer was sent for while it lived.
    pub hits: u64,
    /// Requests that went to the integration because nothing was stored for them.
    pub misses: u64,
    /// Requests that a stored answer was sent for although its life was over.
    pub stale: u64,
    /// Requests that were sent the answer of another one that they had waited for.
    pub coalesced: u64,
    /// Requests that went to the integration whatever was stored.
    pub bypassed: u64,
}

/// One cached answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Verb of the request.
    pub verb: String,
    /// Path of the resource, with braces.
    pub resource: String,
    /// Path after the stage, as it came.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes it takes.
    pub bytes: u64,
    /// Seconds since it was made.
    pub age_s: u64,
    /// Seconds that are left of its life; negative when it is over.
    pub ttl_s: i64,
    /// Requests that it was sent for.
    pub hits: u64,
    /// Its tags, by which it can be purged.
    pub tags: Vec<String>,
}

/// What the nodes of a region would answer a request with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheLook {
    /// Stored answers, by node.
    pub found: Vec<CacheFound>,
    /// Nodes that did not answer: whether they hold one is not known.
    pub silent: Vec<u64>,
}

/// A cached answer where it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheFound {
    /// The node.
    pub node: u64,
    /// What it holds.
    #[serde(flatten)]
    pub entry: CacheEntry,
}

/// What was taken out of a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachePurged {
    /// `all` or `part`; too many parts are everything.
    pub purged: String,
    /// Its number.
    pub sequence: u64,
}

/// An availability zone that traffic and leaders are moved away from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZonalShiftStatus {
    /// Its region.
    pub region: String,
    /// Its name.
    pub az: String,
    /// When the shift began, in seconds since the Unix epoch.
    pub since: i64,
    /// Seconds until it ends by itself.
    pub expires_in_s: i64,
    /// Why, in the operator's words.
    pub comment: String,
}

/// All zonal shifts that are not over, by region and zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ZonalShiftList {
    /// The shifts.
    pub zonal_shifts: Vec<ZonalShiftStatus>,
}

/// A rollout under way, or the last one of a stage that was taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// `rolling` or `rolled-back`.
    pub state: String,
    /// Deployment that zones serve which were not reached; of a rollout that was taken back, the one that all serve.
    pub from_deployment: String,
    /// The newest deployment; of a rollout that was taken back, the one that nobody serves.
    pub to_deployment: String,
    /// Zones that serve it, as `region/az`, in the order in which they got it.
    pub reached: Vec<String>,
    /// When the last of them got it, or when it was taken back, in seconds since the Unix epoch.
    pub since: i64,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}

/// Rollouts, by API and stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutList {
    /// The rollouts.
    pub rollouts: Vec<RolloutStatus>,
}

/// The upstreams of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstreams {
    /// Node that answered.
    pub node: u64,
    /// Its availability zone.
    pub az: String,
    /// Its upstreams: hosts, then VPC links, by name.
    pub upstreams: Vec<UpstreamStatus>,
}

/// One upstream, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Host and port, or id of the VPC link.
    pub upstream: String,
    /// `host` or `vpc-link`.
    pub kind: String,
    /// Name of the VPC link.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_name: String,
    /// Whether too few targets are healthy, so that calls go to all of them.
    pub panic: bool,
    /// Calls that were made again.
    pub retries: u64,
    /// Calls that were not made again, as the budget was used up.
    pub retry_budget_exhausted: u64,
    /// Targets that were chosen whatever their health.
    pub panic_picks: u64,
    /// Targets that were chosen in another zone for want of some in the node's own.
    pub spilled_picks: u64,
    /// Its targets.
    pub targets: Vec<UpstreamTarget>,
}

/// One target of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTarget {
    /// Address and port.
    pub address: String,
    /// Availability zone; empty where it is not known.
    pub az: String,
    /// `healthy`, `ejected`, `failing` (its health checks) or `shifted` (traffic is shifted away from its zone).
    pub state: String,
    /// Milliseconds that it stays ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_for_ms: Option<u64>,
    /// How often it was ejected of late.
    pub ejections: u32,
    /// Failures since it last succeeded.
    pub failures: u32,
    /// Calls under way to it.
    pub outstanding: u32,
    /// The last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}
