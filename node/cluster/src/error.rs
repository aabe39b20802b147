//! What can go wrong at the boundary of this crate. Says what the caller may do next; never logs.

use crate::{GroupId, NodeId};

/// Why a request to the cluster was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No leader was found before the deadline; nothing was proposed.
    #[error("group {group} has no leader")]
    NoLeader {
        /// The group that was asked.
        group: GroupId,
    },
    /// This node does not lead the group in that term, or may not act in it now: it has lost its majority or is handing
    /// leadership over. Nothing was proposed.
    #[error("this node does not lead group {group} in term {term}")]
    NotLeading {
        /// The group.
        group: GroupId,
        /// The term that was asked for.
        term: u64,
    },
    /// The command may or may not be applied: it was handed on and no answer came. Never retry blindly.
    #[error("the outcome of the command is unknown: {reason}")]
    Uncertain {
        /// What cut the answer off.
        reason: String,
    },
    /// This node, or the node asked, is no longer a member.
    #[error("this node is not a member of the cluster")]
    Fenced,
    /// This node does not run the group.
    #[error("group {0} does not run here")]
    UnknownGroup(GroupId),
    /// The node is not in the membership and not in the address book.
    #[error("node {0} is not known")]
    UnknownNode(NodeId),
    /// The change would leave fewer live voters than a majority.
    #[error("removing node {node} would lose the quorum: {live} of {voters} voters are reachable without it")]
    QuorumLoss {
        /// The node that was to be removed.
        node: NodeId,
        /// Live voters that would remain.
        live: usize,
        /// Voters that would remain.
        voters: usize,
    },
    /// The group already has members.
    #[error("group {0} is already initialised")]
    Initialised(GroupId),
    /// A command, message or checkpoint is over its limit.
    #[error("{what} of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The other node could not be reached; nothing was sent.
    #[error("node {node} is unreachable: {reason}")]
    Unreachable {
        /// The node that was called.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// The other node answered with an error of its own.
    #[error("node {node} refused: {reason}")]
    Refused {
        /// The node that answered.
        node: NodeId,
        /// Its words.
        reason: String,
    },
    /// The deadline passed. For reads and administration; a proposal reports [`Error::Uncertain`].
    #[error("no answer before the deadline")]
    Deadline,
    /// The membership change or transfer did not happen.
    #[error("the group refused the change: {0}")]
    Change(String),
    /// The disk or the network socket failed; the node must stop.
    #[error("storage: {0}")]
    Storage(String),
    /// The disk of the node that should write has less room than its reserve; nothing was written. It takes writes again by itself.
    #[error("node {node} has no room on its disk; free some, or add a node elsewhere")]
    NoRoom {
        /// The node.
        node: NodeId,
    },
    /// An option cannot be used.
    #[error("option {field}: {reason}")]
    Option {
        /// Name of the option.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate, key or token cannot be used.
    #[error("identity: {0}")]
    Identity(#[from] crate::identity::IdentityError),
    /// The UDP socket could not be opened or failed.
    #[error("socket {address}: {reason}")]
    Socket {
        /// The address that was to be bound.
        address: String,
        /// The operating system's words.
        reason: String,
    },
    /// The service has been stopped.
    #[error("the cluster service has stopped")]
    Stopped,
}
