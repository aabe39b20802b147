//! Response caches on this node. Owns the way to other nodes' caches, and what all of them say about what is
//! stored; must never store an answer.

pub(crate) mod callers;
pub(crate) mod disk;
pub(crate) mod fence;
mod merge;
pub(crate) mod region;
pub(crate) mod zone;
