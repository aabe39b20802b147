//! From replicated configuration to what one node serves. Owns which tables, limits and caches a state means in an availability zone,
//! how far a rollout may go on, and what a node that keeps ending without having been asked to serves. Pure: what cannot be used is
//! said in the log and keeps its last good version; nothing here acts.

mod caches;
mod composer;
mod hold;
pub mod limits;
mod links;
pub mod rollout;

pub use composer::{Composed, Composer, Resolve};
pub use hold::{CRASHES, Hold, LOOP_S, RETRY_S};
