//! What a ledger remembers. Owns the shapes; what they mean is decided in `throttle`.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize};

/// A whole ledger shard.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct StateV1 {
    /// The last session that was given.
    pub epoch: u64,
    /// The last version that was given.
    pub version: u64,
    /// The day.
    pub day: u32,
    /// Open sessions, by holder.
    pub sessions: Vec<SessionV1>,
    /// Managed limits, by limit.
    pub slices: Vec<SliceRowV1>,
    /// Pools of single tokens, by limit.
    pub pools: Vec<PoolRowV1>,
    /// Quotas, by limit.
    pub quotas: Vec<QuotaRowV1>,
    /// Levels of counted limits that are not full, by limit.
    pub levels: Vec<(u64, i64)>,
    /// What a region has of the limits that span regions; absent in every other ledger, which has all there is.
    pub capital: Option<CapitalV1>,
}

/// What a region was granted by the ledger of all regions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CapitalV1 {
    /// The session; 0 without one.
    pub epoch: u64,
    /// The newest session there ever was.
    pub epoch_seen: u64,
    /// Share of every limit that is not in `wholes`, of [`super::WHOLE`].
    pub unit: u32,
    /// By limit.
    pub wholes: Vec<WholeV1>,
}

/// What a region has of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WholeV1 {
    /// The limit.
    pub limit: u64,
    /// Share of [`super::WHOLE`].
    pub share: u32,
    /// Version of the grant that says so.
    pub version: u64,
    /// Tokens that came from above in this session, in thousandths, cumulative.
    pub tokens: u64,
    /// Tokens that went back, in thousandths, cumulative.
    pub returned: u64,
}

/// An open session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SessionV1 {
    /// The holder.
    pub holder: u64,
    /// Its life.
    pub incarnation: u64,
    /// The session.
    pub epoch: u64,
    /// Share of every limit that is not managed.
    pub unit: u32,
}

/// A limit whose shares are managed one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SliceRowV1 {
    /// The limit.
    pub limit: u64,
    /// By holder; a holder that is missing has nothing.
    pub slices: Vec<SliceV1>,
}

/// One holder's slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SliceV1 {
    /// The holder.
    pub holder: u64,
    /// What it may be using at most.
    pub committed: u32,
    /// What it should use.
    pub target: u32,
    /// Version of the target.
    pub version: u64,
    /// Tokens handed over, in thousandths, cumulative.
    pub tokens: u64,
    /// Tokens taken back, in thousandths, cumulative.
    pub returned: u64,
    /// Whether the limit as a whole is short.
    pub contended: bool,
    /// Whether the target is the default share.
    pub implicit: bool,
}

/// A pool of single tokens of a small strict limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PoolRowV1 {
    /// The limit.
    pub limit: u64,
    /// Most tokens that may be out at a time.
    pub size: u32,
    /// By holder.
    pub chunks: Vec<ChunkV1>,
}

/// A quota in its present period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct QuotaRowV1 {
    /// The limit.
    pub limit: u64,
    /// The period.
    pub period: u32,
    /// Requests in it, as configured.
    pub configured: u32,
    /// Requests in it, with what was set by hand.
    pub size: u32,
    /// What can still be granted; negative when the size was cut below what is out.
    pub pool: i64,
    /// Granted to lives that have ended without giving it back.
    pub forfeited: u32,
    /// By holder.
    pub chunks: Vec<ChunkV1>,
    /// The day that `used_before` belongs to.
    pub day: u32,
    /// What was used in this period before that day.
    pub used_before: u32,
    /// Requests per day, oldest first.
    pub history: Vec<(u32, u32)>,
}

/// Tokens of one life of a holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ChunkV1 {
    /// The holder.
    pub holder: u64,
    /// Its incarnation for a quota, its session for a pool.
    pub life: u64,
    /// Granted, cumulative.
    pub granted: u32,
    /// Used, cumulative, as last reported.
    pub spent: u32,
    /// Given back, cumulative.
    pub returned: u32,
}

impl ChunkV1 {
    /// Tokens that may still be used.
    pub fn outstanding(&self) -> u32 {
        self.granted.saturating_sub(self.spent).saturating_sub(self.returned)
    }
}
