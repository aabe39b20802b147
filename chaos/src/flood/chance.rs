//! Random numbers of a simulation: small, fast, and the same on every machine and in every version, because a kept seed must
//! repeat its run. Owns the distributions; must never be used for secrets.

use std::f64::consts::TAU;

/// Odd multiplier that spreads neighbouring seeds. Source: the golden ratio in 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Mean above which a Poisson number is drawn from the normal distribution of the same mean and variance.
const POISSON_EXACT_MAX: f64 = 30.0;

/// A source of random numbers (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The source of a seed; `purpose` makes several of one seed independent.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed.wrapping_mul(SPREAD), |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mixed)
    }

    /// Sixty-four random bits.
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(SPREAD);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Evenly from 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly from `low` to below `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// Evenly from 0 to below `count`; 0 for none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.word()) * count as u128) >> 64) as usize
    }

    /// True with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }

    /// Exponentially distributed.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    /// Poisson distributed.
    pub(crate) fn poisson(&mut self, mean: f64) -> usize {
        if mean <= 0.0 {
            return 0;
        }
        if mean > POISSON_EXACT_MAX {
            let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
            let normal = radius * (TAU * self.fraction()).cos();
            return (mean + mean.sqrt() * normal + 0.5).max(0.0) as usize;
        }
        let floor = (-mean).exp();
        let mut product = self.fraction();
        let mut count = 0;
        while product > floor {
            product *= self.fraction();
            count += 1;
        }
        count
    }

    /// Puts a list into random order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_right() {
        let mut chance = Chance::new(1, "test");
        let mut mean = |draw: &mut dyn FnMut(&mut Chance) -> f64| {
            (0..20_000).map(|_| draw(&mut chance)).sum::<f64>() / 20_000.0
        };
        for (name, found, expect) in [
            ("fraction", mean(&mut |c| c.fraction()), 0.5),
            ("exponential", mean(&mut |c| c.exponential(3.0)), 3.0),
            ("few", mean(&mut |c| c.poisson(2.5) as f64), 2.5),
            ("many", mean(&mut |c| c.poisson(60.0) as f64), 60.0),
            ("below", mean(&mut |c| c.below(11) as f64), 5.0),
        ] {
            assert!((found - expect).abs() < 0.03 * expect, "{name}: {found} instead of {expect}");
        }
    }

    #[test]
    fn a_seed_repeats() {
        let draw = |seed, purpose| Chance::new(seed, purpose).word();
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
    }
}
