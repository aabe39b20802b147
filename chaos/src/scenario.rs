//! The storms there are. A scenario is a closed list: each has a name, a summary, a description and a run.

mod az_outage;

use std::path::PathBuf;

use crate::{region::RegionError, report::Report};

/// A storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// One availability zone after the other loses power
    AzOutage,
}

/// How to run a storm.
pub(crate) struct StormOptions {
    /// Faults to inject.
    pub(crate) rounds: u32,
    /// Decides every choice that is left to chance.
    pub(crate) seed: u64,
    /// Requests per second of each stream.
    pub(crate) requests_per_second: u32,
    /// The `tidegate` binary under test.
    pub(crate) program: PathBuf,
    /// Data directory; one of its own when absent.
    pub(crate) data: Option<PathBuf>,
    /// Whether the data directory stays.
    pub(crate) keep: bool,
}

impl Scenario {
    /// Name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AzOutage => "az-outage",
        }
    }

    /// One line.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::AzOutage => "one availability zone after the other loses power, under traffic and writes",
        }
    }

    /// What it does, what it checks, and what it does not.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::AzOutage => az_outage::DESCRIPTION,
        }
    }

    /// Runs it to the end; everything it starts is stopped when this returns or is dropped.
    pub(crate) async fn run(self, options: &StormOptions) -> Result<Report, RegionError> {
        match self {
            Self::AzOutage => az_outage::run(options).await,
        }
    }
}
