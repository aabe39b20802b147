//! What is limited and how: the numbers of a limit, its policy, and its name across the cluster. Owns the choice of the kind
//! of lease; must never hold what was used.

use crate::period::Period;

/// Ledger shards of a region: one per availability zone of the usual region, so that each leads one.
pub const SHARDS: usize = 3;
/// A bucket with less than this many requests of burst per holder is counted instead of cut: a slice of it would hold less
/// than a few tokens.
const BURST_PER_HOLDER: f64 = 8.0;

/// How a limit is kept true across nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Each holder runs a fraction of the bucket.
    Slice,
    /// As [`Kind::Slice`], without debts, and closed for holders that lost contact.
    StrictSlice,
    /// Holders count against an estimate of the whole bucket and pay debts back.
    Count,
    /// Holders are handed single tokens of the bucket.
    Pool,
    /// Holders are handed chunks of a quota.
    Quota(Period),
}

/// What a node that lost contact with the ledger may still admit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolated {
    /// An even share of the limit.
    #[default]
    Even,
    /// The share it had last.
    Last,
    /// Nothing.
    Closed,
}

/// How far a limit reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// One bucket per region, as AWS.
    #[default]
    Region,
    /// One bucket over all regions.
    Global,
}

/// What matters more where not everything can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Never admits more than the limit, whatever fails.
    pub strict: bool,
    /// What holds without contact; strict limits are closed.
    pub isolated: Isolated,
    /// How far it reaches.
    pub scope: Scope,
}

/// The numbers of one limit. Limits with equal numbers and names in one plan share one specification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// How it is kept.
    pub kind: Kind,
    /// Requests per second; 0 for quotas.
    pub rate: f64,
    /// Requests at once; 0 for quotas.
    pub burst: f64,
    /// Requests per period; 0 for rates.
    pub quota: u32,
    /// Requests that are subtracted from the quota in period `offset_period`.
    pub offset: u32,
    /// See `offset`.
    pub offset_period: u32,
    /// What holds without contact.
    pub isolated: Isolated,
    /// How far it reaches.
    pub scope: Scope,
}

impl Spec {
    /// A rate limit among `holders` nodes of a region.
    pub fn rate(rate: f64, burst: f64, policy: Policy, holders: usize) -> Self {
        // The threshold moves only when the number of nodes doubles, because a limit that changes its kind starts afresh.
        let is_large = burst >= BURST_PER_HOLDER * holders.max(1).next_power_of_two() as f64;
        let kind = match (policy.strict, is_large) {
            (false, true) => Kind::Slice,
            (true, true) => Kind::StrictSlice,
            (false, false) => Kind::Count,
            (true, false) => Kind::Pool,
        };
        let isolated = if policy.strict { Isolated::Closed } else { policy.isolated };
        Self { kind, rate, burst, quota: 0, offset: 0, offset_period: 0, isolated, scope: policy.scope }
    }

    /// A quota; `offset` requests are subtracted in the period that holds `since_day`.
    pub fn quota(quota: u32, offset: u32, period: Period, since_day: u32, scope: Scope) -> Self {
        Self {
            kind: Kind::Quota(period),
            rate: 0.0,
            burst: 0.0,
            quota,
            offset,
            offset_period: period.number(since_day),
            isolated: Isolated::Closed,
            scope,
        }
    }

    /// Requests that a quota allows in a period.
    pub fn quota_in(&self, period: u32) -> u32 {
        if period == self.offset_period { self.quota.saturating_sub(self.offset) } else { self.quota }
    }

    /// Whether nothing ever passes.
    pub fn is_blocked(&self) -> bool {
        match self.kind {
            Kind::Quota(_) => self.quota == 0,
            Kind::Slice | Kind::StrictSlice | Kind::Count | Kind::Pool => {
                !(self.rate > 0.0 && self.burst >= 1.0)
            }
        }
    }

    /// Whether a node may use it only while it holds a lease.
    pub fn needs_lease(&self) -> bool {
        match self.kind {
            Kind::StrictSlice | Kind::Pool => true,
            Kind::Slice => self.isolated == Isolated::Closed,
            Kind::Count | Kind::Quota(_) => false,
        }
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Slice => 1,
            Self::StrictSlice => 2,
            Self::Count => 3,
            Self::Pool => 4,
            Self::Quota(Period::Day) => 5,
            Self::Quota(Period::Week) => 6,
            Self::Quota(Period::Month) => 7,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::Slice,
            Self::StrictSlice,
            Self::Count,
            Self::Pool,
            Self::Quota(Period::Day),
            Self::Quota(Period::Week),
            Self::Quota(Period::Month),
        ];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// The name of a bucket across nodes: what is limited, whatever the numbers. Made of 56 bits of a hash, so that two of a
/// million limits share a bucket with a probability below 1 in 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u64);

impl Name {
    /// The name of what `text` describes; equal texts are the same limit.
    pub fn of(text: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(text.as_bytes()) & !0xff)
    }

    /// The limit of this name that is kept as `kind`.
    pub fn limit(self, kind: Kind) -> LimitId {
        LimitId(self.0 | u64::from(kind.code()))
    }

    /// The shard that keeps it.
    pub fn shard(self) -> usize {
        ((self.0 >> 8) % SHARDS as u64) as usize
    }
}

/// A limit in the ledger. One that changes its kind becomes another limit, so two nodes that disagree about the kind for a
/// moment never mix their books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(u64);

impl LimitId {
    /// Reads the number that travels; `None` where it names a kind that this program does not know.
    pub fn new(number: u64) -> Option<Self> {
        Kind::from_code(number as u8).map(|_| Self(number))
    }

    /// The number that travels.
    pub fn number(self) -> u64 {
        self.0
    }

    /// What is limited.
    pub fn name(self) -> Name {
        Name(self.0 & !0xff)
    }

    /// How it is kept.
    pub fn kind(self) -> Kind {
        Kind::from_code(self.0 as u8).unwrap_or(Kind::Count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_size_and_policy() {
        let strict = Policy { strict: true, ..Policy::default() };
        for (burst, holders, policy, kind) in [
            (32.0, 3, Policy::default(), Kind::Slice),
            (31.0, 3, Policy::default(), Kind::Count),
            (32.0, 4, Policy::default(), Kind::Slice),
            (32.0, 5, Policy::default(), Kind::Count),
            (128.0, 12, strict, Kind::StrictSlice),
            (127.0, 12, strict, Kind::Pool),
        ] {
            assert_eq!(Spec::rate(10.0, burst, policy, holders).kind, kind, "{burst} {holders}");
        }
        assert_eq!(Spec::rate(1.0, 100.0, strict, 1).isolated, Isolated::Closed);
    }

    #[test]
    fn names_and_kinds_come_back() {
        for (text, kind) in
            [("a", Kind::Slice), ("plan/x/key/y", Kind::Quota(Period::Month)), ("", Kind::Pool)]
        {
            let (name, id) = (Name::of(text), Name::of(text).limit(kind));
            assert_eq!((id.name(), id.kind(), LimitId::new(id.number())), (name, kind, Some(id)));
            assert!(name.shard() < SHARDS);
        }
        assert_eq!(LimitId::new(0), None);
        assert_ne!(Name::of("a"), Name::of("b"));
    }

    #[test]
    fn an_offset_counts_once() {
        let spec = Spec::quota(100, 30, Period::Month, 40, Scope::Region);
        let first = Period::Month.number(40);
        assert_eq!((spec.quota_in(first), spec.quota_in(first + 1)), (70, 100));
        assert!(Spec::quota(0, 0, Period::Day, 0, Scope::Region).is_blocked());
        assert!(Spec::rate(0.0, 5.0, Policy::default(), 1).is_blocked());
    }
}
