//! How busy limits are: what nodes and leaders say of a limit, and the choice of the busiest. Pure sums; owns nothing.

use tidegate_proto::ledger::{BusyHolderV1, BusyV1};

/// A limit with what its holders see together.
pub(crate) fn summed(limit: u64, level: i64, contended: bool, holders: Vec<BusyHolderV1>) -> BusyV1 {
    let demand = holders.iter().map(|one| one.demand).sum();
    let refused = holders.iter().map(|one| one.refused).sum();
    BusyV1 { limit, demand, refused, level, contended, holders }
}

/// The limits with the highest demand, busiest first.
pub(crate) fn busiest(mut all: Vec<(f32, u64)>, count: usize) -> Vec<u64> {
    let order = |a: &(f32, u64), b: &(f32, u64)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if count < all.len() {
        all.select_nth_unstable_by(count, order);
        all.truncate(count);
    }
    all.sort_unstable_by(order);
    all.into_iter().map(|(_, limit)| limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first() {
        let all = vec![(1.0, 1), (3.0, 2), (2.0, 3), (3.0, 4), (0.0, 5)];
        for (count, expected) in [(0, &[][..]), (1, &[2]), (3, &[2, 4, 3]), (9, &[2, 4, 3, 1, 5])] {
            assert_eq!(busiest(all.clone(), count), expected);
        }
    }
}
