//! Limits admit no more than they may, seen from outside: a strict rate never more than its bucket, a quota never more than its size per
//! day that there was, and any other rate no more than its nodes may without contact.

use std::collections::{BTreeMap, BTreeSet};

use crate::flood::{Level, Limit};

/// What arithmetic may get wrong, in requests.
const ROUNDING: f64 = 1e-3;

/// A limit of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limited {
    /// A rate limit as it comes.
    Open,
    /// One that is never exceeded.
    Strict,
    /// A quota per day.
    Quota,
    /// One rate over all regions that is never exceeded.
    WideStrict,
    /// One quota per day over all regions.
    WideQuota,
}

impl Limited {
    /// The kinds that a cluster has.
    pub(crate) fn kinds(is_wide: bool) -> &'static [Self] {
        match is_wide {
            true => &[Self::Open, Self::Strict, Self::Quota, Self::WideStrict, Self::WideQuota],
            false => &[Self::Open, Self::Strict, Self::Quota],
        }
    }

    /// Whether it is used up for the day once it is.
    pub(crate) fn is_quota(self) -> bool {
        matches!(self, Self::Quota | Self::WideQuota)
    }
}

/// Where what spans regions is counted.
pub(crate) const EVERYWHERE: &str = "all";

/// The numbers that requests are held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) open: Limit,
    pub(crate) strict: Limit,
    /// Requests per day.
    pub(crate) quota: u32,
    pub(crate) wide_strict: Limit,
    pub(crate) wide_quota: u32,
}

/// The books of every region.
#[derive(Debug)]
pub(crate) struct ThrottleBounds {
    numbers: Numbers,
    /// The fastest clock, as a part of true time.
    clock: f64,
    debts: BTreeMap<(&'static str, Limited), (Level, u64)>,
    days: BTreeMap<&'static str, BTreeSet<u32>>,
    nodes: BTreeMap<&'static str, usize>,
}

impl ThrottleBounds {
    /// Nothing was admitted yet; `nodes` are those of each region.
    pub(crate) fn new(numbers: Numbers, clock: f64, nodes: BTreeMap<&'static str, usize>) -> Self {
        Self { numbers, clock, debts: BTreeMap::new(), days: BTreeMap::new(), nodes }
    }

    /// The ledgers of a region, or that of [`EVERYWHERE`], count quotas of this day.
    pub(crate) fn day(&mut self, region: &'static str, day: u32) {
        self.days.entry(region).or_default().insert(day);
    }

    /// A request was admitted somewhere in a region.
    pub(crate) fn admitted(&mut self, region: &'static str, limited: Limited, now_ns: u64) -> Option<String> {
        let nothing = Limit { rate: 0.0, burst: 0.0 };
        let (limit, region) = match limited {
            Limited::Open => (self.numbers.open, region),
            Limited::Strict => (self.numbers.strict, region),
            Limited::Quota => (nothing, region),
            Limited::WideStrict => (self.numbers.wide_strict, EVERYWHERE),
            Limited::WideQuota => (nothing, EVERYWHERE),
        };
        let fast = Limit { rate: limit.rate * self.clock, ..limit };
        let full = || (Level::of(limit.burst), 0);
        let (level, count) = self.debts.entry((region, limited)).or_insert_with(full);
        let debt = level.owe(fast, now_ns);
        *count += 1;
        let (excess, bound) = match limited {
            Limited::Strict | Limited::WideStrict => (debt, ROUNDING),
            Limited::Open => (debt, loosest(limit, self.nodes.get(region).copied().unwrap_or(1), now_ns)),
            Limited::Quota | Limited::WideQuota => {
                let days = self.days.get(region).map_or(1, |days| days.len().max(1)) as u64;
                let quota =
                    if limited == Limited::Quota { self.numbers.quota } else { self.numbers.wide_quota };
                ((*count).saturating_sub(days * u64::from(quota)) as f64, ROUNDING)
            }
        };
        let text = || {
            format!("{limited:?} limit of region {region} is exceeded by {excess:.3}, {bound:.3} are allowed")
        };
        (excess > bound).then(text)
    }

    /// Requests that were admitted.
    pub(crate) fn count(&self) -> u64 {
        self.debts.values().map(|(_, count)| count).sum()
    }
}

/// What a limit that is not strict can be exceeded by at worst: every node sees a full bucket once in each life that counts, and all of
/// them run on an even share while others hold leases.
fn loosest(limit: Limit, nodes: usize, now_ns: u64) -> f64 {
    let (nodes, seconds) = (nodes as f64, now_ns as f64 / 1e9);
    (nodes + 1.0) * limit.burst + 2.0 * nodes + limit.rate * seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books() {
        let numbers = Numbers {
            open: Limit { rate: 1.0, burst: 1.0 },
            strict: Limit { rate: 1.0, burst: 2.0 },
            quota: 2,
            wide_strict: Limit { rate: 1.0, burst: 3.0 },
            wide_quota: 1,
        };
        let mut books = ThrottleBounds::new(numbers, 1.0, BTreeMap::from([("r", 1)]));
        let admit = |books: &mut ThrottleBounds, limited, count| {
            (0..count).filter(|_| books.admitted("r", limited, 0).is_some()).count()
        };
        assert_eq!(admit(&mut books, Limited::Strict, 3), 1);
        assert_eq!(
            admit(&mut books, Limited::Open, 6),
            1,
            "a burst for the node and one for the others, and two"
        );
        assert_eq!(admit(&mut books, Limited::Quota, 3), 1);
        books.day("r", 1);
        books.day("r", 2);
        assert_eq!(admit(&mut books, Limited::Quota, 2), 1);
        assert_eq!(books.count(), 14);
        let mut admit = |region, limited| books.admitted(region, limited, 0).is_some();
        let strict = ["r", "s", "r", "s"].map(|region| admit(region, Limited::WideStrict));
        assert_eq!(strict, [false, false, false, true], "one bucket for all");
        assert_eq!(["r", "s"].map(|region| admit(region, Limited::WideQuota)), [false, true]);
    }
}
