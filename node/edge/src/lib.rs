//! The body of the data plane: shards that accept requests, ask [`tidegate_gateway`] what to do with each, and do it.
//!
//! A shard is one thread with its own listener, runtime, upstream connections and identifiers; nothing on the request path
//! is shared between shards but atomics and the snapshot pointer. This crate decides nothing about APIs.

mod body;
mod budget;
mod cache;
mod certificates;
mod direct;
mod identity;
mod integrate;
mod limiter;
mod lineage;
mod options;
mod pipeline;
mod publish;
mod relay;
mod respond;
mod service;
mod shard;
mod upstream;
mod visit;

pub use cache::{CacheTrial, Callers, Neighbours, Reply};
pub use limiter::{Limiter, boot_ns};
pub use options::{DiskOptions, Options};
pub use service::{Error, Handle, Service};
pub use tidegate_upstream::{Zones, ZonesError};
