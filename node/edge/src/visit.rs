//! One request on its way through the shard: what it is, what it was given, and what became of it.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Instant,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};
use tidegate_cache::target::Target;
use tidegate_gateway::{Facts, Known, Rejection, Request, Routed, Snapshot, address, verb};
use tidegate_listener::{Body, Connection, Scheme};
use tidegate_telemetry::{
    access_log::{PhaseTimes, Record},
    metrics::CacheOutcome,
};

use crate::{
    budget::Budget,
    cache,
    identity::{Identity, TRACE_HEADER, kept_trace},
    lineage::{self, API_HEADER, Loop},
    publish::View,
    shard::Shard,
    upstream::{Course, Shelf},
};

/// A request and the facts the edge established about it.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) view: View,
    pub(crate) head: Parts,
    pub(crate) identity: Identity,
    pub(crate) arrived: Instant,
    local: SocketAddr,
    scheme: Scheme,
    source_ip: AddressText,
    time_ms: u64,
    /// Whether there are lines that are rare and looked for often.
    has_trace: bool,
    has_override: bool,
    /// Whether it came here through this gateway too often.
    pub(crate) is_loop: bool,
}

/// An address as text.
#[derive(Clone)]
struct AddressText {
    bytes: [u8; ADDRESS_BYTES_MAX],
    length: usize,
}

/// The longest text of an address has eight groups of four digits; those that end in dots are shorter.
const ADDRESS_BYTES_MAX: usize = 39;
const OVERRIDE_HEADER: &str = "x-http-method-override";

/// What became of a request, written down phase by phase.
#[derive(Debug)]
pub(crate) struct Trail {
    /// When the last finished phase ended.
    lap: Instant,
    /// Places of the stage and the method.
    pub(crate) route: Option<(usize, usize)>,
    pub(crate) phases: PhaseTimes,
    pub(crate) integration_status: Option<u16>,
    pub(crate) integration_error: Option<String>,
    /// Where the call was tried last.
    pub(crate) upstream: Option<Rc<Shelf>>,
    /// How often the call was tried.
    pub(crate) attempts: u8,
    pub(crate) rejection: Option<Rejection>,
    /// The API key that let it in.
    pub(crate) known: Option<Known>,
    /// What is left of its limits, where the answer says so.
    pub(crate) quota: Option<Box<Budget>>,
    /// What the cache did.
    pub(crate) cache: CacheOutcome,
    pub(crate) status: u16,
    pub(crate) latency_us: u64,
}

impl Visit {
    /// Begins a visit.
    pub(crate) fn begin(shard: &Shard, request: http::Request<Body>, connection: Connection) -> (Self, Body) {
        let arrived = Instant::now();
        let (mut head, body) = request.into_parts();
        let time_ms = shard.wall_ms(shard.monotonic_ns(arrived));
        let identity = shard.identities.borrow_mut().identify(time_ms);
        let Connection { peer, local, scheme, .. } = connection;
        let source_ip = AddressText::of(peer.ip());
        let view = shard.view();
        let has = |name: &str| head.headers.keys().any(|key| key.as_str() == name);
        let (has_trace, has_override) = (has(TRACE_HEADER), has(OVERRIDE_HEADER));
        let is_loop = has_trace && has(API_HEADER) && note_visit(&mut head).is_err();
        let visit = Self {
            view,
            head,
            identity,
            arrived,
            local,
            scheme,
            source_ip,
            time_ms,
            has_trace,
            has_override,
            is_loop,
        };
        (visit, body)
    }

    /// The snapshot that serves this request from its first phase to its last.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        self.view.snapshot()
    }

    /// The request as the phases see it.
    pub(crate) fn request(&self) -> Request<'_> {
        let host = self.host();
        Request {
            verb: self.verb(),
            host,
            address: address(host.as_bytes(), self.head.uri.path()),
            query: self.head.uri.query(),
            headers: &self.head.headers,
            facts: Facts {
                request_id: text(self.identity.request()),
                extended_request_id: text(self.identity.extended()),
                trace_id: self.trace(),
                source_ip: self.source_ip.as_str(),
                protocol: self.protocol(),
                scheme: self.scheme.as_str(),
                port: self.local.port(),
                time_ms: self.time_ms,
            },
        }
    }

    /// The facts for a line of the access log.
    pub(crate) fn record<'a>(&'a self, trail: &'a Trail, response_bytes: u64) -> Record<'a> {
        let host = self.host();
        let stage = trail.route.and_then(|(stage, _)| self.snapshot().stages().get(stage));
        let method = stage.zip(trail.route).and_then(|(stage, (_, method))| stage.route(method));
        let response_type = trail.rejection.as_ref().map(Rejection::response_type);
        let shortage = trail.rejection.as_ref().and_then(Rejection::shortage);
        let milliseconds = |us: u64| us / 1_000;
        Record {
            request_id: Some(self.identity.request()),
            extended_request_id: Some(self.identity.extended()),
            source_ip: Some(self.source_ip.as_bytes()),
            user_agent: self.head.headers.get(header::USER_AGENT).map(|value| value.as_bytes()),
            request_time_ms: Some(self.time_ms),
            http_method: Some(self.verb().as_bytes()),
            path: Some(self.head.uri.path().as_bytes()),
            resource_path: method.map(|method| method.resource_path),
            resource_id: method.map(|method| method.resource_id),
            status: Some(trail.status),
            protocol: Some(self.protocol()),
            response_bytes: Some(response_bytes),
            response_latency_ms: Some(milliseconds(trail.latency_us)),
            integration_latency_ms: trail.phases.integrate_us.map(milliseconds),
            integration_status: trail.integration_status,
            integration_error: trail.integration_error.as_deref(),
            api_id: stage.map(|stage| stage.api()),
            account_id: Some(self.snapshot().account()),
            stage: stage.map(|stage| stage.name()),
            deployment_id: stage.map(|stage| stage.deployment()),
            domain_name: Some(host.as_bytes()),
            domain_prefix: host.split(['.', ':']).next().map(str::as_bytes),
            api_key_id: trail.known.and_then(|known| self.snapshot().limits().key_id(known)),
            throttle_limit: shortage.map(|shortage| shortage.level.name()),
            throttle_reason: shortage.map(|shortage| shortage.reason_name()),
            throttle_lease: shortage.and_then(|shortage| shortage.lease_name()),
            throttle_plan: shortage
                .filter(|shortage| shortage.is_of_plan())
                .and_then(|_| self.snapshot().limits().plan_id(trail.known?)),
            error_message: trail.rejection.as_ref().map(Rejection::message),
            error_response_type: response_type.map(|row| row.name),
            xray_trace_id: Some(self.trace().as_bytes()),
            region: Some(self.snapshot().region()),
            cache: trail.cache.name(),
            upstream_az: trail.upstream.as_deref().and_then(Shelf::az),
            upstream_attempts: Some(trail.attempts.into()).filter(|count| *count > 0),
            phases: trail.phases,
            ..Record::default()
        }
    }

    /// The trace, kept or begun here.
    fn trace(&self) -> &str {
        let kept = if self.has_trace { kept_trace(&self.head.headers) } else { None };
        kept.unwrap_or_else(|| self.identity.root.as_str())
    }

    /// Takes out what this exchange makes invalid of the stored answers.
    pub(crate) fn invalidate(&self, shard: &Shard, status: StatusCode, response: &HeaderMap) {
        let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
        let target = Target { scheme: self.scheme.as_str(), authority: self.host(), path };
        if let Ok(verb) = Method::from_bytes(self.verb().as_bytes()) {
            cache::invalidate(shard, &self.view, &verb, &target, status, response);
        }
    }

    /// `http` or `https`, as the client spoke it.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    fn verb(&self) -> &str {
        if self.has_override {
            verb(&self.head.method, &self.head.headers)
        } else {
            self.head.method.as_str()
        }
    }

    fn host(&self) -> &str {
        host(&self.head)
    }

    fn protocol(&self) -> &'static str {
        match self.head.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }
    }
}

fn host(head: &Parts) -> &str {
    let header = || head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    head.uri.authority().map(|authority| authority.as_str()).or_else(header).unwrap_or_default()
}

/// Notes in the trace of a request from a gateway that it came here.
fn note_visit(head: &mut Parts) -> Result<(), Loop> {
    let (trace, address) = (kept_trace(&head.headers), address(host(head).as_bytes(), head.uri.path()));
    let Some((trace, address)) = trace.zip(address) else { return Ok(()) };
    let trace = HeaderValue::try_from(lineage::visited(trace, address.api)?);
    if let Ok(trace) = trace {
        head.headers.insert(TRACE_HEADER, trace);
    }
    Ok(())
}

impl AddressText {
    fn of(address: IpAddr) -> Self {
        let (mut bytes, mut length) = ([0; ADDRESS_BYTES_MAX], 0);
        match address {
            IpAddr::V4(address) => {
                let mut push = |byte| {
                    if let Some(place) = bytes.get_mut(length) {
                        (*place, length) = (byte, length + 1);
                    }
                };
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        push(b'.');
                    }
                    if octet > 99 {
                        push(b'0' + octet / 100);
                    }
                    if octet > 9 {
                        push(b'0' + octet / 10 % 10);
                    }
                    push(b'0' + octet % 10);
                }
            }
            IpAddr::V6(address) => {
                let mut left = bytes.as_mut_slice();
                // It fits, so it is written.
                let _ = write!(left, "{address}");
                length = ADDRESS_BYTES_MAX - left.len();
            }
        }
        Self { bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl Trail {
    /// Nothing is written down yet.
    pub(crate) fn begin(arrived: Instant) -> Self {
        Self {
            lap: arrived,
            route: None,
            phases: PhaseTimes::default(),
            integration_status: None,
            integration_error: None,
            upstream: None,
            attempts: 0,
            rejection: None,
            known: None,
            quota: None,
            cache: CacheOutcome::Off,
            status: 0,
            latency_us: 0,
        }
    }

    /// When the last phase ended.
    pub(crate) fn lap(&self) -> Instant {
        self.lap
    }

    /// Microseconds since the last phase ended; a phase ends here.
    pub(crate) fn lap_us(&mut self) -> Option<u64> {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.lap);
        self.lap = now;
        u64::try_from(took.as_micros()).ok()
    }

    /// Notes where a call went.
    pub(crate) fn follow(&mut self, course: &Course) {
        self.upstream = course.at();
        self.attempts = course.failed_tries().saturating_add(1);
    }

    /// Notes the route.
    pub(crate) fn routed(&mut self, routed: &Routed<'_>) {
        self.route = Some((routed.stage_index(), routed.method_index()));
    }
}

/// An id as text.
fn text(id: &[u8]) -> &str {
    std::str::from_utf8(id).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_formatter_writes_them() {
        let longest = "1234:1234:1234:1234:1234:1234:1234:1234";
        for text in
            ["0.0.0.0", "127.0.0.1", "10.99.100.255", "::1", "2001:db8::5", "::ffff:255.255.255.255", longest]
        {
            assert_eq!(AddressText::of(text.parse().unwrap()).as_str(), text);
        }
    }
}
