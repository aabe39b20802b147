//! What decides a run, as a file that people can read and shorten: a seed, how long its faults last, and perhaps the faults that are left
//! of its schedule. Owns the format.

use serde::{Deserialize, Serialize};

use super::{
    fault::{self, Fault},
    invariants::Invariant,
    land::Land,
};

/// Time in which faults begin, where nothing else is said, in seconds.
pub(crate) const SECONDS: u64 = 20;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it once broke, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    /// The invariant that it once broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) broke: Option<Invariant>,
    /// Decides everything that is not said here.
    pub(crate) seed: u64,
    /// Faults begin within so many seconds.
    pub(crate) seconds: u64,
    /// The faults that are left of the seed's own; absent: all of them.
    #[serde(default, rename = "fault", skip_serializing_if = "Option::is_none")]
    pub(crate) faults: Option<Vec<Fault>>,
}

impl Case {
    /// The case of a seed.
    pub(crate) fn of(seed: u64, seconds: u64) -> Self {
        Self { note: String::new(), broke: None, seed, seconds, faults: None }
    }

    /// Its faults, in the order in which they begin.
    pub(crate) fn schedule(&self) -> Vec<Fault> {
        let mut faults = match &self.faults {
            Some(faults) => faults.clone(),
            None => fault::draw(self.seed, self.seconds * 1_000, &Land::of(self.seed)),
        };
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    }

    /// As a file.
    pub(crate) fn text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}
