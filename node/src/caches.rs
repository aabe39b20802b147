//! Response caches on this node. Owns how documents become what the data plane caches by; must never store an answer.

pub(crate) mod callers;
pub(crate) mod compile;
