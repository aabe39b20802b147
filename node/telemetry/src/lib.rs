//! The eyes of a node: metric table, access log, traces, health checks.
//!
//! Telemetry never slows a request down: counting is an addition, a log line is rendered into memory of the current thread,
//! and whatever cannot be kept is dropped and counted. It knows no other crate of the workspace; owners hand it values.

pub mod access_log;
pub mod health;
pub mod limits;
pub mod metrics;
pub mod panics;
mod slot;
pub mod trace;
