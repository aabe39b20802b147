//! What leaders and nodes say of the same limits, as one list. Pure sums.

use std::collections::BTreeMap;

use tidegate_proto::ledger::{BusyHolderV1, BusyV1};
use tidegate_throttle::{Kind, LimitId, Name};

/// One limit of the region.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Merged {
    pub(super) limit: u64,
    /// Busiest first.
    pub(super) holders: Vec<BusyHolderV1>,
    /// Requests per second that asked.
    pub(super) demand: f64,
    /// Requests per second that this limit refused.
    pub(super) refused: f64,
    /// Requests per second that this limit let through, and the quota that goes with it too.
    pub(super) admitted: f64,
    /// What is left in thousandths, where that is known.
    pub(super) level: Option<i64>,
    pub(super) short: bool,
}

/// A limit while it is put together.
#[derive(Debug, Default)]
struct Parts {
    holders: BTreeMap<u64, BusyHolderV1>,
    level: Option<i64>,
    short: bool,
    is_led: bool,
}

/// All limits, busiest first. A node knows best what is offered to it, a leader who holds what.
pub(super) fn merge(led: impl Iterator<Item = BusyV1>, here: impl Iterator<Item = BusyV1>) -> Vec<Merged> {
    let mut all: BTreeMap<u64, Parts> = BTreeMap::new();
    for busy in led {
        let holders = busy.holders.iter().map(|one| (one.holder, *one)).collect();
        let parts = Parts { holders, level: Some(busy.level), short: busy.contended, is_led: true };
        all.insert(busy.limit, parts);
    }
    for busy in here {
        let parts = all.entry(busy.limit).or_default();
        if !parts.is_led {
            // A node knows the level of a counted limit only, and of a slice whether the whole is short.
            let kind = LimitId::new(busy.limit).map(LimitId::kind);
            if kind == Some(Kind::Count) {
                parts.level = Some(parts.level.map_or(busy.level, |level| level.min(busy.level)));
            }
            parts.short |= busy.contended && kind.is_some_and(|kind| kind != Kind::Pool);
        }
        for one in busy.holders {
            let known = parts.holders.entry(one.holder).or_insert(one);
            (known.demand, known.refused) = (one.demand, one.refused);
        }
    }
    let mut merged: Vec<Merged> = all.into_iter().map(|(limit, parts)| put_together(limit, parts)).collect();
    subtract_quotas(&mut merged);
    merged.sort_by(|a, b| b.demand.total_cmp(&a.demand).then(a.limit.cmp(&b.limit)));
    merged
}

fn put_together(limit: u64, parts: Parts) -> Merged {
    let Parts { holders, level, short, is_led: _ } = parts;
    let mut holders: Vec<BusyHolderV1> = holders.into_values().collect();
    holders.sort_by(|a, b| b.demand.total_cmp(&a.demand).then(a.holder.cmp(&b.holder)));
    let demand: f64 = holders.iter().map(|one| f64::from(one.demand)).sum();
    let refused = holders.iter().map(|one| f64::from(one.refused)).sum::<f64>().min(demand);
    Merged { limit, holders, demand, refused, admitted: demand - refused, level, short }
}

/// What the quota of a key refuses goes back to the key's rate.
fn subtract_quotas(merged: &mut [Merged]) {
    let is_quota = |id: &LimitId| matches!(id.kind(), Kind::Quota(_));
    let quotas = merged.iter().filter_map(|one| {
        let id = LimitId::new(one.limit).filter(is_quota)?;
        Some((id.name(), one.refused))
    });
    let quotas: BTreeMap<Name, f64> = quotas.collect();
    for one in merged {
        let rate = LimitId::new(one.limit).filter(|id| !is_quota(id));
        if let Some(refused) = rate.and_then(|rate| quotas.get(&rate.name())) {
            one.admitted = (one.admitted - refused).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_throttle::Period;

    fn holder(holder: u64, demand: f32, refused: f32, share: u32) -> BusyHolderV1 {
        BusyHolderV1 { holder, demand, refused, share }
    }

    fn busy(limit: u64, level: i64, contended: bool, holders: &[BusyHolderV1]) -> BusyV1 {
        BusyV1 { limit, level, contended, holders: holders.to_vec(), ..BusyV1::default() }
    }

    fn limit(name: &str, kind: Kind) -> u64 {
        Name::of(name).limit(kind).number()
    }

    #[test]
    fn nodes_know_what_they_are_asked_and_leaders_who_holds_what() {
        let slice = limit("a", Kind::Slice);
        let led = busy(slice, 5, true, &[holder(1, 9.0, 4.0, 60), holder(2, 1.0, 0.0, 40)]);
        let here = [
            busy(slice, 0, false, &[holder(1, 20.0, 10.0, 55)]),
            busy(slice, 0, false, &[holder(3, 5.0, 5.0, 7)]),
        ];
        let found = merge([led].into_iter(), here.into_iter());
        let holders = vec![holder(1, 20.0, 10.0, 60), holder(3, 5.0, 5.0, 7), holder(2, 1.0, 0.0, 40)];
        let (demand, refused, admitted) = (26.0, 15.0, 11.0);
        let expect = Merged { limit: slice, holders, demand, refused, admitted, level: Some(5), short: true };
        assert_eq!(found, [expect]);
    }

    #[test]
    fn without_a_leader_the_worst_that_a_node_believes_counts() {
        for (kind, levels, level, short) in [
            (Kind::Count, [3_000, -1_000], Some(-1_000), true),
            (Kind::Slice, [0, 0], None, true),
            (Kind::Pool, [2_000, 0], None, false),
        ] {
            let one = limit("a", kind);
            let here = levels.map(|level| busy(one, level, level <= 0, &[holder(1, 1.0, 0.0, 0)]));
            let found = merge(std::iter::empty(), here.into_iter());
            assert_eq!((found[0].level, found[0].short), (level, short), "{kind:?}");
        }
    }

    #[test]
    fn what_the_quota_refuses_its_rate_does_not_admit() {
        let (rate, quota) = (limit("a", Kind::Count), limit("a", Kind::Quota(Period::Day)));
        let here = [
            busy(rate, 0, false, &[holder(1, 30.0, 10.0, 0)]),
            busy(quota, 0, false, &[holder(1, 20.0, 15.0, 0)]),
        ];
        let found = merge(std::iter::empty(), here.into_iter());
        let told: Vec<_> = found.iter().map(|one| (one.limit, one.admitted)).collect();
        assert_eq!(told, [(rate, 5.0), (quota, 5.0)]);
    }
}
