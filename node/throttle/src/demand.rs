//! How many requests per second are offered: an exponential average over a counter that only grows. Pure arithmetic.

/// A count that is off by more than so many standard deviations of a count by chance is no chance: clients have come or gone.
const SURPRISE: f64 = 4.0;
/// Part of the time constant that is then used.
const IN_A_HURRY: f64 = 0.2;

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

    /// Takes the counter's present value in; returns how much was offered since the last time. `is_hasty` follows clients that come
    /// and go at once, in place of slowly.
    pub(crate) fn measure(&mut self, now_ns: u64, counter: u32, constant_s: f64, is_hasty: bool) -> u32 {
        let offered = counter.wrapping_sub(self.seen);
        self.per_second = self.preview(now_ns, counter, constant_s, is_hasty);
        self.seen = counter;
        self.measured_ns = self.measured_ns.max(now_ns);
        offered
    }

    /// The rate as it would be measured now, without taking it in.
    pub(crate) fn preview(&self, now_ns: u64, counter: u32, constant_s: f64, is_hasty: bool) -> f64 {
        let elapsed_s = (now_ns.saturating_sub(self.measured_ns) as f64 / 1e9).max(1e-3);
        let offered = f64::from(counter.wrapping_sub(self.seen));
        let expected = self.per_second * elapsed_s;
        let is_surprise = (offered - expected).abs() > SURPRISE * expected.max(offered).sqrt();
        let constant_s = if is_hasty && is_surprise { constant_s * IN_A_HURRY } else { constant_s };
        let kept = (-elapsed_s / constant_s).exp();
        self.per_second * kept + offered / elapsed_s * (1.0 - kept)
    }

    /// Goes on with another counter that stands at `seen`.
    pub(crate) fn follow(&mut self, seen: u32) {
        self.seen = seen;
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
            assert_eq!(demand.measure(step * 100_000_000, counter, 0.5, false), 100);
        }
        assert!((demand.per_second() - 1_000.0).abs() < 1.0, "{}", demand.per_second());
        demand.measure(8_000_000_000, counter, 0.5, false);
        assert!(demand.per_second() < 5.0);
    }

    #[test]
    fn clients_that_come_and_go_are_no_chance() {
        for is_hasty in [false, true] {
            let mut demand = Demand::begin(0, 0);
            let mut step = 0;
            let mut after = |demand: &mut Demand, more: u32| {
                step += 1;
                demand.measure(step * 100_000_000, demand.seen() + more, 0.5, is_hasty);
                demand.per_second()
            };
            (0..50).for_each(|_| _ = after(&mut demand, 100));
            let by_chance = after(&mut demand, 125);
            assert!((1_040.0..1_050.0).contains(&by_chance), "{by_chance}");
            let (gone, later) = (after(&mut demand, 0), after(&mut demand, 0));
            assert_eq!(gone < 400.0, is_hasty, "{gone}");
            assert_eq!(later < 200.0, is_hasty, "{later}");
        }
    }
}
