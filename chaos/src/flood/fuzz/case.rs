//! A run of the fuzzer as a file: everything that decides it, in a few lines that people can read and shorten. Owns the format.

use serde::{Deserialize, Serialize};

use crate::flood::{
    course::{Course, Mix},
    fault::{NotAFault, Timed},
    network::Weather,
    places::Places,
};

/// Kinds of limits that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Rate limits that are never exceeded
    Strict,
    /// Rate limits as they come
    Default,
    /// Quotas
    Quota,
    /// All of them, and some that are shared
    Mixed,
    /// All of them, over three regions
    Global,
}

impl Mode {
    /// Every mode.
    pub(crate) const ALL: [Self; 5] = [Self::Strict, Self::Default, Self::Quota, Self::Mixed, Self::Global];

    /// Regions.
    pub(crate) fn regions(self) -> usize {
        if self == Self::Global { 3 } else { 1 }
    }

    /// Time without faults at the end, in milliseconds.
    pub(crate) fn quiet_end_ms(self) -> u64 {
        if self == Self::Global { 12_000 } else { 4_500 }
    }

    /// After the last fault, and so much more time, in milliseconds, everything works again: the lease of what died, an election,
    /// and a moment. A region may have to wait for its own lease, then for those of its nodes.
    pub(crate) fn recovered_ms(self) -> u64 {
        if self == Self::Global { 9_000 } else { 3_200 }
    }

    /// Then at least this part of the ideal is admitted. Links may still be bad, and over regions everything passes twice as many.
    pub(crate) fn recovered_fill(self) -> f64 {
        if self == Self::Global { 0.4 } else { 0.6 }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it found, for people.
    #[serde(default)]
    pub(crate) note: String,
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) nodes_per_zone: usize,
    pub(crate) keys: usize,
    pub(crate) shared: usize,
    pub(crate) requests_per_second: f64,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) reordering: f64,
    pub(crate) drift_ppm: f64,
    /// Faults in their notation, in order.
    pub(crate) faults: Vec<String>,
}

impl Case {
    /// The course.
    ///
    /// # Errors
    /// [`NotAFault`].
    pub(crate) fn course(&self) -> Result<Course, NotAFault> {
        let mut faults: Vec<Timed> =
            self.faults.iter().map(|fault| fault.parse()).collect::<Result<_, _>>()?;
        faults.sort_by_key(|fault| fault.at_ms);
        Ok(Course {
            places: Places { regions: self.mode.regions(), ..Places::region(self.nodes_per_zone) },
            keys: self.keys,
            requests_per_second: self.requests_per_second,
            skew: 0.8,
            settled_s: 4.0,
            mix: match self.mode {
                Mode::Strict | Mode::Default => Mix::Rates,
                Mode::Quota => Mix::Quotas,
                Mode::Mixed | Mode::Global => Mix::Mixed,
            },
            strict: self.mode == Mode::Strict,
            shared: self.shared,
            length_s: self.seconds,
            weather: Weather { loss: self.loss, duplication: self.duplication, reordering: self.reordering },
            drift_ppm: self.drift_ppm,
            faults,
            seed: self.seed,
        })
    }
}
