//! The three things a user of this crate supplies: a state machine per group, an inbox for node-to-node messages
//! and a door for joining nodes. Only traits; nothing here runs.

use crate::{NodeId, NodeMeta};
use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Writes a captured state; runs off the apply thread.
pub type Encode = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// One replicated state machine. Pure and deterministic: the same commands in the same order give the same state
/// on every node. No clock, no randomness, no IO.
pub trait Machine: Send + 'static {
    /// Applies the committed command at log position `index` and returns the outcome for the proposer.
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes;
    /// Captures the state cheaply now; the returned closure encodes it later, elsewhere.
    fn checkpoint(&self) -> Encode;
    /// Replaces the state with an encoded one that includes everything up to `index`.
    ///
    /// # Errors
    /// The bytes cannot be read; the node stops, because it would diverge otherwise.
    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError>;
}

/// A checkpoint the machine cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint cannot be restored: {0}")]
pub struct MachineError(
    /// What is wrong with the bytes.
    pub String,
);

/// Answers messages of other nodes ([`crate::Handle::call`]).
pub trait Inbox: Send + Sync + 'static {
    /// Answers `message` of node `from`. An error text is handed to the caller as [`crate::Error::Refused`].
    /// Message and answer are at most [`crate::limits::MESSAGE_BYTES_MAX`] long.
    fn call(&self, from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>>;
}

/// Decides about joining nodes: checks the secret, gives an id, signs the certificate.
pub trait Enroller: Send + Sync + 'static {
    /// Answers one joining node.
    fn enroll(&self, request: EnrollRequest) -> BoxFuture<'static, Result<Enrolled, EnrollError>>;
}

/// What a joining node sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollRequest {
    /// The secret of the join token.
    pub secret: Vec<u8>,
    /// The certificate request (PKCS#10, DER); only its public key is to be trusted.
    pub csr_der: Vec<u8>,
    /// Where the node will listen and in which failure domain it stands.
    pub meta: NodeMeta,
}

/// What a joining node receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The id given to the node, never used before.
    pub node: NodeId,
    /// Name of the cluster.
    pub cluster: String,
    /// The signed certificate, DER.
    pub cert_der: Vec<u8>,
    /// The certificate authority, DER.
    pub ca_der: Vec<u8>,
    /// The nodes known now; the first addresses of the new node's address book.
    pub peers: Vec<(NodeId, NodeMeta)>,
    /// Opaque bytes for the joining node's own start (for example secrets of the control plane).
    pub welcome: Vec<u8>,
}

/// Why a node was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrollError {
    /// The secret is unknown, expired or already used.
    #[error("the join token is not accepted: it is unknown, expired or already used")]
    Secret,
    /// The request itself cannot be used.
    #[error("the join request is not valid: {0}")]
    Request(String),
    /// The cluster cannot decide now; try another node or later.
    #[error("the cluster cannot enroll now: {0}")]
    Unavailable(String),
}
