//! The time line of one run: microseconds since it began, and stretches of it.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Tells the time of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

/// A stretch of a run, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// Microseconds since the run began.
    pub(crate) from_us: u64,
    /// Microseconds since the run began.
    pub(crate) to_us: u64,
}

impl Clock {
    /// The run begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the run began.
    pub(crate) fn now_us(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }

    /// The instant of a time of the run.
    pub(crate) fn instant(self, at_us: u64) -> Instant {
        self.0 + Duration::from_micros(at_us)
    }
}

impl Span {
    /// Whether a moment is in it.
    pub(crate) fn holds(&self, at_us: u64) -> bool {
        (self.from_us..=self.to_us).contains(&at_us)
    }

    /// Whether both have a moment in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.from_us <= other.to_us && other.from_us <= self.to_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap() {
        let span = |from_us, to_us| Span { from_us, to_us };
        for (a, b, expect) in [
            (span(0, 10), span(10, 20), true),
            (span(0, 9), span(10, 20), false),
            (span(12, 13), span(10, 20), true),
            (span(0, 99), span(10, 20), true),
            (span(21, 99), span(10, 20), false),
        ] {
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (expect, expect), "{a:?} {b:?}");
        }
    }
}
