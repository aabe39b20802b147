//! A token bucket in plain numbers, for checking others: exact to the nanosecond, may be in debt. Owns refilling; must never be
//! what a limiter under test decides with.

use super::moment::seconds;

/// What arithmetic on fractions may get wrong.
const ROUNDING: f64 = 1e-6;

/// The numbers of a limit. A quota is a bucket that is never refilled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    /// Tokens per second.
    pub(crate) rate: f64,
    /// Tokens at most.
    pub(crate) burst: f64,
}

/// The state of a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// Tokens at `at_ns`; negative is debt.
    pub(crate) tokens: f64,
    /// When that was.
    pub(crate) at_ns: u64,
}

impl Level {
    /// A bucket with so many tokens.
    pub(crate) fn of(tokens: f64) -> Self {
        Self { tokens, at_ns: 0 }
    }

    /// Adds what has accrued by `now_ns`.
    #[inline]
    pub(crate) fn refill(&mut self, limit: Limit, now_ns: u64) {
        if now_ns > self.at_ns {
            let accrued = limit.rate * seconds(now_ns - self.at_ns);
            self.tokens = (self.tokens + accrued).min(limit.burst.max(self.tokens));
            self.at_ns = now_ns;
        }
    }

    /// Takes one token if there is one.
    #[inline]
    pub(crate) fn take(&mut self, limit: Limit, now_ns: u64) -> bool {
        self.refill(limit, now_ns);
        let passes = self.tokens >= 1.0 - ROUNDING;
        self.tokens -= f64::from(u8::from(passes));
        passes
    }

    /// Takes one token, into debt if need be; returns the debt.
    #[inline]
    pub(crate) fn owe(&mut self, limit: Limit, now_ns: u64) -> f64 {
        self.refill(limit, now_ns);
        self.tokens -= 1.0;
        if self.tokens < -ROUNDING { -self.tokens } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flood::moment::{MS, SECOND};

    #[test]
    fn burst_then_rate_then_debt() {
        let limit = Limit { rate: 10.0, burst: 3.0 };
        let mut level = Level::of(3.0);
        let mut passed = |at| (0..9).filter(|_| level.take(limit, at)).count();
        assert_eq!([passed(0), passed(99 * MS), passed(100 * MS), passed(9 * SECOND)], [3, 0, 1, 3]);
        let mut level = Level::of(1.0);
        assert_eq!([0, 0, 200 * MS].map(|at| level.owe(limit, at).round()), [0.0, 1.0, 0.0]);
    }
}
