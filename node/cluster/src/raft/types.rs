//! The one place where openraft's type parameters are chosen. None of these names leaves the crate.

use crate::{NodeId, NodeMeta, runtime::Rt};
use bytes::Bytes;
use std::fmt;

/// A command on its way through the log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Bytes);

/// What a machine answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome(pub(crate) Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} bytes)", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({} bytes)", self.0.len())
    }
}

openraft::declare_raft_types!(
    /// openraft's view of this crate.
    pub(crate) Types:
        D = Command,
        R = Outcome,
        NodeId = NodeId,
        Node = NodeMeta,
        AsyncRuntime = Rt,
);

pub(crate) type Raft = openraft::Raft<Types, super::machine::Applier>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Membership = openraft::Membership<NodeId, NodeMeta>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<Types, Bytes>;
pub(crate) type LeaderId = openraft::alias::LeaderIdOf<Types>;
pub(crate) type Metrics = openraft::RaftMetrics<Types>;
pub(crate) type ServerMetrics = openraft::metrics::RaftServerMetrics<Types>;
