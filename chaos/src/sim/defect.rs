//! Defects that the simulation must find, to know that it would: of the simulated world, and with `seeded-bugs` of the product. Owns their
//! names and the invariant each belongs to.

use super::invariants::Invariant;

/// A defect that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Defect {
    /// Disks say that they have synced long before they have
    LyingDisk,
    /// Nothing is marked beside a log, so that nobody knows that it has lost something
    ForgottenMarks,
    /// Checkpoints are written under their final names, so that a power cut leaves a part of one
    CheckpointInPlace,
    /// Linearizable reads skip the barrier
    StaleRead,
    /// What an entry means depends on the node that applies it
    NodeInApply,
    /// A restored state lacks a key
    LossyRestore,
    /// A node serves the configuration before the newest again
    ServedBack,
    /// A grant of a limit that arrives again counts twice
    #[cfg(feature = "seeded-bugs")]
    OverAdmit,
}

impl Defect {
    /// What must notice.
    pub(crate) fn invariant(self) -> Invariant {
        match self {
            Self::LyingDisk | Self::ForgottenMarks => Invariant::Acknowledged,
            Self::CheckpointInPlace => Invariant::Endurance,
            Self::StaleRead => Invariant::Linearizable,
            Self::NodeInApply => Invariant::StateHash,
            Self::LossyRestore => Invariant::Restore,
            Self::ServedBack => Invariant::LastKnownGood,
            #[cfg(feature = "seeded-bugs")]
            Self::OverAdmit => Invariant::ThrottleBounds,
        }
    }
}
