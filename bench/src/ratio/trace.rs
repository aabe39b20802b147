//! What is asked for, request by request, the same on every machine.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::Scale;

/// Largest body.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Half of all bodies are smaller.
const BODY_BYTES_MEDIAN: f64 = 8.0 * 1024.0;
/// Exponent of Zipf's law.
const SKEW: f64 = 0.9;
/// Share of requests that are of a scan.
const SCAN: f64 = 0.2;
/// Answers of a loop, in relation to those that a cache holds.
const LOOP: f64 = 1.1;
/// Keys of scans begin here.
const SCAN_START: u64 = 1 << 40;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// Some answers are asked for much more often than others.
    Zipf,
    /// The same, and between these requests some for what nobody asks for twice.
    Scanned,
    /// Everything in turn, and a little more than there is room for.
    Loop,
}

impl Trace {
    pub(super) const ALL: [Self; 3] = [Self::Zipf, Self::Scanned, Self::Loop];

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zipf => "by Zipf's law, 0.9",
            Self::Scanned => "the same, and 20 % of a scan",
            Self::Loop => "in turn, 10 % more than fits",
        }
    }

    /// Keys in the order of requests, for a cache of that share of all answers.
    pub(super) fn requests(self, scale: Scale, share: f64) -> Vec<u64> {
        match self {
            Self::Zipf => zipf(scale, 0.0),
            Self::Scanned => zipf(scale, SCAN),
            Self::Loop => {
                let around = (scale.answers as f64 * share * LOOP) as u64;
                (0..around.max(1)).cycle().take(scale.requests).collect()
            }
        }
    }
}

/// Whether a key is one of a scan.
pub(super) fn is_of_scan(key: u64) -> bool {
    key >= SCAN_START
}

/// Bytes of the body under a key: their logarithm is normally distributed, with a deviation of one.
pub(super) fn body_bytes(key: u64) -> usize {
    let mut random = StdRng::seed_from_u64(key);
    let (radius, angle): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    let normal = (-2.0 * radius.ln()).sqrt() * (angle * std::f64::consts::TAU).cos();
    ((BODY_BYTES_MEDIAN * normal.exp()) as usize).clamp(1, BODY_BYTES_MAX)
}

fn zipf(scale: Scale, scan: f64) -> Vec<u64> {
    let mut sum = 0.0;
    let reached = |rank: u64| {
        sum += (rank as f64).powf(-SKEW);
        sum
    };
    let sums: Vec<f64> = (1..=scale.answers).map(reached).collect();
    // Of their own, so that what is asked for otherwise is the same with and without a scan.
    let (mut random, mut between) = (StdRng::seed_from_u64(7), StdRng::seed_from_u64(8));
    let mut scanned = SCAN_START;
    let mut requests = Vec::with_capacity(scale.requests * 2);
    for _ in 0..scale.requests {
        let part = random.random::<f64>() * sum;
        requests.push(sums.partition_point(|reached| *reached < part) as u64);
        while between.random::<f64>() < scan {
            requests.push(scanned);
            scanned += 1;
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_what_they_say() {
        let scale = Scale { answers: 1_000, requests: 50_000 };
        let of = |trace: Trace| trace.requests(scale, 0.1);
        let count = |requests: &[u64], test: fn(u64) -> bool| {
            requests.iter().filter(|key| test(**key)).count() as f64 / requests.len() as f64
        };
        let (plain, scanned) = (of(Trace::Zipf), of(Trace::Scanned));
        assert_eq!((count(&plain, is_of_scan), &plain), (0.0, &of(Trace::Zipf)));
        assert!((0.19..0.21).contains(&count(&scanned, is_of_scan)));
        // The first of 1,000 by this law has 9.2 %, the first ten 32 %.
        assert!((0.08..0.11).contains(&count(&plain, |key| key == 0)));
        assert!((0.28..0.36).contains(&count(&plain, |key| key < 10)));
        assert_eq!(of(Trace::Loop).iter().max(), Some(&109));
    }

    #[test]
    fn bodies_are_spread_around_their_median() {
        let mut bytes: Vec<usize> = (0..10_001).map(body_bytes).collect();
        bytes.sort_unstable();
        assert!((7_700..8_700).contains(&bytes[5_000]), "{}", bytes[5_000]);
        // One deviation up is 2.7 times as much.
        assert!((20_500..24_000).contains(&bytes[8_413]), "{}", bytes[8_413]);
    }
}
