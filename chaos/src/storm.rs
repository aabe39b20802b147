//! `storm`: rehearses the loss of a process, a disk, a zone, a region with real processes on real links, and reports what clients saw.

mod catalog;
mod churn;
mod clients;
mod error;
mod evidence;
mod finish;
mod fleet;
mod history;
mod measure;
mod nemesis;
mod progress;
mod record;
mod report;
mod run;
mod scenario;
mod setup;
mod stage;
mod stall;
pub(crate) mod target;
mod upstream;
mod verbs;
mod verdict;
mod watch;
mod world;
mod writers;

pub(crate) use history::{Act, Deed, Judgement, judge};
pub(crate) use verbs::{StormArguments, describe, list, run};
