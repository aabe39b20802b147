//! Times a case without statistics machinery: batches of a few milliseconds of processor time, median over batches.

use std::time::{Duration, Instant};

use crate::case::Case;

/// A batch is long against the clock's resolution and short against a scheduler's time slice.
const BATCH: Duration = Duration::from_millis(2);
const BATCHES_MIN: usize = 5;
const BATCHES_MAX: usize = 5_000;

/// How long to measure one case.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Before the first batch counts.
    pub warm_up: Duration,
    /// For all batches that count.
    pub measure: Duration,
}

/// Nanoseconds per operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Batch at the 10th percentile: the least disturbed by whatever shares the processor's caches, so bounds look at it.
    pub p10_ns: f64,
    /// Median batch.
    pub median_ns: f64,
    /// Batch at the 90th percentile.
    pub p90_ns: f64,
}

impl Effort {
    /// For figures that are compared.
    pub const FULL: Self =
        Self { warm_up: Duration::from_millis(300), measure: Duration::from_millis(1_500) };
    /// For a look in passing.
    pub const QUICK: Self = Self { warm_up: Duration::from_millis(50), measure: Duration::from_millis(300) };

    /// Measures one case.
    pub fn measure(&self, case: &mut Case) -> Measured {
        let mut times = 1;
        let begin = Instant::now();
        loop {
            let took = (case.run)(times);
            if took < BATCH / 2 {
                times *= 2;
            } else if begin.elapsed() >= self.warm_up {
                break;
            }
        }
        let mut batches = Vec::new();
        let begin = Instant::now();
        while batches.len() < BATCHES_MIN || begin.elapsed() < self.measure {
            batches.push((case.run)(times).as_nanos() as f64 / times as f64);
            if batches.len() == BATCHES_MAX {
                break;
            }
        }
        Measured::of(batches)
    }
}

impl Measured {
    /// Of batches in any order, at least one.
    fn of(mut batches: Vec<f64>) -> Self {
        batches.sort_by(f64::total_cmp);
        let at = |share: f64| batches[((batches.len() - 1) as f64 * share).round() as usize];
        Self { p10_ns: at(0.1), median_ns: at(0.5), p90_ns: at(0.9) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics() {
        let measured = Measured::of((1..=11).rev().map(f64::from).collect());
        assert_eq!(measured, Measured { p10_ns: 2.0, median_ns: 6.0, p90_ns: 10.0 });
    }

    #[test]
    fn a_slower_case_measures_slower() {
        let cost = |ns| {
            let run = move |times: u64| Duration::from_nanos(ns * times);
            Effort { warm_up: Duration::ZERO, measure: Duration::ZERO }.measure(&mut Case::timed("x", run))
        };
        assert_eq!(cost(50).median_ns, 50.0);
        assert_eq!(cost(5_000_000).median_ns, 5_000_000.0);
    }
}
