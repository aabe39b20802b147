//! What nodes and the rate-limit ledger tell each other, and what the ledger writes to its log. Owns those shapes and their
//! versions; what they mean is decided in `throttle`.
//!
//! Everything is cumulative or versioned, so that a message that is lost, repeated or late does no harm.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

mod state;

pub use state::{
    CapitalV1, ChunkV1, PoolRowV1, QuotaRowV1, SessionV1, SliceRowV1, SliceV1, StateV1, WholeV1,
};

/// Newest version of the messages that this program writes and reads.
pub const MESSAGE_VERSION: u8 = 1;
/// Newest version of the commands that this program writes and reads.
pub const COMMAND_VERSION: u8 = 1;
/// Newest version of the ledger's state that this program writes and reads.
pub const STATE_VERSION: u8 = 1;
/// The whole of a limit, in the units that shares of it are counted in.
pub const WHOLE: u32 = 1 << 24;

/// What nodes say to each other about limits.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum MessageV1 {
    /// To the leader of a shard.
    Report {
        /// The shard's group.
        group: u64,
        /// The report.
        report: ReportV1,
    },
    /// From the leader of a shard.
    Grant {
        /// The shard's group.
        group: u64,
        /// The grant.
        grant: GrantV1,
    },
    /// Arrived; says nothing about what became of it.
    Taken,
    /// Asks the leader of a shard what was used of quotas, day by day.
    Usage {
        /// The shard's group.
        group: u64,
        /// The quotas.
        limits: Vec<u64>,
        /// First day asked for, in days since 1970-01-01.
        first_day: u32,
        /// Last day asked for.
        last_day: u32,
    },
    /// Answers [`MessageV1::Usage`], in the same order.
    Used(Vec<Vec<UsedV1>>),
    /// Asks the leader of a shard what it was told of the use of a quota and has not written down.
    Settle {
        /// The shard's group.
        group: u64,
        /// The quota.
        limit: u64,
    },
    /// Asks the leader of a shard for its busiest limits.
    Top {
        /// The shard's group.
        group: u64,
        /// How many at most.
        count: u32,
    },
    /// Asks a node for the limits that are busiest there. Leaders know only of limits that have been short somewhere.
    TopHere {
        /// How many at most.
        count: u32,
    },
    /// Answers [`MessageV1::Settle`]: what would write it down.
    Unsettled(CommandV1),
    /// Answers [`MessageV1::Top`] and [`MessageV1::TopHere`], busiest first.
    Busiest(Vec<BusyV1>),
}

/// Use of a quota on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct UsedV1 {
    /// Days since 1970-01-01.
    pub day: u32,
    /// Requests.
    pub used: u32,
    /// What was left at the end of the day, or is left now.
    pub remaining: u32,
}

/// A limit as its ledger sees it.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct BusyV1 {
    /// The limit.
    pub limit: u64,
    /// Requests per second that were offered to all holders together.
    pub demand: f32,
    /// Requests per second that this limit refused, at all holders together.
    pub refused: f32,
    /// Tokens left in thousandths, where the ledger knows.
    pub level: i64,
    /// Whether it is short.
    pub contended: bool,
    /// Who holds what.
    pub holders: Vec<BusyHolderV1>,
}

/// A holder of a limit as its ledger sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct BusyHolderV1 {
    /// The holder.
    pub holder: u64,
    /// Requests per second that were offered to it.
    pub demand: f32,
    /// Requests per second that the limit refused there.
    pub refused: f32,
    /// Its share of [`WHOLE`] for limits that are cut into slices, the tokens it has for those that are handed out; 0 for limits
    /// that are counted.
    pub share: u32,
}

/// A holder tells a ledger shard what it saw and what it needs.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct ReportV1 {
    /// The holder: a node, or for limits that span regions a region.
    pub holder: u64,
    /// Which life of the holder this is; never used twice.
    pub incarnation: u64,
    /// The session, or 0 while the holder has none and uses nothing that it was granted.
    pub epoch: u64,
    /// The newest session this incarnation ever had.
    pub epoch_seen: u64,
    /// The leader's term, as far as the holder knows.
    pub term: u64,
    /// When this was sent, on the holder's clock, in nanoseconds; comes back as [`GrantV1::echo_ns`].
    pub sent_ns: u64,
    /// The term of the leader that speaks for a region, whose clock it is; 0 from nodes.
    pub rank: u64,
    /// The node of that leader; 0 from nodes.
    pub via: u64,
    /// Whether the holder's demand for every managed limit is in it.
    pub full: bool,
    /// Large rate limits.
    pub slices: Vec<SliceReportV1>,
    /// Small rate limits.
    pub counts: Vec<CountReportV1>,
    /// Quotas, and small rate limits that are strict.
    pub chunks: Vec<ChunkReportV1>,
}

/// What a holder says about its slice of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct SliceReportV1 {
    /// The limit.
    pub limit: u64,
    /// Requests per second that were offered.
    pub demand: f32,
    /// Requests per second that were refused by this limit.
    pub refused: f32,
    /// Newest version of the slice that is in use.
    pub version: u64,
    /// Tokens given back in this session, in thousandths, cumulative.
    pub returned: u64,
}

/// What a holder says about a limit that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CountReportV1 {
    /// The limit.
    pub limit: u64,
    /// Requests per second that were offered.
    pub demand: f32,
    /// Requests per second that were refused by this limit.
    pub refused: f32,
    /// Requests admitted, cumulative over this incarnation.
    pub spent: u64,
    /// The part of them that needs no counting any more, for a leader that knows nothing about this holder.
    pub settled: u64,
}

/// What a holder says about whole tokens that it was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct ChunkReportV1 {
    /// The limit.
    pub limit: u64,
    /// The period its tokens belong to; 0 for limits without one.
    pub period: u32,
    /// Requests per second that were offered.
    pub demand: f32,
    /// Requests per second that were refused by this limit.
    pub refused: f32,
    /// Whether more is needed.
    pub wanting: bool,
    /// Tokens received, cumulative.
    pub granted: u32,
    /// Tokens used, cumulative.
    pub spent: u32,
    /// Tokens given back, cumulative.
    pub returned: u32,
}

/// A ledger shard grants. Leaves only after a majority has what is in it.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct GrantV1 {
    /// Term of the leader.
    pub term: u64,
    /// The session; 0 when there is none.
    pub epoch: u64,
    /// [`ReportV1::sent_ns`] of the newest report: the lease counts from there. 0 extends nothing.
    pub echo_ns: u64,
    /// How long the lease lasts from there, in nanoseconds.
    pub lease_ns: u64,
    /// [`ReportV1::rank`] of that report: only the leader that sent it can read the echo.
    pub rank: u64,
    /// Holders that have a session.
    pub holders: u32,
    /// The day, in days since 1970-01-01, as the ledger has committed it; 0 when it has not.
    pub day: u32,
    /// The session as a whole, for a holder that has just got it.
    pub open: Option<OpenV1>,
    /// Asks the holder to end its session and begin a new one, because the number of holders has changed.
    pub reopen: bool,
    /// Slices.
    pub slices: Vec<SliceGrantV1>,
    /// Levels of counted limits.
    pub levels: Vec<LevelGrantV1>,
    /// Whole tokens.
    pub chunks: Vec<ChunkGrantV1>,
}

/// The start of a session.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct OpenV1 {
    /// The incarnation it is for.
    pub incarnation: u64,
    /// Share of every limit that is not in `slices`, of [`WHOLE`].
    pub unit: u32,
    /// Every limit whose shares are managed one by one.
    pub slices: Vec<SliceGrantV1>,
}

/// A slice of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct SliceGrantV1 {
    /// The limit.
    pub limit: u64,
    /// Share, of [`WHOLE`].
    pub share: u32,
    /// Grows with every change.
    pub version: u64,
    /// Tokens handed over in this session, in thousandths, cumulative.
    pub tokens: u64,
    /// Whether the limit as a whole is short, so that nobody may run into debt.
    pub contended: bool,
    /// Whether the limit goes back to the share that every limit has by default.
    pub implicit: bool,
}

/// The true level of a counted limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct LevelGrantV1 {
    /// The limit.
    pub limit: u64,
    /// Tokens left, in thousandths; negative is debt.
    pub level: i64,
    /// The holder's [`CountReportV1::spent`] that is in it.
    pub spent: u64,
    /// The part of that which is in the level that the next leader would begin with.
    pub saved: u64,
    /// Grows with every message of a term.
    pub sequence: u64,
}

/// Whole tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct ChunkGrantV1 {
    /// The limit.
    pub limit: u64,
    /// The period they belong to.
    pub period: u32,
    /// Granted, cumulative.
    pub granted: u32,
    /// Asks for what is not needed.
    pub recall: bool,
    /// Whether nothing is left to grant.
    pub exhausted: bool,
}

/// One entry of a shard's log.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct CommandV1 {
    /// Applied in order; one that breaks a rule is skipped.
    pub changes: Vec<ChangeV1>,
}

/// One change of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub enum ChangeV1 {
    /// Starts a session and ends the holder's older one.
    Open {
        /// The holder.
        holder: u64,
        /// Its life.
        incarnation: u64,
        /// The session that it ends; 0 for none. Where the holder has another one by now, nothing happens.
        replaces: u64,
        /// Share of every limit that is not managed; cut to what is free.
        unit: u32,
    },
    /// Ends a session that provably uses nothing any more.
    Close {
        /// The holder.
        holder: u64,
        /// The session.
        epoch: u64,
    },
    /// Shares of a limit are managed one by one from here on.
    Manage {
        /// The limit.
        limit: u64,
    },
    /// Sets a slice.
    Slice {
        /// The limit.
        limit: u64,
        /// The holder.
        holder: u64,
        /// What it may be using at most.
        committed: u32,
        /// What it should use.
        target: u32,
        /// Tokens handed over, in thousandths, cumulative.
        tokens: u64,
        /// Tokens taken back, in thousandths, cumulative.
        returned: u64,
        /// Whether the limit as a whole is short.
        contended: bool,
        /// Whether the target is the default share.
        implicit: bool,
    },
    /// The share of every session is the default one again.
    Retire {
        /// The limit.
        limit: u64,
    },
    /// Opens a quota, moves it to a later period, or changes its size.
    Quota {
        /// The limit.
        limit: u64,
        /// The period.
        period: u32,
        /// Requests in it.
        size: u32,
    },
    /// Opens a pool of single tokens.
    Pool {
        /// The limit.
        limit: u64,
        /// Most tokens that may be out at a time.
        size: u32,
    },
    /// Hands out tokens.
    Grant {
        /// The limit.
        limit: u64,
        /// The period.
        period: u32,
        /// The holder.
        holder: u64,
        /// Its incarnation for a quota, its session for a pool.
        life: u64,
        /// How many more.
        amount: u32,
    },
    /// Records what became of tokens.
    Settle {
        /// The limit.
        limit: u64,
        /// The period.
        period: u32,
        /// The holder.
        holder: u64,
        /// Its incarnation for a quota, its session for a pool.
        life: u64,
        /// Used, cumulative.
        spent: u32,
        /// Given back, cumulative.
        returned: u32,
    },
    /// Sets what is left of a quota in its present period.
    Remain {
        /// The limit.
        limit: u64,
        /// The period.
        period: u32,
        /// Requests left.
        remaining: u32,
    },
    /// Forgets a quota, a pool, or a whole whose limit is gone.
    Forget {
        /// The limit.
        limit: u64,
    },
    /// Remembers the level of a counted limit for the next leader; a full one is forgotten.
    Level {
        /// The limit.
        limit: u64,
        /// Thousandths of tokens.
        level: i64,
        /// Thousandths of tokens of the full bucket.
        full: i64,
    },
    /// A new day has begun.
    Day {
        /// Days since 1970-01-01.
        day: u32,
    },
    /// A region's part of the limits that span regions gets a session with the ledger of all regions.
    Upstream {
        /// The session.
        epoch: u64,
        /// Share of every limit that has no whole of its own, of [`WHOLE`].
        unit: u32,
    },
    /// That session is over, and nothing of it is used any more.
    Leave {
        /// The session.
        epoch: u64,
    },
    /// What the region has of one limit.
    Whole {
        /// The limit.
        limit: u64,
        /// Share of [`WHOLE`].
        share: u32,
        /// [`SliceGrantV1::version`] that says so.
        version: u64,
        /// [`SliceGrantV1::tokens`] that came with it.
        tokens: u64,
        /// Tokens that go back with what is given up, in thousandths, cumulative.
        returned: u64,
    },
}

macro_rules! framed {
    ($($type:ident $kind:ident $version:ident),*) => {$(
        impl $type {
            /// The framed bytes.
            ///
            /// # Errors
            /// [`FrameError::TooLarge`].
            pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
                let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
                frame::seal(Kind::$kind, $version, &body)
            }

            /// Reads framed bytes.
            ///
            /// # Errors
            /// Any [`FrameError`].
            pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
                let body = frame::open(Kind::$kind, $version, bytes)?;
                rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
            }
        }
    )*};
}

framed!(
    CommandV1 LedgerCommand COMMAND_VERSION,
    StateV1 LedgerState STATE_VERSION,
    MessageV1 LedgerMessage MESSAGE_VERSION
);

#[cfg(test)]
mod tests;
