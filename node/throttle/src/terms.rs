//! A bucket in time: what one request costs and how far ahead a bucket may be booked (the "generic cell rate algorithm",
//! ITU-T I.371). Owns the rounding, which always favours the limit; must never hold a state.

use tidegate_proto::ledger::WHOLE;

/// Ticks of a bucket's clock per nanosecond: fine enough for ten million requests per second, coarse enough for two years.
pub(crate) const TICKS_PER_NS: u64 = 4;
/// Longest cost and tolerance, in ticks: about 200 days.
const TICKS_MAX: f64 = (1u64 << 56) as f64;

/// The parameters of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Ticks one request costs.
    pub(crate) cost: u64,
    /// How many ticks ahead of now the bucket may be booked.
    pub(crate) tolerance: u64,
}

/// A share of a limit: its terms, and the tokens that it may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) terms: Terms,
    /// Tokens of the full slice.
    pub(crate) depth: f64,
}

impl Terms {
    /// Nothing passes.
    pub(crate) const CLOSED: Self = Self { cost: 1 << 56, tolerance: 0 };
}

impl Slice {
    /// The slice of `share` of [`WHOLE`] of a bucket. A slice that may run into `debt`, in tokens, holds at least one token.
    pub(crate) fn of(rate: f64, burst: f64, share: u32, debt: f64) -> Self {
        let fraction = f64::from(share) / f64::from(WHOLE);
        let slice_rate = rate * fraction;
        if !(slice_rate > 0.0 && burst > 0.0) {
            return Self { terms: Terms::CLOSED, depth: 0.0 };
        }
        let cost = (1e9 * TICKS_PER_NS as f64 / slice_rate).ceil().clamp(1.0, TICKS_MAX);
        let depth = if debt > 0.0 { (burst * fraction).max(1.0) } else { burst * fraction };
        let tolerance = ((depth + debt) * cost).min(TICKS_MAX);
        Self { terms: Terms { cost: cost as u64, tolerance: tolerance as u64 }, depth }
    }

    /// Tokens of a slice that is booked until `booked`, at `now`, both in ticks; negative is debt.
    pub(crate) fn tokens(&self, booked: u64, now: u64) -> f64 {
        if self.terms == Terms::CLOSED {
            return 0.0;
        }
        self.depth - booked.saturating_sub(now) as f64 / self.terms.cost as f64
    }

    /// Until when a slice with `tokens` is booked at `now`, in ticks.
    pub(crate) fn booked(&self, tokens: f64, now: u64) -> u64 {
        if self.terms == Terms::CLOSED {
            return now;
        }
        let missing = (self.depth - tokens).max(0.0) * self.terms.cost as f64;
        now.saturating_add(missing.min(TICKS_MAX).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_favours_the_limit() {
        for (rate, burst, share, debt) in [
            (1.0, 1.0, WHOLE, 0.0),
            (3.0, 7.0, WHOLE / 3, 0.0),
            (1e7, 5e6, WHOLE / 7, 0.0),
            (0.001, 12.0, WHOLE, 2.0),
            (777.0, 100.0, 1, 0.0),
        ] {
            let Slice { terms, depth } = Slice::of(rate, burst, share, debt);
            let fraction = f64::from(share) / f64::from(WHOLE);
            assert!(terms.cost as f64 >= 4e9 / (rate * fraction), "{rate}");
            assert!(terms.tolerance as f64 / terms.cost as f64 <= depth + debt, "{rate}");
        }
    }

    #[test]
    fn tokens_come_back() {
        let slice = Slice::of(100.0, 50.0, WHOLE / 2, 0.0);
        for tokens in [0.0, 1.0, 12.5, 25.0, -3.0] {
            let booked = slice.booked(tokens, 1_000);
            assert!((slice.tokens(booked, 1_000) - tokens).abs() < 1e-6, "{tokens}");
        }
        assert_eq!(Slice::of(0.0, 5.0, WHOLE, 0.0).terms, Terms::CLOSED);
        assert_eq!(Slice::of(5.0, 5.0, 0, 0.0).terms, Terms::CLOSED);
    }
}
