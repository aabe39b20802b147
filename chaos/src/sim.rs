//! `sim`: the whole cluster in one process, on virtual time: real consensus, configuration, limits and publishing over a network, disks
//! and clocks that fail by a schedule drawn from a seed, under clients whose promises are remembered. Owns the list of modules.

mod case;
mod clients;
mod clock;
mod config;
mod defect;
mod desk;
mod fault;
mod invariants;
mod land;
mod lead;
mod machine;
mod minimize;
mod node;
mod oracle;
mod panics;
mod publisher;
#[path = "../../node/src/replica.rs"]
#[allow(dead_code, reason = "the node's own file; a run has no use for founding")]
mod replica;
mod requests;
mod run;
mod seeds;
mod verbs;
mod weather;
mod world;

pub(crate) use verbs::{SimArguments, run};

#[cfg(test)]
mod tests;
