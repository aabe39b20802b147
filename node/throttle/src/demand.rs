//! How many requests per second are offered: an exponential average over a counter that only grows. Pure arithmetic.

/// A measured rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Demand {
    per_second: f64,
    measured_ns: u64,
    seen: u32,
}

impl Demand {
    /// Starts at a counter's present value.
    pub(crate) fn begin(now_ns: u64, seen: u32) -> Self {
        Self { per_second: 0.0, measured_ns: now_ns, seen }
    }

    /// Takes the counter's present value in; returns how much was offered since the last time.
    pub(crate) fn measure(&mut self, now_ns: u64, counter: u32, constant_s: f64) -> u32 {
        let offered = counter.wrapping_sub(self.seen);
        self.per_second = self.preview(now_ns, counter, constant_s);
        self.seen = counter;
        self.measured_ns = self.measured_ns.max(now_ns);
        offered
    }

    /// The rate as it would be measured now, without taking it in.
    pub(crate) fn preview(&self, now_ns: u64, counter: u32, constant_s: f64) -> f64 {
        let elapsed_s = (now_ns.saturating_sub(self.measured_ns) as f64 / 1e9).max(1e-3);
        let kept = (-elapsed_s / constant_s).exp();
        let offered = f64::from(counter.wrapping_sub(self.seen));
        self.per_second * kept + offered / elapsed_s * (1.0 - kept)
    }

    /// The counter as last taken in.
    pub(crate) fn seen(&self) -> u32 {
        self.seen
    }

    /// Requests per second as last measured.
    pub(crate) fn per_second(&self) -> f64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_found_and_forgotten() {
        let mut demand = Demand::begin(0, u32::MAX - 10);
        let mut counter = u32::MAX - 10;
        for step in 1..=50u64 {
            counter = counter.wrapping_add(100);
            assert_eq!(demand.measure(step * 100_000_000, counter, 0.5), 100);
        }
        assert!((demand.per_second() - 1_000.0).abs() < 1.0, "{}", demand.per_second());
        demand.measure(8_000_000_000, counter, 0.5);
        assert!(demand.per_second() < 5.0);
    }
}
