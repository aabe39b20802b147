//! Diagnostics of the node itself: structured logs on stderr and, when an endpoint is configured, spans sent to an
//! OpenTelemetry collector. Export happens on threads of its own; a full queue drops spans, a slow collector slows nobody.

mod client;
mod options;
pub mod propagation;
mod setup;

pub use client::ExportCounters;
pub use options::{Error, LogFormat, Options};
pub use setup::{Guard, adopt, current, init, prepare};
