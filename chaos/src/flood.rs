//! `limits`: the distributed rate limits of the product, and those of others, on simulated machines in virtual time. A run is
//! decided by its seed and touches neither clock nor network. Owns the list of modules.

mod attack;
mod baseline;
mod chance;
mod contestant;
mod course;
mod demand;
mod fault;
mod fuzz;
mod gates;
mod judge;
mod level;
mod limiter;
mod moment;
mod network;
mod parallel;
mod places;
mod race;
mod scale;
mod scenario;
mod table;
mod tidegate;
mod verbs;
mod world;

pub(crate) use chance::Chance;
pub(crate) use level::{Level, Limit};
pub(crate) use parallel::in_parallel;
pub(crate) use verbs::{Verb, run};

#[cfg(test)]
mod tests;
