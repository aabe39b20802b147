//! Which target of an upstream a call goes to, and whether it may be made again. Pure: time and randomness are arguments.
//!
//! An upstream is a set of [`Targets`], each with an availability zone where that is known. What is known of their health are bits in
//! words that all shards share, so that a choice is a handful of operations on words: no lock, no allocation, no list. Terms are
//! Envoy's: *outlier ejection*, *panic mode*, *retry budget*.

mod budget;
mod check;
mod choice;
mod resolution;
mod retry;
mod target;
mod targets;
mod zones;

pub use budget::Budget;
pub use check::{Streak, Turn};
pub use choice::{Choice, Reach, Standing, Tries, choose};
pub use resolution::{Resolution, adopt};
pub use retry::{Attempt, Fault, Retry, retry, try_timeout_ms};
pub use target::{Cause, Target};
pub use targets::{Ejection, Health, TARGETS_MAX, TargetView, Targets};
pub use zones::{Zones, ZonesError};
