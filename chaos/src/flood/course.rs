//! Everything that decides a run: places, clients, limits, links, faults, and the seed. Owns defaults; two equal courses are two
//! equal runs.

use super::{
    fault::Timed,
    moment::{SECOND, ns},
    network::Weather,
    places::Places,
};

/// What the limits of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Rate limits: half of the keys far below, a quarter far above.
    Rates,
    /// Quotas that most keys use up within the run.
    Quotas,
    /// Two small and two large limits that every node floods from the first moment.
    Attack,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// Where nodes are.
    pub(crate) places: Places,
    /// Clients, each with a limit of its own.
    pub(crate) keys: usize,
    /// Requests per second of all together.
    pub(crate) requests_per_second: f64,
    /// How uneven they are: exponent of the rank.
    pub(crate) skew: f64,
    /// Mean time until a client's requests arrive at other nodes, in seconds.
    pub(crate) settled_s: f64,
    /// Their limits.
    pub(crate) mix: Mix,
    /// Length in seconds.
    pub(crate) length_s: f64,
    /// Links.
    pub(crate) weather: Weather,
    /// Clocks run at most so much too fast or too slow, in millionths.
    pub(crate) drift_ppm: f64,
    /// Faults, in order.
    pub(crate) faults: Vec<Timed>,
    /// Decides everything else.
    pub(crate) seed: u64,
}

impl Course {
    /// The course that the design was measured with: twelve nodes, 300 clients, 60,000 requests per second.
    pub(crate) fn reference(seed: u64) -> Self {
        Self {
            places: Places::region(4),
            keys: 300,
            requests_per_second: 60_000.0,
            skew: 1.0,
            settled_s: 15.0,
            mix: Mix::Rates,
            length_s: 60.0,
            weather: Weather::default(),
            drift_ppm: 200.0,
            faults: Vec::new(),
            seed,
        }
    }

    /// Length in nanoseconds.
    pub(crate) fn length_ns(&self) -> u64 {
        ns(self.length_s)
    }

    /// Requests before are not counted: rate limits need a moment, quotas count from the first.
    pub(crate) fn warm_ns(&self) -> u64 {
        match self.mix {
            Mix::Rates => (3 * SECOND).min(self.length_ns() / 2),
            Mix::Quotas | Mix::Attack => 0,
        }
    }

    /// The fastest clock, as a part of true time.
    pub(crate) fn clock(&self) -> f64 {
        1.0 + self.drift_ppm / 1e6
    }
}
