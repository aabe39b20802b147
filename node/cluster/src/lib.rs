//! Replicated logs of opaque bytes: any number of Raft groups over one QUIC connection per peer, one durable log per
//! node, membership and placement. Knows groups, peers and logs; must never know what the bytes mean.

#![cfg_attr(feature = "sim", allow(dead_code, reason = "the simulation replaces sockets and files"))]

mod addresses;
mod condition;
mod error;
mod forward;
pub mod group;
mod handle;
pub mod identity;
pub mod limits;
mod machine;
mod members;
mod node;
mod options;
pub mod placement;
mod raft;
mod reconcile;
#[cfg(not(feature = "sim"))]
pub mod recover;
mod roster;
mod runtime;
mod service;
#[cfg(feature = "sim")]
pub mod sim;
mod status;
#[cfg(not(feature = "sim"))]
mod storage;
mod store;
mod tenure;
mod transport;
mod wire;

pub use condition::DiskTrouble;
pub use error::Error;
pub use group::{GroupScope, GroupSpec};
pub use handle::{Applied, Freshness, Handle};
pub use machine::{Encode, EnrollError, EnrollRequest, Enrolled, Enroller, Inbox, Machine, MachineError};
pub use options::{Options, Profile, Tuning};
pub use service::Service;
pub use status::{GroupStatus, PeerStatus, Role};
#[cfg(not(feature = "sim"))]
pub use storage::Storage;

use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of a node; given once, never reused.
pub type NodeId = u64;
/// Number of a replicated log.
pub type GroupId = u64;

/// Where a node is. Stored in the membership of its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMeta {
    /// `host:port` of its cluster socket (UDP).
    pub address: String,
    /// Its region.
    pub region: String,
    /// Its availability zone.
    pub az: String,
}

impl fmt::Display for NodeMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.address, self.region, self.az)
    }
}
