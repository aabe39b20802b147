//! Client verbs of the `tidegate` binary: they sign requests and print answers, through the public API only.
//!
//! Data goes to standard output, talk to standard error; `-o json` prints exactly what the server answered.

mod cache;
mod certificate;
mod client;
mod cluster;
mod endpoint;
mod limits;
mod output;
mod rollout;
mod shift;
mod upstreams;

pub use cache::{CacheCommand, GetArgs, PurgeArgs, TopArgs as CacheTopArgs};
pub use certificate::CertificateCommand;
pub use client::{Client, Error, Reading};
pub use cluster::{CheckpointCommand, ClusterCommand};
pub use endpoint::{ConnectionArgs, Endpoint};
pub use limits::{LimitsCommand, TopArgs};
pub use output::Format;
pub use rollout::RolloutCommand;
pub use shift::ZonalShiftCommand;
pub use upstreams::UpstreamsArgs;
