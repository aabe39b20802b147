//! The shapes of version 1. Frozen: a change is a new type with a new version, never an edit (`golden.rs` checks).

use super::frame::{Kind, Message};
use rkyv::{Archive, Deserialize, Serialize};

macro_rules! shape {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    )*};
}

macro_rules! message {
    ($($kind:ident => $name:ident),* $(,)?) => {$(
        impl Message for $name {
            const KIND: Kind = Kind::$kind;
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

shape! {
    /// Position in a log.
    LogIdV1 { term: u64, node: u64, index: u64 }
    /// A vote, or the leader's mandate when `committed`.
    VoteV1 { term: u64, node: u64, committed: bool }
    /// A node and where it is.
    NodeV1 { id: u64, address: String, region: String, az: String }
    /// Voter sets (two while a change is under way) and all nodes.
    MembershipV1 { configs: Vec<Vec<u64>>, nodes: Vec<NodeV1> }
    /// One log entry.
    EntryV1 { id: LogIdV1, payload: PayloadV1 }
    /// Entries to append; empty for a heartbeat.
    AppendV1 { vote: VoteV1, previous: Option<LogIdV1>, committed: Option<LogIdV1>, entries: Vec<EntryV1> }
    /// Answer to an append.
    AppendedV1 { result: AppendResultV1 }
    /// A vote request; `preview` asks without consequences.
    VoteRequestV1 { vote: VoteV1, last: Option<LogIdV1>, transfer: bool, preview: bool }
    /// Answer to a vote request.
    VotedV1 { vote: VoteV1, granted: bool, last: Option<LogIdV1> }
    /// What a checkpoint covers; its bytes follow. Also the head of a checkpoint file.
    CheckpointV1 { last: Option<LogIdV1>, membership_at: Option<LogIdV1>, membership: MembershipV1, bytes: u64, crc: u32 }
    /// A checkpoint on its way to a follower.
    InstallV1 { vote: VoteV1, head: CheckpointV1 }
    /// Answer to an installed checkpoint.
    InstalledV1 { vote: VoteV1 }
    /// Leadership is offered to `to`.
    TransferV1 { from: VoteV1, to: u64, last: Option<LogIdV1> }
    /// Whether the offer was taken.
    TransferredV1 { accepted: bool }
    /// A command for the leader.
    ProposeV1 { command: Vec<u8>, deadline_ms: u64 }
    /// Answer to a command.
    ProposedV1 { result: ProposeResultV1 }
    /// A question for the leader's read point.
    BarrierV1 { deadline_ms: u64 }
    /// The read point, or another leader.
    BarrierAtV1 { result: BarrierResultV1 }
    /// An opaque message for the inbox.
    CallV1 { message: Vec<u8> }
    /// The inbox's answer, or its error text.
    AnswerV1 { message: Vec<u8>, error: Option<String> }
    /// A membership command for the leader.
    ChangeV1 { change: ChangeKindV1, deadline_ms: u64 }
    /// Answer to a membership command.
    ChangedV1 { result: ChangeResultV1 }
    /// A joining node.
    EnrollV1 { secret: Vec<u8>, csr: Vec<u8>, address: String, region: String, az: String }
    /// What it receives.
    EnrolledV1 { result: EnrollResultV1 }
    /// A request that could not be understood or may not be made.
    RefusalV1 { reason: String }
}

/// What a log entry carries.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum PayloadV1 {
    Blank,
    Command(Vec<u8>),
    Membership(MembershipV1),
}

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum AppendResultV1 {
    Success,
    Matching(Option<LogIdV1>),
    Conflict(Option<LogIdV1>),
    HigherVote(VoteV1),
}

/// How a proposal ended.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ProposeResultV1 {
    Applied { index: u64, outcome: Vec<u8> },
    NotLeader { leader: Option<u64> },
    Uncertain { reason: String },
    Fenced,
}

/// How a barrier ended.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum BarrierResultV1 {
    At(u64),
    NotLeader { leader: Option<u64> },
    Retry { reason: String },
    Fenced,
}

/// A membership command.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ChangeKindV1 {
    Add(NodeV1),
    Remove { node: u64, force: bool },
    Transfer { to: Option<u64> },
}

/// How a membership command ended.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum ChangeResultV1 {
    Done { node: u64 },
    NotLeader { leader: Option<u64> },
    QuorumLoss { node: u64, live: u32, voters: u32 },
    Refused { reason: String },
    Fenced,
}

/// How joining ended.
#[derive(Debug, Clone, PartialEq, Archive, Serialize, Deserialize)]
pub(crate) enum EnrollResultV1 {
    Welcome { node: u64, cluster: String, cert: Vec<u8>, ca: Vec<u8>, peers: Vec<NodeV1>, welcome: Vec<u8> },
    Secret,
    Request { reason: String },
    Unavailable { reason: String },
}

message! {
    Append => AppendV1,
    Appended => AppendedV1,
    Vote => VoteRequestV1,
    Voted => VotedV1,
    Checkpoint => InstallV1,
    Installed => InstalledV1,
    Transfer => TransferV1,
    Transferred => TransferredV1,
    Propose => ProposeV1,
    Proposed => ProposedV1,
    Barrier => BarrierV1,
    BarrierAt => BarrierAtV1,
    Call => CallV1,
    Answer => AnswerV1,
    Change => ChangeV1,
    Changed => ChangedV1,
    Enroll => EnrollV1,
    Enrolled => EnrolledV1,
    Refusal => RefusalV1,
}
