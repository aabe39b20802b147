//! The storms there are. A scenario is a closed list: each has a name, a summary, a description and a run.

mod az_outage;
mod limits;

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    region::{Region, RegionError},
    report::Report,
};
use limits::LimitsReport;

/// A storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// One availability zone after the other loses power
    AzOutage,
    /// Limits under more traffic than they allow, while leaders and zones die and links are cut
    Limits,
}

/// How to run a storm.
pub(crate) struct StormOptions {
    /// Faults to inject, or rounds of them; the scenario's own number when absent.
    pub(crate) rounds: Option<u32>,
    /// Length of phases in which nothing fails, in seconds; the scenario's own when absent.
    pub(crate) calm_s: Option<u64>,
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

/// What a storm found.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Found {
    /// Of [`Scenario::AzOutage`].
    AzOutage(Report),
    /// Of [`Scenario::Limits`].
    Limits(LimitsReport),
}

impl Found {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::AzOutage(report) => report.text(),
            Self::Limits(report) => report.text(),
        }
    }

    /// Whether every promise is kept.
    pub(crate) fn kept(&self) -> bool {
        match self {
            Self::AzOutage(report) => report.kept,
            Self::Limits(report) => report.kept,
        }
    }
}

/// Stops a region; its data stays where a promise is broken, a process lingers, or `keep` asks for it.
async fn put_away(region: Region, keep: bool, is_kept: bool) {
    let data = region.data().to_owned();
    if !region.stop().await {
        eprintln!("not every process of the region ended in time");
    } else if !keep && is_kept {
        let _ = std::fs::remove_dir_all(&data);
    }
}

impl Scenario {
    /// Name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AzOutage => "az-outage",
            Self::Limits => "limits",
        }
    }

    /// One line.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::AzOutage => "one availability zone after the other loses power, under traffic and writes",
            Self::Limits => "rate limits and quotas hold while leaders and zones die and a zone is cut off",
        }
    }

    /// What it does, what it checks, and what it does not.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::AzOutage => az_outage::DESCRIPTION,
            Self::Limits => limits::DESCRIPTION,
        }
    }

    /// Runs it to the end; everything it starts is stopped when this returns or is dropped.
    pub(crate) async fn run(self, options: &StormOptions) -> Result<Found, RegionError> {
        match self {
            Self::AzOutage => az_outage::run(options).await.map(Found::AzOutage),
            Self::Limits => limits::run(options).await.map(Found::Limits),
        }
    }
}
