//! Rate limits and quotas: the decision on the node and the ledger that keeps it true across nodes; one algorithm, both sides.
//! Pure: time, randomness and ids are arguments.
//!
//! A node's [`Bank`] decides, its [`Agent`] keeps the bank within what the node was granted. Each shard of the ledger is a
//! replicated [`Ledger`] that remembers what was granted, and on its leader a [`Keeper`] that decides what to grant.

mod agent;
mod bank;
mod bucket;
mod busy;
mod cell;
mod demand;
mod ids;
mod index;
mod keeper;
mod ledger;
mod limit;
mod page;
mod period;
#[cfg(test)]
mod rig;
mod terms;
mod timing;

pub use agent::{Agent, Identity, InUse, LeaseView, Now};
pub use bank::{Bank, LIMITS_PER_REQUEST_MAX, LeaseState, LimitRef, NONE, Reason, Refusal, Verdict};
pub use bucket::Bucket;
pub use index::{Builder, Index};
pub use keeper::{Keeper, Region, Tick};
pub use ledger::Ledger;
pub use limit::{
    GLOBAL, Holders, Isolated, Kind, LEDGERS, LimitId, Name, PART, Policy, SHARDS, Scope, Spec, region_holder,
};
pub use period::Period;
#[cfg(feature = "seeded-bugs")]
pub use timing::Bug;
pub use timing::{MS, Timing};
