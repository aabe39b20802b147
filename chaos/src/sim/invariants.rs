//! What must hold in every run, one file each: pure records of what was seen, that say what contradicts it. Owns their names.

mod acknowledged;
mod last_known_good;
mod leaders;
mod linearizable;
pub(crate) mod liveness;
mod restore;
mod state_hash;
mod throttle_bounds;

pub(crate) use acknowledged::Acknowledged;
pub(crate) use last_known_good::LastKnownGood;
pub(crate) use leaders::Leaders;
pub(crate) use linearizable::{Linearizable, Written};
pub(crate) use restore::Restore;
pub(crate) use state_hash::StateHash;
pub(crate) use throttle_bounds::{EVERYWHERE, Limited, Numbers, ThrottleBounds};

use serde::{Deserialize, Serialize};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Invariant {
    /// What was acknowledged is never lost.
    Acknowledged,
    /// One order explains all writes and reads of a key.
    Linearizable,
    /// A term has one leader, and earlier ones are over.
    Leaders,
    /// Equal indexes have equal states.
    StateHash,
    /// What is restored is what was there.
    Restore,
    /// Limits admit no more than they may.
    ThrottleBounds,
    /// The last good configuration is served, with and without a quorum.
    LastKnownGood,
    /// Once everything is healed, everything works and agrees.
    Liveness,
    /// No node ends without a fault that explains it, and nothing panics.
    Endurance,
}
