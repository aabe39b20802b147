//! What the runner and the load process say to each other: one JSON document per line.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The first line of the load process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Where the origin listens.
    pub(crate) origin: SocketAddr,
}

/// One run against one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// First process of the gateway, whose processor time and memory are read; `None` reads nothing.
    pub(crate) gateway_pid: Option<u32>,
    /// Processor that the gateway is pinned to.
    pub(crate) gateway_processor: Option<usize>,
    /// Where requests go.
    pub(crate) target: Target,
    /// How connections speak.
    pub(crate) protocol: Protocol,
    /// Certificate that a TLS gateway presents; plain TCP when absent.
    pub(crate) certificate: Option<PathBuf>,
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Requests in flight on each connection; more than one needs HTTP/2.
    pub(crate) streams: usize,
    /// Whether a connection carries more than one request.
    pub(crate) keep_alive: bool,
    /// Body of each request; `GET` without one when 0.
    pub(crate) request_body_bytes: usize,
    /// Body of each answer of the origin.
    pub(crate) origin_body_bytes: usize,
    /// Body that each answer must have.
    pub(crate) expected_body_bytes: usize,
    /// The gateway must answer from its cache: one request goes ahead of all others, and it is the only one that the origin may see.
    /// None carries `Authorization`, with which shared caches answer nobody (RFC 9111 §3.5).
    pub(crate) is_cached: bool,
    /// When requests are sent.
    pub(crate) pace: Pace,
    /// Time before anything counts, in milliseconds.
    pub(crate) warm_up_ms: u64,
    /// Time that counts, in milliseconds.
    pub(crate) measure_ms: u64,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// TCP address.
    pub(crate) address: SocketAddr,
    /// Value of `Host`.
    pub(crate) host: String,
    /// Path with query.
    pub(crate) path: String,
    /// Values of `X-Api-Key`, connection by connection; made up when empty.
    #[serde(default)]
    pub(crate) api_keys: Vec<String>,
}

/// How connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, with prior knowledge where there is no TLS.
    Http2,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// As soon as the one before is answered.
    Closed,
    /// So many per second whatever the answers do; latency counts from the moment a request was due.
    Open(u32),
    /// One request per connection, then silence; memory is read before and after.
    Idle,
}

/// The load process's answer to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The run took place; it may have had errors.
    Done(Outcome),
    /// It did not.
    Failed(String),
}

/// What a run brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Answers with the right status and length within the counted time.
    pub(crate) answered: u64,
    /// Counted time.
    pub(crate) measured_ns: u64,
    /// Processor time of the gateway within the counted time.
    pub(crate) gateway_cpu_ns: u64,
    /// Share of the counted time that other processes took from the gateway's processor, if it is pinned to one.
    pub(crate) disturbance: f64,
    /// Median time from sending (open pace: from being due) to the last byte of the answer.
    pub(crate) p50_us: f64,
    /// As above, 99th percentile.
    pub(crate) p99_us: f64,
    /// Anything but a right answer, warm-up and end included, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The first of them in full.
    pub(crate) first_error: Option<String>,
    /// Memory of the gateway before the connections, proportional set size.
    pub(crate) memory_before_bytes: u64,
    /// Memory of the gateway with all connections idle.
    pub(crate) memory_idle_bytes: u64,
}

impl Outcome {
    /// Processor time of the gateway per right answer; `None` when nothing was answered.
    pub(crate) fn cpu_us_per_request(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.gateway_cpu_ns as f64 / 1_000.0 / self.answered as f64)
    }

    /// Right answers per second.
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.answered as f64 * 1e9 / self.measured_ns.max(1) as f64
    }

    /// Share of the counted time in which the gateway computed.
    pub(crate) fn gateway_busy(&self) -> f64 {
        self.gateway_cpu_ns as f64 / self.measured_ns.max(1) as f64
    }

    /// All errors in a line; `None` when there were none.
    pub(crate) fn complaint(&self) -> Option<String> {
        let kinds: Vec<String> =
            self.errors.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        let first = self.first_error.as_deref().map_or(String::new(), |first| format!("; first: {first}"));
        (!kinds.is_empty()).then(|| format!("{}{first}", kinds.join(", ")))
    }
}
