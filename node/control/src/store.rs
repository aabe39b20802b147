//! The seams to the cluster that the node fills in. Owns their contracts; must never know how agreement is reached.

use std::{future::Future, pin::Pin};

use tidegate_proto::{
    status::{self, CacheLook, CacheTop, ClusterStatus, JoinTokenIssued, LeaderTransferred, LimitsTop},
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

    /// As [`barrier`](Store::barrier), but enough for deciding a change only: a leader need not ask anybody for what a majority
    /// confirmed a moment ago, because applying a change checks what it expects.
    fn approach(&self) -> BoxFuture<'_, Result<Freshness, StoreError>>;

    /// Proposes a transaction and returns what applying it did.
    fn commit(&self, transaction: TransactionV1) -> BoxFuture<'_, Result<OutcomeV1, StoreError>>;
}

/// What [`Store::approach`] found out about the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is current.
    Confirmed,
    /// It is current unless another node has just begun to lead.
    Recent,
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
    /// The leader does not take the change, for the reason given: nothing was applied.
    #[error("{0}")]
    Declined(String),
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

/// What the nodes counted of the use of API keys in usage plans.
pub trait Usage: Send + Sync + 'static {
    /// What `keys` used of a plan from `first_day` to `last_day`, both included. Days are UTC and counted from 1970-01-01. Keys and
    /// days without use may be left out: such a day is printed with no use and the whole quota, so a day inside of a period that
    /// has use before it is not left out.
    fn usage(
        &self,
        plan: &str,
        keys: Vec<String>,
        first_day: i32,
        last_day: i32,
    ) -> BoxFuture<'_, Result<Vec<KeyUsage>, UsageError>>;

    /// Sets what remains of a key's quota in the period that is running. The plan has a quota and the key is in it.
    fn set_remaining(&self, plan: &str, key: &str, remaining: u64) -> BoxFuture<'_, Result<(), UsageError>>;
}

/// How busy the limits of the region are.
pub trait Limits: Send + Sync + 'static {
    /// The busiest limits that a question is about. Takes bounded time and names who did not answer.
    fn top(&self, question: TopQuestion) -> BoxFuture<'_, LimitsTop>;
}

/// Which limits an operator asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopQuestion {
    /// How many at most.
    pub count: usize,
    /// Only limits of this API: of it, of its stages and methods.
    pub api: Option<String>,
    /// Only limits of stages of this name and of their methods.
    pub stage: Option<String>,
    /// Only limits of this level.
    pub level: Option<String>,
}

/// The upstreams of this node.
pub trait Upstreams: Send + Sync + 'static {
    /// All of them, and what is known of their targets.
    fn list(&self) -> status::Upstreams;
}

/// The cached answers of the region.
pub trait Caches: Send + Sync + 'static {
    /// Waits until every node of the region serves the configuration of `revision` or a newer one, for
    /// [`CACHE_SETTLE_TIMEOUT_MS`](tidegate_proto::limits::CACHE_SETTLE_TIMEOUT_MS) at most.
    fn settled(&self, revision: u64) -> BoxFuture<'_, Result<(), StillServed>>;

    /// The most used answers that a question is about. Takes bounded time and names who did not answer.
    fn top(&self, question: CacheQuestion) -> BoxFuture<'_, CacheTop>;

    /// What each node would answer a request with. Takes bounded time and names who did not answer.
    fn look(&self, request: CacheRequest) -> BoxFuture<'_, CacheLook>;
}

/// Nodes that did not say in time that they serve a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("nodes {nodes:?} did not say in time that they serve the configuration")]
pub struct StillServed {
    /// Their ids; none where it is not known which.
    pub nodes: Vec<u64>,
}

/// Which cached answers an operator asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheQuestion {
    /// How many at most.
    pub count: usize,
    /// Only answers of this API.
    pub api: Option<String>,
    /// Only answers of stages of this name.
    pub stage: Option<String>,
}

/// A request whose cached answers an operator asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRequest {
    /// Id of the API.
    pub api: String,
    /// Name of the stage.
    pub stage: String,
    /// Path after the stage, as a caller writes it.
    pub path: String,
    /// Query without its question mark, as a caller writes it.
    pub query: String,
}

/// What one API key used of a usage plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// Id of the API key.
    pub key: String,
    /// Its days, in any order, each at most once.
    pub days: Vec<DayUsage>,
}

/// What one API key used of a usage plan on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayUsage {
    /// Days since 1970-01-01 UTC.
    pub day: i32,
    /// Requests of this day.
    pub used: u64,
    /// Requests that remained of the period's quota at the end of this day, or remain now.
    pub remaining: u64,
}

/// Why the counters have no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Nobody leads the counters: nothing was changed.
    #[error("the counters are out of reach")]
    Unavailable,
    /// A change was proposed and its outcome is unknown.
    #[error("the outcome of the change is unknown")]
    Unknown,
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
    /// The store has no outcome.
    #[error(transparent)]
    Store(StoreError),
}
