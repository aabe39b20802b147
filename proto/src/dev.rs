//! `dev.json`: how tools find a development region that `tidegate dev` runs.

use serde::{Deserialize, Serialize};

/// Contents of `DIR/dev.json`, rewritten whole whenever something in it changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DevRegion {
    /// URL of the control plane, behind the balancer.
    pub control: String,
    /// URL of the data plane, behind the balancer.
    pub gateway: String,
    /// URL of the data plane with TLS, behind the balancer.
    #[serde(default)]
    pub gateway_tls: String,
    /// First region.
    pub region: String,
    /// Access key of the region's root principal.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// All nodes, running or not.
    pub nodes: Vec<DevNode>,
    /// The imported sample; absent after a reset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample: Option<DevSample>,
}

/// A node of a development region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DevNode {
    /// Region.
    pub region: String,
    /// Availability zone.
    pub az: String,
    /// Name of its process and its folder: the zone, and a number for further nodes of it.
    #[serde(default)]
    pub name: String,
    /// Node id.
    pub node_id: u64,
    /// Process id; 0 while the node is stopped.
    pub pid: u32,
    /// URL of its own data-plane listener.
    pub gateway: String,
    /// URL of its own data-plane listener with TLS.
    #[serde(default)]
    pub gateway_tls: String,
    /// URL of its own control listener.
    pub control: String,
    /// URL of its own admin listener: metrics and health.
    pub admin: String,
}

/// The sample API of a development region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DevSample {
    /// Id of its REST API.
    pub api_id: String,
    /// Deployed stage.
    pub stage: String,
    /// A URL that answers.
    pub url: String,
}
