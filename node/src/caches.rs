//! Response caches on this node. Owns how documents become what the data plane caches by, and the way to other nodes' caches; must never
//! store an answer.

pub(crate) mod callers;
pub(crate) mod compile;
pub(crate) mod zone;
