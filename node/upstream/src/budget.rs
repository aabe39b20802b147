//! The retry budget: retries stay a share of the calls of the last seconds, so that an upstream in trouble is not asked twice as much.

use tidegate_proto::limits::{RETRIES_PER_SECOND_MIN, RETRY_SHARE};

/// The budget of one upstream on one shard. A call saves a part of a retry; what is saved is forgotten within some ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// In parts: [`RETRY_SHARE`] of them are a retry.
    saved: u32,
}

/// What is kept from one second to the next: nine tenths, so that a call counts for ten seconds.
const KEPT: (u32, u32) = (9, 10);

impl Default for Budget {
    fn default() -> Self {
        Self { saved: RETRIES_PER_SECOND_MIN * RETRY_SHARE * KEPT.1 }
    }
}

impl Budget {
    /// A call is made for the first time.
    #[inline]
    pub fn deposit(&mut self) {
        self.saved = self.saved.saturating_add(1);
    }

    /// Whether a call may be made again; it is then paid for.
    pub fn withdraw(&mut self) -> bool {
        let left = self.saved.checked_sub(RETRY_SHARE);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }

    /// A second has passed.
    pub fn tick(&mut self) {
        let kept = u64::from(self.saved) * u64::from(KEPT.0) / u64::from(KEPT.1);
        let kept = u32::try_from(kept).unwrap_or(u32::MAX);
        self.saved = kept.saturating_add(RETRIES_PER_SECOND_MIN * RETRY_SHARE);
    }

    /// Retries that are left.
    pub fn left(&self) -> u32 {
        self.saved / RETRY_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries that are let through in so many seconds with so many calls in each, all of which fail.
    fn retries(budget: &mut Budget, seconds: u32, calls: u32) -> u32 {
        let mut made = 0;
        for _ in 0..seconds {
            for _ in 0..calls {
                budget.deposit();
                made += u32::from(budget.withdraw());
            }
            budget.tick();
        }
        made
    }

    #[test]
    fn in_the_long_run_a_fifth_of_the_calls_is_retried_and_a_few_more() {
        for calls in [1, 10, 100, 10_000] {
            let mut budget = Budget::default();
            retries(&mut budget, 60, calls);
            let found = retries(&mut budget, 100, calls);
            let most = 100 * calls / RETRY_SHARE + 100 * RETRIES_PER_SECOND_MIN;
            let least = (100 * calls / RETRY_SHARE).min(100 * calls);
            assert!((least..=most).contains(&found), "{calls}: {found} of {least} to {most}");
        }
    }

    #[test]
    fn a_pool_that_was_well_can_retry_all_calls_of_a_second() {
        for calls in [5, 100, 10_000] {
            let mut budget = Budget::default();
            for _ in 0..60 {
                (0..calls).for_each(|_| budget.deposit());
                budget.tick();
            }
            assert_eq!(retries(&mut budget, 1, calls), calls, "{calls}");
        }
    }

    #[test]
    fn nothing_overflows_and_a_pool_at_rest_keeps_its_few() {
        let mut budget = Budget { saved: u32::MAX };
        budget.deposit();
        budget.tick();
        for _ in 0..1_000 {
            budget.tick();
        }
        let few = RETRIES_PER_SECOND_MIN * 10;
        assert!((few - 1..=few + 1).contains(&budget.left()), "{}", budget.left());
    }
}
