//! A token bucket in one atomic word. It stores when the bucket would be full, so refilling costs nothing and no
//! remainder is ever lost (the "generic cell rate algorithm", ITU-T I.371).

use std::sync::atomic::{AtomicU64, Ordering};

/// Most requests per second a bucket can be asked for: one per nanosecond.
const RATE_PER_SECOND_MAX: u64 = 1_000_000_000;

/// Allows `rate` requests per second on average and `burst` at once.
#[derive(Debug)]
pub struct Bucket {
    /// Nanoseconds one request costs.
    cost_ns: u64,
    /// How far ahead of now the bucket may be booked, in nanoseconds.
    tolerance_ns: u64,
    /// When everything taken so far is refilled, in nanoseconds of the caller's clock.
    full_at_ns: AtomicU64,
}

impl Bucket {
    /// A full bucket. Both numbers are clamped to at least 1, the rate to at most one per nanosecond.
    pub fn new(rate_per_second: u64, burst: u64) -> Self {
        let cost_ns = 1_000_000_000 / rate_per_second.clamp(1, RATE_PER_SECOND_MAX);
        Self {
            cost_ns,
            tolerance_ns: cost_ns.saturating_mul(burst.max(1) - 1),
            full_at_ns: AtomicU64::new(0),
        }
    }

    /// Takes one request at `now_ns`; false when the bucket is empty. A clock that goes back only makes it stricter.
    pub fn take(&self, now_ns: u64) -> bool {
        let book = |full_at_ns: u64| {
            let from = full_at_ns.max(now_ns);
            (from - now_ns <= self.tolerance_ns).then(|| from.saturating_add(self.cost_ns))
        };
        self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, book).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &Bucket, now_ns: u64, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.take(now_ns)).count()
    }

    #[test]
    fn burst_then_rate() {
        let bucket = Bucket::new(10, 5);
        for (now_ns, tries, expect) in [
            (0, 10, 5),
            (99_999_999, 3, 0),
            (100_000_000, 3, 1),
            (350_000_000, 5, 2),
            (399_999_999, 1, 0),
            (400_000_000, 2, 1),
            (60_000_000_000, 9, 5),
        ] {
            assert_eq!(taken(&bucket, now_ns, tries), expect, "at {now_ns}");
        }
    }

    #[test]
    fn limits_of_the_numbers() {
        assert_eq!(taken(&Bucket::new(0, 0), 0, 3), 1);
        assert_eq!(taken(&Bucket::new(u64::MAX, 3), 0, 9), 3);
        assert_eq!(taken(&Bucket::new(1, u64::MAX), u64::MAX - 1, 3), 3);
    }

    #[test]
    fn long_run_is_exact() {
        let bucket = Bucket::new(1_000, 10);
        let count = (0..10_000_000_000_u64).step_by(333_333).filter(|now| bucket.take(*now)).count();
        assert!((9_999..=10_010).contains(&count), "{count}");
    }
}
