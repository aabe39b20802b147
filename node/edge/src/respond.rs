//! The last phase: one place where answers and rejections become bytes, where requests are metered, and where they are logged.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use tidegate_gateway::{self as gateway, Fault, Level, Rejection, Rendered, ResponseBody, Shortage};
use tidegate_telemetry::{
    access_log::{Format, Handle},
    metrics::Observation,
};

use crate::{
    body::BodyFault,
    identity::Identity,
    integrate::Answer,
    shard::Shard,
    upstream::{ReplyBody, UpstreamBody},
    visit::{Trail, Visit},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-apigw-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Where and how lines are logged.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) handle: Handle,
    pub(crate) format: std::sync::Arc<Format>,
}

/// Length of a date as HTTP writes it (RFC 9110 §5.6.7).
pub(crate) const DATE_BYTES: usize = 29;

/// The answers to rejections, written out once per shard.
pub(crate) struct Pages(Vec<(Rejection, gateway::Answer)>);

impl Pages {
    pub(crate) fn new() -> Self {
        let fault = Rejection::IntegrationFailure;
        let all = [
            Rejection::Forbidden,
            Rejection::MissingAuthenticationToken,
            Rejection::InvalidApiKey,
            Rejection::Throttled(Shortage::of(Level::Node)),
            Rejection::QuotaExceeded(Shortage::of(Level::Quota)),
            Rejection::Unauthorized,
            Rejection::IntegrationTimeout,
            fault(Fault::Network),
            fault(Fault::Answer),
            fault(Fault::Endpoint),
            fault(Fault::Loop),
            Rejection::ApiConfigurationError,
            Rejection::RequestTooLarge,
        ];
        Self(all.into_iter().map(|rejection| (rejection.clone(), page(&rejection))).collect())
    }

    /// Hands out the answer to a rejection.
    pub(crate) fn with<T>(&self, rejection: &Rejection, read: impl FnOnce(&gateway::Answer) -> T) -> T {
        match self.0.iter().find(|(known, _)| is_alike(known, rejection)) {
            Some((_, known)) => read(known),
            None => read(&page(rejection)),
        }
    }
}

/// Whether two rejections are answered alike: which limit refused is for the log.
fn is_alike(a: &Rejection, b: &Rejection) -> bool {
    let is_limit = |one: &Rejection| one.shortage().is_some();
    a == b || (is_limit(a) && std::mem::discriminant(a) == std::mem::discriminant(b))
}

fn page(rejection: &Rejection) -> gateway::Answer {
    let Rendered { status, error_type, body } = rejection.render();
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ERROR_TYPE, HeaderValue::from_static(error_type));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    gateway::Answer::new(status, &headers, &body)
}

/// Appends the header lines that every answer carries.
pub(crate) fn push_own_lines(date: &[u8; DATE_BYTES], identity: &Identity, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nx-amzn-RequestId: ");
    out.extend_from_slice(identity.ids());
    out.extend_from_slice(b"\r\n");
}

/// Turns the outcome into the response, meters it, and leaves the line of the log to the end of its body.
pub(crate) fn respond(
    shard: &Shard,
    visit: Visit,
    mut trail: Trail,
    outcome: Result<Answer, Rejection>,
) -> http::Response<Outgoing> {
    let (status, mut headers, source) = match outcome {
        Ok(answer) => answered(answer, &visit.head.method),
        Err(rejection) => {
            shard.admission.note(&rejection);
            rejected(trail.rejection.insert(rejection), visit.head.version)
        }
    };
    if let Some(budget) = &trail.quota {
        budget.write(trail.rejection.as_ref(), &mut headers);
    }
    let identity = &visit.identity;
    for (name, value) in [(REQUEST_ID, identity.request()), (EXTENDED_ID, identity.extended())] {
        if let Ok(mut value) = HeaderValue::from_bytes(value) {
            // Kept out of the compression table of HTTP/2, where a value that never comes again costs each later one a look.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    trail.status = status.as_u16();
    trail.phases.respond_us = trail.lap_us();
    let latency = trail.lap().saturating_duration_since(visit.arrived);
    trail.latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if let Some((stage, method)) = trail.route
        && let Some(meter) = visit.view.meter(stage, method)
    {
        let integration_us = trail.phases.integrate_us;
        meter.record(&Observation {
            status: trail.status,
            latency_us: trail.latency_us,
            integration_us,
            cache: trail.cache,
        });
    }
    let line = shard.log.clone().map(|log| Box::new(Line { log, visit, trail, bytes: 0 }));
    let mut response = http::Response::new(Outgoing { source, line });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn answered(mut answer: Answer, method: &Method) -> (StatusCode, HeaderMap, Source) {
    let status = answer.response.status;
    answer.keep_length_only_if(method == Method::HEAD);
    let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let source = match (answer.response.body, answer.stream) {
        _ if is_bodiless => Source::Bytes(None),
        (ResponseBody::Bytes(bytes), _) => whole(bytes, method, &mut answer.response.headers),
        (ResponseBody::Stream, Some(ReplyBody::Whole(bytes))) => {
            Source::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty()))
        }
        (ResponseBody::Stream, Some(ReplyBody::Stream(stream))) => Source::Upstream(stream),
        (ResponseBody::Stream, None) => Source::Bytes(None),
    };
    (status, answer.response.headers, source)
}

fn rejected(rejection: &Rejection, version: Version) -> (StatusCode, HeaderMap, Source) {
    let Rendered { status, error_type, body } = rejection.render();
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ERROR_TYPE, HeaderValue::from_static(error_type));
    // What is left of a body that is too large is not read.
    if *rejection == Rejection::RequestTooLarge && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    (
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers,
        Source::Bytes(Some(body)),
    )
}

/// The answer to HEAD announces the length of what GET would bring, in every version of HTTP.
fn whole(bytes: Bytes, method: &Method, headers: &mut HeaderMap) -> Source {
    if method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        return Source::Bytes(None);
    }
    Source::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// The body of a response.
pub(crate) struct Outgoing {
    source: Source,
    line: Option<Box<Line>>,
}

enum Source {
    Bytes(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
}

/// A line of the access log, written when the body has ended, however it ended.
struct Line {
    log: Rc<Log>,
    visit: Visit,
    trail: Trail,
    bytes: u64,
}

impl Drop for Line {
    fn drop(&mut self) {
        let record = self.visit.record(&self.trail, self.bytes);
        self.log.handle.write(&self.log.format, &record);
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Bytes(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Source::Upstream(body) => ready!(Pin::new(body.as_mut()).poll_frame(cx)),
        };
        if let (Some(line), Some(Ok(frame))) = (&mut this.line, &frame) {
            line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if let Some(Err(fault)) = &frame {
            tracing::debug!(%fault, "response broke off");
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(bytes) => bytes.is_none(),
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
