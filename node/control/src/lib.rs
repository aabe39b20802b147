//! The control plane of a node: AWS's API Gateway service for REST APIs, a thin STS, and Tidegate's own cluster API.
//!
//! Operations are pure functions from a view of the replicated configuration to a transaction; a driver authenticates,
//! runs, commits and runs again when another writer was first. Knows the cluster only as [`Store`], [`Cluster`] and [`Usage`].

mod answer;
mod auth;
mod cache;
mod cache_key;
mod call;
mod core;
mod driver;
mod error;
mod input;
pub mod openapi;
mod operation;
mod options;
mod own;
mod page;
mod patch;
mod query;
mod respond;
mod rest;
mod seal;
mod service;
mod stamps;
mod store;
mod sts;
#[cfg(test)]
mod tests;
mod usage;

pub use core::Core;
pub use options::{Error, Options};
pub use service::{Handle, Service};
pub use store::{
    BoxFuture, CacheQuestion, CacheRequest, Caches, Cluster, ClusterError, DayUsage, Freshness, KeyUsage,
    Limits, StillServed, Store, StoreError, TopQuestion, Upstreams, Usage, UsageError,
};
