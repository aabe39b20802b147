//! Everything one running node holds together: its groups, the way to its peers, and when each was last heard.

use crate::{
    Error, GroupId, Inbox, NodeId, NodeMeta, Options,
    addresses::Addresses,
    condition::Troubles,
    group,
    raft::group::Group,
    runtime::{self, Instant},
    store::LogBackend,
    transport::{Target, Transport},
    wire::{Frame, Message},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// One running node; shared by handles, server and reconciler.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) meta: NodeMeta,
    pub(crate) options: Options,
    pub(crate) groups: BTreeMap<GroupId, Arc<Group>>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) backend: std::sync::Weak<dyn LogBackend>,
    pub(crate) addresses: Addresses,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) heard: Mutex<BTreeMap<NodeId, Instant>>,
    /// Nodes that should lead nothing while others can.
    pub(crate) resting: Mutex<BTreeSet<NodeId>>,
    pub(crate) troubles: Troubles,
}

impl Node {
    pub(crate) fn group(&self, group: GroupId) -> Result<&Arc<Group>, Error> {
        self.groups.get(&group).ok_or(Error::UnknownGroup(group))
    }

    pub(crate) fn target(&self, node: NodeId) -> Result<Target, Error> {
        self.addresses.target(node).ok_or(Error::UnknownNode(node))
    }

    pub(crate) fn frame<M: Message>(&self, group: GroupId, message: &M) -> Frame {
        Frame::new(self.id, group, message)
    }

    /// True when `node` belongs to the cluster as far as this node knows.
    pub(crate) fn admits(&self, node: NodeId) -> bool {
        self.groups.get(&group::CONFIG).or_else(|| self.groups.values().next()).is_none_or(|g| g.admits(node))
    }

    /// Nodes that should lead nothing while others can.
    pub(crate) fn resting(&self) -> BTreeSet<NodeId> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.troubles.borrow().is_some() {
            resting.insert(self.id);
        }
        resting
    }

    /// Notes that a peer was heard.
    pub(crate) fn note(&self, node: NodeId) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(node, runtime::now());
    }

    /// Milliseconds since a peer was heard.
    pub(crate) fn heard_ms(&self, node: NodeId) -> Option<u64> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&node).copied().map(runtime::elapsed_ms)
    }
}
