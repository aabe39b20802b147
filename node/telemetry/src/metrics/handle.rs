//! What a counting place holds: cheap clones of shared atomics. Every operation is wait-free.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::sample::Distribution;
use crate::limits::SLOTS;
use crate::slot::{self, Padded};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<[Padded<AtomicU64>; SLOTS]>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        if let Some(cell) = self.0.get(slot::index()) {
            slot::add(&cell.0, count);
        }
    }

    /// The value now, summed over threads.
    pub fn value(&self) -> u64 {
        self.0.iter().map(|cell| cell.0.load(Relaxed)).sum()
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, change: f64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + change).to_bits()));
    }

    /// The value now.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// The upper bounds of a histogram in whole small units, and how many of these make one base unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Buckets {
    /// Ascending upper bounds, inclusive; a last, open bucket is implied.
    pub bounds: &'static [u64],
    /// For microseconds shown as seconds: 1,000,000.
    pub per_base_unit: u64,
}

impl Buckets {
    /// Durations of requests: the OpenTelemetry advice, refined below five milliseconds. Observe microseconds.
    pub const DURATION: Self = Self {
        bounds: &[
            500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000,
            1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
        ],
        per_base_unit: 1_000_000,
    };
    /// Sizes of bodies, in bytes.
    pub const SIZE: Self = Self {
        bounds: &[256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 10_485_760],
        per_base_unit: 1,
    };

    pub(crate) fn position(&self, value: u64) -> usize {
        self.bounds.partition_point(|&bound| bound < value)
    }
}

/// Counts per bucket and the sum of all values.
#[derive(Debug)]
pub(crate) struct Cells {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Cells {
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self {
            counts: (0..=buckets.bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Notes a value; only for cells of the current thread's slot.
    pub(crate) fn observe(&self, buckets: Buckets, value: u64) {
        if let Some(count) = self.counts.get(buckets.position(value)) {
            slot::add(count, 1);
        }
        slot::add(&self.sum, value);
    }

    pub(crate) fn add_to(&self, buckets: Buckets, distribution: &mut Distribution) {
        for (place, count) in self.counts.iter().enumerate() {
            distribution.add(place, count.load(Relaxed));
        }
        distribution.add_sum(buckets, self.sum.load(Relaxed));
    }
}

/// A distribution of observed values.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Buckets,
    cells: Arc<[Padded<Cells>]>,
}

impl Histogram {
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self { buckets, cells: (0..SLOTS).map(|_| Padded(Cells::new(buckets))).collect() }
    }

    /// Notes one value, in the small unit of the buckets.
    pub fn observe(&self, value: u64) {
        if let Some(cells) = self.cells.get(slot::index()) {
            cells.0.observe(self.buckets, value);
        }
    }

    /// Everything observed so far.
    pub fn distribution(&self) -> Distribution {
        let mut distribution = Distribution::new(self.buckets);
        for cells in self.cells.iter() {
            cells.0.add_to(self.buckets, &mut distribution);
        }
        distribution
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_threads() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let counter = counter.clone();
                scope.spawn(move || (0..1_000).for_each(|_| counter.increment()));
            }
        });
        assert_eq!(counter.value(), 4_000);
    }

    #[test]
    fn values_fall_into_the_bucket_that_bounds_them() {
        let histogram = Histogram::new(Buckets::DURATION);
        for value in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.observe(value);
        }
        let distribution = histogram.distribution();
        assert_eq!(distribution.count(), 5);
        assert_eq!(distribution.buckets().first(), Some(&(0.000_5, 2)));
        assert_eq!(distribution.buckets().last(), Some(&(f64::INFINITY, 1)));
        assert!((distribution.sum() - 20.001_002).abs() < 1e-9, "{}", distribution.sum());
    }

    #[test]
    fn gauges_move_both_ways() {
        let gauge = Gauge::default();
        gauge.set(2.5);
        gauge.add(-1.0);
        assert!((gauge.value() - 1.5).abs() < f64::EPSILON);
    }
}
