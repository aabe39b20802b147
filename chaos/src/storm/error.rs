//! Why a storm could not be run; never that a promise broke.

use std::{io, path::PathBuf};

/// A storm that did not take place, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StormError {
    /// The binary under test is not there.
    #[error(
        "{} does not exist; build it with `cargo build --release -p tidegate-node`, or pass --tidegate PATH", .0.display()
    )]
    Absent(PathBuf),
    /// A scenario cannot be used.
    #[error("{0}")]
    Scenario(#[from] super::scenario::ScenarioError),
    /// The operating system said no.
    #[error("{what}: {reason}")]
    System {
        /// File, program or call.
        what: String,
        /// From the operating system.
        reason: io::Error,
    },
    /// A condition did not come true.
    #[error("{what} took longer than {seconds} s; last seen: {seen}")]
    Slow {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last obstacle.
        seen: String,
    },
    /// The control plane refused a call that the storm cannot do without.
    #[error("{what}: {reason}")]
    Call {
        /// What was asked.
        what: String,
        /// The answer.
        reason: tidegate_cli::Error,
    },
    /// Somebody asked this program to end.
    #[error("interrupted by {0}; every process of the storm has ended")]
    Interrupted(&'static str),
    /// A fault finds nothing to strike.
    #[error("{fault}: {reason}")]
    Target {
        /// The fault.
        fault: &'static str,
        /// Why there is nothing.
        reason: String,
    },
}

impl StormError {
    /// Names what an error of the operating system is about.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |reason| Self::System { what, reason }
    }
}
