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
    /// A third each of strict rate limits, others, and quotas.
    Mixed,
}

/// What a limit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// A rate, exceeded a little where that serves clients.
    Default,
    /// A rate that is never exceeded.
    Strict,
    /// A number of requests per day that is never exceeded.
    Quota,
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
    /// Whether rate limits are strict.
    pub(crate) strict: bool,
    /// Further rate limits, each shared by several clients: a request must fit into both.
    pub(crate) shared: usize,
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
            strict: false,
            shared: 0,
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
            Mix::Quotas | Mix::Attack | Mix::Mixed => 0,
        }
    }

    /// The shared limit of a client.
    pub(crate) fn shared_by(&self, key: usize) -> Option<usize> {
        (self.shared > 0).then(|| self.keys + key % self.shared)
    }

    /// What a limit promises.
    pub(crate) fn terms(&self, limit: usize) -> Terms {
        let rate = |strict| if strict { Terms::Strict } else { Terms::Default };
        match self.mix {
            Mix::Rates | Mix::Attack => rate(self.strict),
            Mix::Quotas if limit < self.keys => Terms::Quota,
            Mix::Quotas => rate(self.strict),
            Mix::Mixed if limit < self.keys && limit % 3 == 2 => Terms::Quota,
            Mix::Mixed => rate(limit.is_multiple_of(3)),
        }
    }

    /// The fastest clock, as a part of true time.
    pub(crate) fn clock(&self) -> f64 {
        1.0 + self.drift_ppm / 1e6
    }
}
