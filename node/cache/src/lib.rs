//! The rules of HTTP caching for a shared cache: what may be stored, what a stored answer may be used for, and what is said about
//! it (RFC 9111, RFC 9110, RFC 5861, RFC 9211, RFC 9213).
//!
//! Pure: no IO and no clock, times are arguments in seconds.

pub mod condition;
mod date;
pub mod directive;
pub mod hazard;
pub mod invalidation;
pub mod lines;
mod list;
pub mod range;
pub mod reuse;
#[cfg(test)]
mod rig;
pub mod status;
pub mod stored;
pub mod target;
pub mod terms;
pub mod update;
pub mod vary;
