//! What is measured: one row per scenario.

use std::path::PathBuf;

use crate::peers::{
    gateway::{Kind, Port, Route},
    order::{Order, Pace, Protocol, Target},
};

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// For tables and charts.
    pub(crate) title: &'static str,
    /// Which listener.
    pub(crate) port: Port,
    /// Which route.
    pub(crate) route: Route,
    /// How connections speak.
    pub(crate) protocol: Protocol,
    /// What is compared.
    pub(crate) figure: Figure,
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Requests in flight on each.
    pub(crate) streams: usize,
    /// Whether a connection carries more than one request.
    pub(crate) keep_alive: bool,
    /// Bytes sent with each request.
    pub(crate) request_body_bytes: usize,
    /// Bytes that come back.
    pub(crate) answer_body_bytes: usize,
}

/// What is compared between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Processor time of the gateway per request, at full load.
    Cpu,
    /// Time to answer at so many requests per second.
    Latency(u32),
    /// Memory of the gateway per idle connection.
    Memory,
}

/// Proxying 128 bytes over kept-alive HTTP/1.1; all others differ from it in a few points.
const PLAIN: Scenario = Scenario {
    name: "proxy-128",
    title: "proxy, 128 B",
    port: Port::Http1,
    route: Route::Proxy,
    protocol: Protocol::Http1,
    figure: Figure::Cpu,
    connections: 64,
    streams: 1,
    keep_alive: true,
    request_body_bytes: 0,
    answer_body_bytes: 128,
};

/// HTTP/2 carries many requests on few connections.
const MULTIPLEXED: Scenario =
    Scenario { port: Port::Http2, protocol: Protocol::Http2, connections: 32, streams: 16, ..PLAIN };

/// Answered without the origin, which has given the answer once.
const CACHED: Scenario = Scenario { route: Route::Cached, ..PLAIN };

/// All, in the order in which they run.
pub(crate) const ALL: [Scenario; 16] = [
    PLAIN,
    Scenario { name: "proxy-10k", title: "proxy, 10 KiB", answer_body_bytes: 10 << 10, ..PLAIN },
    Scenario { name: "proxy-1m", title: "proxy, 1 MiB", answer_body_bytes: 1 << 20, ..PLAIN },
    Scenario { name: "post-4k", title: "proxy, POST of 4 KiB", request_body_bytes: 4 << 10, ..PLAIN },
    Scenario { name: "local", title: "answered by the gateway, 128 B", route: Route::Local, ..PLAIN },
    Scenario {
        name: "limited",
        title: "proxy behind a limit per key, 128 B",
        route: Route::Limited,
        ..PLAIN
    },
    Scenario { name: "cached-128", title: "answered from the cache, 128 B", ..CACHED },
    Scenario {
        name: "cached-10k",
        title: "answered from the cache, 10 KiB",
        answer_body_bytes: 10 << 10,
        ..CACHED
    },
    Scenario {
        name: "cached-1m",
        title: "answered from the cache, 1 MiB",
        answer_body_bytes: 1 << 20,
        ..CACHED
    },
    Scenario { name: "connect", title: "new connection per request, 128 B", keep_alive: false, ..PLAIN },
    Scenario { name: "h2c", title: "proxy over HTTP/2, 128 B", ..MULTIPLEXED },
    Scenario { name: "h1-tls", title: "proxy over HTTP/1.1 and TLS, 128 B", port: Port::Tls, ..PLAIN },
    Scenario { name: "h2-tls", title: "proxy over HTTP/2 and TLS, 128 B", port: Port::Tls, ..MULTIPLEXED },
    Scenario {
        name: "handshake",
        title: "full TLS 1.3 handshake and one request",
        port: Port::Tls,
        keep_alive: false,
        connections: 16,
        ..PLAIN
    },
    Scenario {
        name: "latency",
        title: "latency at 10,000 requests per second, 128 B",
        figure: Figure::Latency(10_000),
        ..PLAIN
    },
    Scenario {
        name: "idle",
        title: "memory per idle connection",
        figure: Figure::Memory,
        connections: 4_000,
        ..PLAIN
    },
];

/// The scenario of a name.
pub(crate) fn named(name: &str) -> Option<Scenario> {
    ALL.into_iter().find(|scenario| scenario.name == name)
}

/// How long and against whom.
pub(crate) struct Conditions {
    /// Where requests go.
    pub(crate) target: Target,
    /// First process of the gateway.
    pub(crate) gateway_pid: u32,
    /// Its processor.
    pub(crate) gateway_processor: usize,
    /// What a TLS gateway presents.
    pub(crate) certificate: PathBuf,
    /// Time before anything counts.
    pub(crate) warm_up_ms: u64,
    /// Time that counts.
    pub(crate) measure_ms: u64,
    /// Number of the run; none has another one's.
    pub(crate) run: usize,
}

impl Scenario {
    /// Whether a gateway can be compared here. The floor is one only where connections last: it opens one to the origin for
    /// each that it accepts, and keeps nothing for it that a proxy would need.
    pub(crate) fn suits(&self, kind: Kind) -> bool {
        kind != Kind::Floor || (self.keep_alive && self.figure != Figure::Memory)
    }

    /// One run.
    pub(crate) fn order(&self, conditions: Conditions) -> Order {
        let Conditions { gateway_pid, gateway_processor, certificate, warm_up_ms, measure_ms, .. } =
            conditions;
        let mut target = conditions.target;
        let is_cached = self.route == Route::Cached;
        if is_cached {
            // What an earlier run left in the cache has another length.
            target.path = format!("{}-{}", target.path, conditions.run);
        }
        Order {
            gateway_pid: Some(gateway_pid),
            gateway_processor: Some(gateway_processor),
            target,
            protocol: self.protocol,
            certificate: (self.port == Port::Tls).then_some(certificate),
            connections: self.connections,
            streams: self.streams,
            keep_alive: self.keep_alive,
            request_body_bytes: self.request_body_bytes,
            origin_body_bytes: self.answer_body_bytes,
            expected_body_bytes: self.answer_body_bytes,
            is_cached,
            pace: match self.figure {
                Figure::Cpu => Pace::Closed,
                Figure::Latency(per_second) => Pace::Open(per_second),
                Figure::Memory => Pace::Idle,
            },
            warm_up_ms,
            measure_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for scenario in ALL {
            assert_eq!(named(scenario.name), Some(scenario));
            assert!(scenario.streams == 1 || scenario.protocol == Protocol::Http2, "{}", scenario.name);
        }
    }
}
