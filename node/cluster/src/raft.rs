//! The consensus library behind this crate's words. Nothing of it is visible outside the crate.

pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod pulse;
pub(crate) mod serve;
pub(crate) mod term;
pub(crate) mod types;
pub(crate) mod voice;
