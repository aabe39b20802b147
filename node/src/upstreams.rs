//! Upstreams of this node: what its options say of zones and resolvers, and what an operator sees of targets.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tidegate_edge::{Zones, ZonesError};
use tidegate_proto::{document::Map, status::Upstreams};

/// Where upstreams are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpstreamOptions {
    /// Networks by availability zone, such as `"eu-west-1a" = ["10.1.0.0/24"]`: calls stay in the node's zone where they can.
    pub(crate) zones: Map<Vec<String>>,
    /// DNS servers for the names of upstreams; the operating system is asked when there are none.
    pub(crate) dns: Vec<SocketAddr>,
}

impl UpstreamOptions {
    /// The zones of addresses.
    pub(crate) fn zones(&self) -> Result<Zones, ZonesError> {
        let networks =
            self.zones.iter().flat_map(|(az, all)| all.iter().map(|network| (az.as_str(), network.as_str())));
        Zones::new(networks)
    }
}

/// The upstreams of this node, as `control` sees them.
pub(crate) struct NodeUpstreams {
    node: u64,
    az: String,
    edge: tidegate_edge::Handle,
}

impl NodeUpstreams {
    pub(crate) fn new(node: u64, az: &str, edge: tidegate_edge::Handle) -> Self {
        Self { node, az: az.to_owned(), edge }
    }
}

impl tidegate_control::Upstreams for NodeUpstreams {
    fn list(&self) -> Upstreams {
        Upstreams { node: self.node, az: self.az.clone(), upstreams: self.edge.upstreams() }
    }
}
