//! What is limited and how: the numbers of a limit, its policy, and its name across the cluster. Owns the choice of the kind
//! of lease; must never hold what was used.

use crate::period::Period;

/// Ledger shards of a region: one per availability zone of the usual region, so that each leads one.
pub const SHARDS: usize = 3;
/// The ledger of a region's part of the limits that span regions, beyond the shards.
pub const PART: usize = SHARDS;
/// The ledger of all regions: regions hold their parts from it, and nodes the limits that are too small to be parted.
pub const GLOBAL: usize = SHARDS + 1;
/// Ledgers that a node may have a session with.
pub const LEDGERS: usize = SHARDS + 2;
/// Marks regions among the holders of the ledger of all regions; no node has such a number.
const REGION: u64 = 1 << 63;
/// Marks limits that span regions, in the byte that names the kind.
const SPANS: u64 = 0x80;
/// A bucket with less than this many requests of burst per holder is counted instead of cut: a slice of it would hold less
/// than a few tokens.
const BURST_PER_HOLDER: f64 = 8.0;

/// The same for limits that span regions. What is counted is known far away only a good while later, so only what cannot be cut at
/// all is counted; strict ones need whole tokens.
const BURST_PER_WIDE_HOLDER: f64 = 0.25;
const BURST_PER_WIDE_STRICT_HOLDER: f64 = 1.0;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One bucket per region, as AWS.
    #[default]
    Region,
    /// One bucket over all regions.
    Global,
}

/// How many share the limits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holders {
    /// Nodes of its region.
    pub region: usize,
    /// Nodes of all regions.
    pub all: usize,
    /// Regions.
    pub regions: usize,
}

impl Holders {
    /// Nodes that share a limit.
    pub fn of(self, scope: Scope) -> usize {
        match scope {
            Scope::Region => self.region.max(1),
            Scope::Global => self.all.max(self.region).max(1),
        }
    }
}

/// A cluster of one region.
impl From<usize> for Holders {
    fn from(nodes: usize) -> Self {
        Self { region: nodes, all: nodes, regions: 1 }
    }
}

impl Default for Holders {
    fn default() -> Self {
        Self::from(1)
    }
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
    /// A rate limit among `holders`.
    pub fn rate(rate: f64, burst: f64, policy: Policy, holders: impl Into<Holders>) -> Self {
        // The threshold moves only when the number of nodes doubles, because a limit that changes its kind starts afresh.
        let nodes = holders.into().of(policy.scope).next_power_of_two() as f64;
        let is_large = match policy.scope {
            Scope::Region => burst >= BURST_PER_HOLDER * nodes,
            Scope::Global if policy.strict => burst >= BURST_PER_WIDE_STRICT_HOLDER * nodes,
            Scope::Global => burst >= BURST_PER_WIDE_HOLDER * nodes,
        };
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

    /// The limit of this name in one region that is kept as `kind`.
    pub fn limit(self, kind: Kind) -> LimitId {
        self.limit_over(kind, Scope::Region)
    }

    /// The limit of this name that is kept as `kind` and reaches as far as `scope`.
    pub fn limit_over(self, kind: Kind, scope: Scope) -> LimitId {
        let spans = if scope == Scope::Global { SPANS } else { 0 };
        LimitId(self.0 | spans | u64::from(kind.code()))
    }

    /// The shard of a region that keeps it, unless it spans regions.
    pub fn shard(self) -> usize {
        ((self.0 >> 8) % SHARDS as u64) as usize
    }
}

/// The number of a region as a holder.
pub fn region_holder(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes()) | REGION
}

/// Whether a holder is a region.
pub(crate) fn is_region(holder: u64) -> bool {
    holder & REGION != 0
}

/// How far the limits of a ledger reach.
pub(crate) fn scope_of(ledger: usize) -> Scope {
    if ledger < PART { Scope::Region } else { Scope::Global }
}

/// A limit in the ledger. One that changes its kind or its reach becomes another limit, so two nodes that disagree about those
/// for a moment never mix their books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(u64);

impl LimitId {
    /// Reads the number that travels; `None` where it names a kind that this program does not know.
    pub fn new(number: u64) -> Option<Self> {
        Kind::from_code((number & !SPANS) as u8).map(|_| Self(number))
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
        Kind::from_code((self.0 & !SPANS) as u8).unwrap_or(Kind::Count)
    }

    /// How far it reaches.
    pub fn scope(self) -> Scope {
        if self.0 & SPANS == 0 { Scope::Region } else { Scope::Global }
    }

    /// The ledger that nodes have their leases of it from.
    pub fn ledger(self) -> usize {
        match self.scope() {
            Scope::Region => self.name().shard(),
            Scope::Global => match self.kind() {
                Kind::Slice | Kind::StrictSlice => PART,
                Kind::Count | Kind::Pool | Kind::Quota(_) => GLOBAL,
            },
        }
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
        let holders = Holders { region: 3, all: 9, regions: 3 };
        let wide = Policy { scope: Scope::Global, ..Policy::default() };
        assert_eq!(Spec::rate(10.0, 100.0, Policy::default(), holders).kind, Kind::Slice);
        assert_eq!(Spec::rate(10.0, 4.0, wide, holders).kind, Kind::Slice);
        assert_eq!(Spec::rate(10.0, 3.0, wide, holders).kind, Kind::Count);
        assert_eq!(Spec::rate(10.0, 15.0, Policy { strict: true, ..wide }, holders).kind, Kind::Pool);
    }

    #[test]
    fn names_and_kinds_come_back() {
        for (text, kind) in
            [("a", Kind::Slice), ("plan/x/key/y", Kind::Quota(Period::Month)), ("", Kind::Pool)]
        {
            let (name, id) = (Name::of(text), Name::of(text).limit(kind));
            assert_eq!((id.name(), id.kind(), LimitId::new(id.number())), (name, kind, Some(id)));
            assert!(name.shard() < SHARDS && id.ledger() == name.shard());
            let wide = name.limit_over(kind, Scope::Global);
            assert_eq!((wide.name(), wide.kind(), scope_of(wide.ledger())), (name, kind, Scope::Global));
            assert!(wide != id && LimitId::new(wide.number()) == Some(wide));
        }
        assert!(is_region(region_holder("a")) && !is_region(7));
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
