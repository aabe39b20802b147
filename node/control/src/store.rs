//! The seams to the cluster that the node fills in. Owns their contracts; must never know how agreement is reached.

use std::{future::Future, pin::Pin};

use tidegate_proto::{
    status::{ClusterStatus, JoinTokenIssued, LeaderTransferred},
    transaction::{OutcomeV1, TransactionV1},
};
use tidegate_state::State;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The replicated configuration, as control reads and changes it.
pub trait Store: Send + Sync + 'static {
    /// The state applied at this node; costs O(1).
    fn view(&self) -> State;

    /// Waits until [`Store::view`] holds every change that was acknowledged before this call, anywhere in the cluster.
    fn barrier(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Proposes a transaction and returns what applying it did.
    fn commit(&self, transaction: TransactionV1) -> BoxFuture<'_, Result<OutcomeV1, StoreError>>;
}

/// Why the store has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No quorum: nothing was applied and nothing will be.
    #[error("the cluster has no quorum")]
    NoQuorum,
    /// The transaction was proposed and its outcome is unknown.
    #[error("the outcome of the change is unknown")]
    Uncertain,
    /// This node is shutting down.
    #[error("this node is stopping")]
    Stopped,
    /// The store does not take the transaction.
    #[error("{0}")]
    Refused(String),
}

/// The cluster, as its operators see it.
pub trait Cluster: Send + Sync + 'static {
    /// What this node knows about all nodes.
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, ClusterError>>;

    /// Issues a token that lets one node join.
    fn issue_token(&self) -> BoxFuture<'_, Result<JoinTokenIssued, ClusterError>>;

    /// Removes a node; `force` also removes one that does not answer, or whose removal costs fault tolerance.
    fn remove(&self, node: u64, force: bool) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Takes a node out of service, or back in.
    fn drain(&self, node: u64, draining: bool) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Moves leadership to a node, or to the best one.
    fn transfer(&self, to: Option<u64>) -> BoxFuture<'_, Result<LeaderTransferred, ClusterError>>;
}

/// Why a cluster verb was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No such member.
    #[error("node {node} is not a member of the cluster")]
    NoSuchNode {
        /// The id asked for.
        node: u64,
    },
    /// The verb would do harm; the text says which.
    #[error("{0}")]
    Refused(String),
    /// The cluster has no quorum: nothing was changed.
    #[error("the cluster has no quorum")]
    NoQuorum,
}
