//! The response mapping: which integration response applies, and the client's response that comes out.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tidegate_proto::compiled::{ArchivedIntegrationV1, ArchivedResponseV1, NONE};

use super::{
    Carry, Response, ResponseBody, Selected,
    headers::{self, Fate},
    template,
    value::{self, Sources},
};
use crate::{Admitted, Rejection, Request, Routed, request::media_type};

/// How an answer is mapped.
#[derive(Debug)]
pub(super) enum Kind<'s> {
    /// Passed through.
    Proxy,
    /// By an integration response.
    Mapped(Mapped<'s>),
}

#[derive(Clone, Copy)]
pub(super) struct Mapped<'s> {
    routed: Routed<'s>,
    response: &'s ArchivedResponseV1,
    /// Whether an upstream was called.
    called: bool,
}

impl std::fmt::Debug for Mapped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped").field("status", &self.response.status).finish_non_exhaustive()
    }
}

impl<'s> Admitted<'s> {
    /// Chooses the integration response for an upstream status.
    ///
    /// # Errors
    /// `ApiConfigurationError` when none matches and there is no default.
    pub fn select(&self, status: StatusCode, carry: Carry) -> Result<Selected<'s>, Rejection> {
        let routed = *self.routed();
        let (responses, called) = match &routed.method().integration {
            ArchivedIntegrationV1::HttpProxy { .. } => {
                return Ok(Selected { kind: Kind::Proxy, status, carry });
            }
            ArchivedIntegrationV1::Http { responses, .. } => (responses, true),
            ArchivedIntegrationV1::Mock { responses, .. } => (responses, false),
        };
        let stage = routed.stage();
        let response = responses
            .iter()
            .find(|response| {
                response.pattern == NONE || stage.matches(response.pattern.to_native(), status.as_u16())
            })
            .ok_or(Rejection::ApiConfigurationError)?;
        Ok(Selected { kind: Kind::Mapped(Mapped { routed, response, called }), status, carry })
    }
}

impl Selected<'_> {
    /// Whether the upstream's whole body is needed before [`Self::respond`].
    pub fn needs_body(&self, request: &Request<'_>) -> bool {
        match &self.kind {
            Kind::Proxy => false,
            Kind::Mapped(mapped) => {
                mapped.template(request).is_some_and(|(_, index)| index != NONE)
                    || mapped.response.parameters.iter().any(|mapping| value::reads_body(&mapping.source))
            }
        }
    }

    /// Maps the upstream's answer; `body` is the whole body when [`Self::needs_body`] asked for it.
    ///
    /// # Errors
    /// What the mapping cannot do with this answer.
    pub fn respond(
        self,
        request: &Request<'_>,
        headers: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Rejection> {
        match self.kind {
            Kind::Proxy => {
                let headers = headers::proxied_to_client(headers);
                Ok(Response { status: self.status, headers, body: passed(body) })
            }
            Kind::Mapped(mapped) => mapped.respond(request, self.carry, headers, body),
        }
    }
}

impl Mapped<'_> {
    fn respond(
        &self,
        request: &Request<'_>,
        mut carry: Carry,
        from: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Rejection> {
        let mut headers = HeaderMap::with_capacity(self.response.parameters.len() + 8);
        let bytes = body.as_deref();
        let sources = Sources {
            routed: &self.routed,
            request,
            headers: from,
            body: bytes,
            bad_json: Rejection::ApiConfigurationError,
        };
        for mapping in self.response.parameters.iter() {
            let values = value::values(&mapping.source, &sources)?;
            if !values.is_empty() {
                add_header(&mut headers, &mapping.name, &values.join(","))?;
            }
        }
        let mut out = passed(body.clone());
        if let Some((media, index)) = self.template(request)
            && index != NONE
        {
            let rendered = template::render(&self.routed, request, index, bytes.unwrap_or_default(), &carry)
                .map_err(|_| Rejection::ApiConfigurationError)?;
            out = ResponseBody::Bytes(Bytes::from(rendered.text));
            carry = rendered.carry;
            if media != "$default" && !headers.contains_key(header::CONTENT_TYPE) {
                add_header(&mut headers, header::CONTENT_TYPE.as_str(), media)?;
            }
        }
        for (name, values) in carry.response_headers() {
            headers.remove(name);
            values.iter().try_for_each(|value| add_header(&mut headers, name, value))?;
        }
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        if self.called
            && let Ok(value) = HeaderValue::from_str(request.facts.trace_id)
        {
            headers.insert("x-amzn-trace-id", value);
        }
        let status = carry.status().unwrap_or(self.response.status.to_native());
        let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        let status = status.ok_or(Rejection::ApiConfigurationError)?;
        Ok(Response { status, headers, body: out })
    }

    /// The template by Accept, then JSON, then the first: its media type and index.
    fn template(&self, request: &Request<'_>) -> Option<(&str, u32)> {
        let templates = &self.response.templates;
        let of = |wanted: &str| templates.iter().find(|entry| entry.0.as_str() == wanted);
        let accept = request.header("accept").map(|value| media_type(&value));
        let entry = accept
            .and_then(|accept| of(&accept))
            .or_else(|| of("application/json"))
            .or_else(|| templates.first())?;
        Some((entry.0.as_str(), entry.1.to_native()))
    }
}

fn passed(body: Option<Bytes>) -> ResponseBody {
    body.map_or(ResponseBody::Stream, ResponseBody::Bytes)
}

fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Rejection> {
    let broken = |_| Rejection::ApiConfigurationError;
    let value =
        HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| Rejection::ApiConfigurationError)?;
    match headers::mapped_to_client(&name.to_ascii_lowercase()) {
        Fate::Drop => {}
        Fate::Remap => headers::remap(headers, name, value),
        Fate::Pass => _ = headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(broken)?, value),
    }
    Ok(())
}
