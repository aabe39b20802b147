//! The metric table: handles that count with one atomic addition, and one place that renders them for Prometheus.
//!
//! Nothing is looked up while a request runs: handles are resolved when a snapshot is compiled or a service starts and then
//! kept by their owner. Rendering walks the table at scrape time only. Names follow the Prometheus rules: prefix `tidegate_`,
//! base units, `_total` added to counters by the encoder; labels come from configuration, never from a request.

mod handle;
mod process;
mod registry;
mod route;
mod sample;

pub use handle::{Buckets, Counter, Gauge, Histogram};
pub use registry::{CONTENT_TYPE, Registry};
pub use route::{
    CacheCounts, CacheOutcome, Observation, RouteLabels, RouteMetrics, RouteSummary, RouteTable,
};
pub use sample::{Distribution, Encoder};
