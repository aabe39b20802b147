//! The request mapping: what of the body is needed, and the call that comes out.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header,
    uri::{PathAndQuery, Uri},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tidegate_proto::compiled::{
    ArchivedBodyV1, ArchivedCallV1, ArchivedIntegrationV1, ArchivedPartV1, ArchivedPassthroughV1,
    ArchivedPlaceV1, ArchivedSourceV1,
};

use super::{
    Call, CallBody, Carry, Intake, Response, Step,
    headers::{self, Fate},
    mock,
    template::{self, RenderFault},
    value::{self, Sources},
};
use crate::{Admitted, Fault, Rejection, Request};

/// Bytes that a value may not bring into a path; a slash may.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// Bytes that a value may not bring into an authority.
const AUTHORITY: &AsciiSet = &PATH.add(b'/').add(b'@');
/// Bytes that a value may not bring into a query string.
const QUERY: &AsciiSet = &PATH
    .add(b'&')
    .add(b'+')
    .add(b'=')
    .add(b'/')
    .add(b':')
    .add(b'@')
    .add(b'[')
    .add(b']')
    .add(b'$')
    .add(b',')
    .add(b';');

/// How the body of the call is made.
enum Choice {
    Template(u32),
    Pass,
}

impl<'s> Admitted<'s> {
    /// What the transform needs of the body before [`Self::call`].
    ///
    /// # Errors
    /// `UnsupportedMediaType`.
    pub fn intake(&self, request: &Request<'_>) -> Result<Intake, Rejection> {
        let (call, body) = match &self.routed().method().integration {
            ArchivedIntegrationV1::Mock { request: body, .. } => (None, Some(body)),
            ArchivedIntegrationV1::HttpProxy { call } => (Some(call), None),
            ArchivedIntegrationV1::Http { call, request: body, .. } => (Some(call), Some(body)),
        };
        if let Some(body) = body
            && let Choice::Template(_) = choose(body, request)?
        {
            return Ok(Intake::Whole);
        }
        let Some(call) = call else {
            return Ok(Intake::Whole);
        };
        Ok(if call.parameters.iter().any(|mapping| value::reads_body(&mapping.source)) {
            Intake::Whole
        } else if sends_no_body(verb(call, request)) {
            Intake::Nothing
        } else {
            Intake::Stream
        })
    }

    /// Maps the request. `body` is the whole body when [`Self::intake`] asked for it.
    ///
    /// # Errors
    /// What the mapping cannot do with this request.
    pub fn call<'r>(&self, request: &Request<'r>, body: Option<&'r [u8]>) -> Result<Step<'s>, Rejection>
    where
        's: 'r,
    {
        match &self.routed().method().integration {
            ArchivedIntegrationV1::Mock { request: plan, .. } => {
                self.mock(request, plan, body).map(Step::Respond)
            }
            ArchivedIntegrationV1::HttpProxy { call } => {
                let mut draft =
                    Draft { headers: headers::proxied_to_upstream(request.headers), ..Draft::default() };
                headers::add_forwarded(&mut draft.headers, &request.facts)?;
                let client = request.query.unwrap_or_default();
                self.finish(call, request, body, draft, client)
            }
            ArchivedIntegrationV1::Http { call, request: plan, .. } => {
                let mut draft = Draft::default();
                if let Choice::Template(index) = choose(plan, request)? {
                    let rendered = template::render(
                        self.routed(),
                        request,
                        index,
                        body.unwrap_or_default(),
                        &Carry::default(),
                    )
                    .map_err(RenderFault::of_request)?;
                    draft.body = Some(Bytes::from(rendered.text));
                    draft.carry = rendered.carry;
                }
                self.finish(call, request, body, draft, "")
            }
        }
    }

    fn mock(
        &self,
        request: &Request<'_>,
        plan: &ArchivedBodyV1,
        body: Option<&[u8]>,
    ) -> Result<Response, Rejection> {
        let body = body.unwrap_or_default();
        let (text, carry) = match choose(plan, request)? {
            Choice::Template(index) => {
                let rendered = template::render(self.routed(), request, index, body, &Carry::default())
                    .map_err(RenderFault::of_request)?;
                (Cow::Owned(rendered.text), rendered.carry)
            }
            Choice::Pass => (String::from_utf8_lossy(body), Carry::default()),
        };
        let status = mock::status_code(&text).ok_or(Rejection::ApiConfigurationError)?;
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let selected = self.select(status.unwrap_or(StatusCode::OK), carry)?;
        selected.respond(request, &HeaderMap::new(), Some(Bytes::new()))
    }

    fn finish<'r>(
        &self,
        call: &'s ArchivedCallV1,
        request: &Request<'r>,
        body: Option<&'r [u8]>,
        mut draft: Draft,
        client_query: &str,
    ) -> Result<Step<'s>, Rejection>
    where
        's: 'r,
    {
        let bad_json = Rejection::BadRequestBody("Invalid JSON in request body".into());
        let sources = Sources { routed: self.routed(), request, headers: request.headers, body, bad_json };
        let values = call.parameters.iter().map(|mapping| value::values(&mapping.source, &sources));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let mut query = String::from(client_query);
        for (mapping, values) in call.parameters.iter().zip(&values).filter(|(_, values)| !values.is_empty())
        {
            match mapping.place {
                ArchivedPlaceV1::Path => {}
                ArchivedPlaceV1::Query if draft.carry.overrides_query(&mapping.name) => {}
                ArchivedPlaceV1::Query => {
                    values.iter().for_each(|value| append_pair(&mut query, &mapping.name, value))
                }
                ArchivedPlaceV1::Header => set_header(&mut draft.headers, &mapping.name, &values.join(","))?,
                ArchivedPlaceV1::ForbiddenHeader => return Err(Rejection::ApiConfigurationError),
            }
        }
        for (name, values) in draft.carry.query() {
            values.iter().for_each(|value| append_pair(&mut query, name, value));
        }
        for (name, values) in draft.carry.headers() {
            set_header(&mut draft.headers, name, &values.join(","))?;
        }
        let (tls, authority, target) = self.target(call, request, &values, &draft.carry, &query)?;
        let method = Method::from_bytes(verb(call, request).as_bytes()).map_err(|_| endpoint())?;
        self.add_defaults(&mut draft.headers, request, &authority)?;
        let body = match (draft.body, body) {
            _ if sends_no_body(method.as_str()) => CallBody::Empty,
            (Some(rendered), _) => CallBody::Bytes(rendered),
            (None, Some(whole)) => CallBody::Bytes(Bytes::copy_from_slice(whole)),
            (None, None) => CallBody::Stream,
        };
        let call = Call {
            method,
            tls,
            tls_unverified: call.tls_unverified,
            authority,
            target,
            headers: draft.headers,
            body,
            timeout_ms: call.timeout_ms.to_native(),
        };
        Ok(Step::Call(Box::new(call), draft.carry))
    }

    fn target(
        &self,
        call: &'s ArchivedCallV1,
        request: &Request<'_>,
        values: &[Vec<Cow<'_, str>>],
        carry: &Carry,
        query: &str,
    ) -> Result<(bool, Cow<'s, str>, PathAndQuery), Rejection> {
        let mut text = String::with_capacity(64 + query.len());
        for part in call.uri.iter() {
            match part {
                ArchivedPartV1::Literal(literal) => text.push_str(literal),
                ArchivedPartV1::PathParameter(index) => {
                    let value = self.routed().path_parameter(request.rest(), index.to_native());
                    push_value(&mut text, call, value.unwrap_or_default(), true);
                }
                ArchivedPartV1::Mapped(index) => {
                    let index = index.to_native() as usize;
                    let mapping = call.parameters.get(index).ok_or(Rejection::ApiConfigurationError)?;
                    let is_encoded = matches!(mapping.source, ArchivedSourceV1::Path(_));
                    match (carry.path(&mapping.name), values.get(index)) {
                        (Some(value), _) => push_value(&mut text, call, &value, false),
                        (None, Some(values)) => push_value(&mut text, call, &values.join(","), is_encoded),
                        (None, None) => {}
                    }
                }
            }
        }
        if !query.is_empty() {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(query);
        }
        if !call.authority.is_empty() {
            let target = PathAndQuery::try_from(text).map_err(|_| endpoint())?;
            return Ok((call.tls, Cow::Borrowed(call.authority.as_str()), target));
        }
        let uri = Uri::try_from(text).map_err(|_| endpoint())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(endpoint()),
        };
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(endpoint)?.as_str().to_ascii_lowercase();
        let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok((tls, Cow::Owned(authority), target))
    }

    fn add_defaults(
        &self,
        headers: &mut HeaderMap,
        request: &Request<'_>,
        authority: &str,
    ) -> Result<(), Rejection> {
        let api = self.routed().stage().api();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| endpoint());
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if !headers.contains_key(header::USER_AGENT) {
            headers.insert(header::USER_AGENT, value(&format!("AmazonAPIGateway_{api}"))?);
        }
        if let Some(kind) = request.headers.get(header::CONTENT_TYPE)
            && !sends_no_body(request.verb)
        {
            headers.entry(header::CONTENT_TYPE).or_insert_with(|| kind.clone());
        }
        headers.insert("x-amzn-trace-id", value(request.facts.trace_id)?);
        headers.insert("x-amzn-apigateway-api-id", value(api)?);
        headers.insert(header::HOST, value(authority)?);
        Ok(())
    }
}

/// A call in the making.
#[derive(Default)]
struct Draft {
    headers: HeaderMap,
    body: Option<Bytes>,
    carry: Carry,
}

fn choose(body: &ArchivedBodyV1, request: &Request<'_>) -> Result<Choice, Rejection> {
    let media = request.media_type();
    let of = |wanted: &str| {
        body.templates.iter().find(|entry| entry.0.as_str() == wanted).map(|entry| entry.1.to_native())
    };
    if let Some(index) = of(&media).or_else(|| of("$default")) {
        return Ok(Choice::Template(index));
    }
    match body.passthrough {
        ArchivedPassthroughV1::WhenNoMatch => Ok(Choice::Pass),
        ArchivedPassthroughV1::WhenNoTemplates if body.templates.is_empty() => Ok(Choice::Pass),
        ArchivedPassthroughV1::WhenNoTemplates | ArchivedPassthroughV1::Never => {
            Err(Rejection::UnsupportedMediaType)
        }
    }
}

fn verb<'r>(call: &'r ArchivedCallV1, request: &Request<'r>) -> &'r str {
    if call.verb.is_empty() { request.verb } else { &call.verb }
}

/// API Gateway sends no body with these.
pub(crate) fn sends_no_body(verb: &str) -> bool {
    matches!(verb, "GET" | "HEAD" | "OPTIONS")
}

fn set_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Rejection> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| endpoint())?;
    if headers::mapped_to_upstream(name.as_str()) == Fate::Pass {
        headers.insert(name, HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| endpoint())?);
    }
    Ok(())
}

/// Appends a value to the URI. What comes encoded stays as it is, but no value leaves the authority it was put into.
fn push_value(text: &mut String, call: &ArchivedCallV1, value: &str, is_encoded: bool) {
    let in_authority =
        call.authority.is_empty() && !text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    match (in_authority, is_encoded) {
        (true, _) => text.extend(utf8_percent_encode(value, AUTHORITY)),
        (false, true) => text.push_str(value),
        (false, false) => text.extend(utf8_percent_encode(value, PATH)),
    }
}

fn append_pair(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.extend(utf8_percent_encode(name, QUERY));
    query.push('=');
    query.extend(utf8_percent_encode(value, QUERY));
}

fn endpoint() -> Rejection {
    Rejection::IntegrationFailure(Fault::Endpoint)
}
