//! From a request head straight to the head of the upstream call.

use http::{HeaderMap, HeaderValue};
use tidegate_proto::{
    compiled::{ArchivedCallV1, ArchivedIntegrationV1, ArchivedPartV1, ArchivedSourceV1},
    field::Known,
};

use super::{
    NotDirect, RawHead,
    runs::{Runs, push_number},
};
use crate::{
    Routed,
    transform::{Fate, Nominated, sends_no_body, to_upstream},
};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A call that needs nothing but the head.
#[derive(Clone, Copy)]
pub struct Forward<'s> {
    routed: Routed<'s>,
    call: &'s ArchivedCallV1,
}

/// Whom the gateway speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'r> {
    /// Address of the caller.
    pub source_ip: &'r str,
    /// `http` or `https`, as the client spoke it.
    pub scheme: &'r str,
    /// Port the client connected to.
    pub port: u16,
    /// Value of `X-Amzn-Trace-Id`, kept or generated.
    pub trace_id: &'r [u8],
}

/// What the client's header lines held.
#[derive(Default)]
struct Seen<'r> {
    /// The first line of those who forwarded before.
    forwarded: Option<&'r [u8]>,
    forwarded_more: bool,
    accept: bool,
    user_agent: bool,
}

impl<'r> Seen<'r> {
    fn note_forwarded(&mut self, value: &'r [u8]) {
        if is_visible(value) {
            self.forwarded_more |= self.forwarded.replace(value).is_some();
        }
    }
}

impl<'s> Forward<'s> {
    pub(super) fn of(routed: Routed<'s>) -> Option<Self> {
        match &routed.method().integration {
            ArchivedIntegrationV1::HttpProxy { call } => Some(Self { routed, call }),
            ArchivedIntegrationV1::Http { .. } | ArchivedIntegrationV1::Mock { .. } => None,
        }
    }

    /// Whole time for the call, in milliseconds.
    pub fn timeout_ms(&self) -> u32 {
        self.call.timeout_ms.to_native()
    }

    /// The verb that is sent when the client's is `verb`.
    pub fn verb<'r>(&self, verb: &'r str) -> &'r str
    where
        's: 'r,
    {
        if self.call.verb.is_empty() { verb } else { &self.call.verb }
    }

    /// Whether the client's body stays behind.
    pub(super) fn sends_no_body(&self, verb: &str) -> bool {
        sends_no_body(if self.call.verb.is_empty() { verb } else { &self.call.verb })
    }

    /// Writes the head of the call, all but the framing lines and the empty line.
    ///
    /// # Errors
    /// [`NotDirect`]; `out` is then to be thrown away.
    pub fn write(&self, head: &RawHead<'_>, sender: &Sender<'_>, out: &mut Vec<u8>) -> Result<(), NotDirect> {
        self.write_start(head, out)?;
        let seen = copy_fields(head, out)?;
        let before = head.fields.iter().filter(|field| field.known == Known::ForwardedFor);
        let before = before.map(|field| field.value);
        self.write_own(before, &seen, sender, out);
        Ok(())
    }

    /// The same from headers that were read into a map.
    ///
    /// # Errors
    /// [`NotDirect`]; `out` is then to be thrown away.
    pub fn write_map(
        &self,
        head: &RawHead<'_>,
        headers: &HeaderMap,
        sender: &Sender<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), NotDirect> {
        self.write_start(head, out)?;
        let mut seen = Seen::default();
        let nominated = Nominated::of(headers);
        for (name, value) in headers {
            let lower = name.as_str().as_bytes();
            match Known::of(lower) {
                Known::ForwardedFor => seen.note_forwarded(value.as_bytes()),
                Known::ForwardedProto | Known::ForwardedPort => {}
                known if to_upstream(known) != Fate::Pass || nominated.contains(name) => {}
                known => {
                    seen.accept |= known == Known::Accept;
                    seen.user_agent |= known == Known::UserAgent;
                    out.extend_from_slice(lower);
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        let before = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        self.write_own(before, &seen, sender, out);
        Ok(())
    }

    /// The request line and Host.
    fn write_start(&self, head: &RawHead<'_>, out: &mut Vec<u8>) -> Result<(), NotDirect> {
        out.extend_from_slice(self.verb(head.verb).as_bytes());
        out.push(b' ');
        self.write_target(head, out)?;
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.call.authority.as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn write_target(&self, head: &RawHead<'_>, out: &mut Vec<u8>) -> Result<(), NotDirect> {
        for part in self.call.uri.iter() {
            let index = match part {
                ArchivedPartV1::Literal(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                ArchivedPartV1::PathParameter(index) => index.to_native(),
                ArchivedPartV1::Mapped(index) => {
                    let mapping = self.call.parameters.get(index.to_native() as usize).ok_or(NotDirect)?;
                    let ArchivedSourceV1::Path(index) = &mapping.source else { return Err(NotDirect) };
                    index.to_native()
                }
            };
            let value = self.routed.path_parameter(head.rest, index).unwrap_or_default();
            out.extend_from_slice(value.as_bytes());
        }
        if let Some(query) = head.query.filter(|query| !query.is_empty()) {
            let has_query = self.call.uri.iter().any(|part| match part {
                ArchivedPartV1::Literal(text) => text.contains('?'),
                ArchivedPartV1::PathParameter(_) | ArchivedPartV1::Mapped(_) => false,
            });
            out.push(if has_query { b'&' } else { b'?' });
            out.extend_from_slice(query.as_bytes());
        }
        Ok(())
    }

    /// The lines that the gateway itself is answerable for; `before` are those who forwarded.
    fn write_own<'b>(
        &self,
        before: impl Iterator<Item = &'b [u8]>,
        seen: &Seen<'_>,
        sender: &Sender<'_>,
        out: &mut Vec<u8>,
    ) {
        let api = self.routed.stage().api().as_bytes();
        if !seen.accept {
            out.extend_from_slice(b"Accept: application/json\r\n");
        }
        if !seen.user_agent {
            out.extend_from_slice(b"User-Agent: AmazonAPIGateway_");
            out.extend_from_slice(api);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"X-Forwarded-For: ");
        let mut push = |value: &[u8]| {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        };
        match seen.forwarded {
            None => {}
            Some(value) if !seen.forwarded_more => push(value),
            Some(_) => before.filter(|value| is_visible(value)).for_each(push),
        }
        out.extend_from_slice(sender.source_ip.as_bytes());
        out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
        out.extend_from_slice(sender.scheme.as_bytes());
        out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
        push_number(out, sender.port.into());
        out.extend_from_slice(b"\r\nX-Amzn-Trace-Id: ");
        out.extend_from_slice(sender.trace_id);
        out.extend_from_slice(b"\r\nx-amzn-apigateway-api-id: ");
        out.extend_from_slice(api);
        out.extend_from_slice(b"\r\n");
    }
}

/// Copies what crosses, and notes what decides about the gateway's own lines.
fn copy_fields<'r>(head: &RawHead<'r>, out: &mut Vec<u8>) -> Result<Seen<'r>, NotDirect> {
    let mut seen = Seen::default();
    let mut runs = Runs::begin(head.raw, head.fields, out);
    for (index, field) in head.fields.iter().enumerate() {
        match field.known {
            Known::Accept => seen.accept = true,
            Known::UserAgent => seen.user_agent = true,
            Known::ForwardedFor => {
                seen.note_forwarded(field.value);
                runs.skip(index)?;
            }
            Known::ForwardedProto | Known::ForwardedPort => runs.skip(index)?,
            known => match to_upstream(known) {
                Fate::Pass => {}
                Fate::Drop | Fate::Remap => runs.skip(index)?,
            },
        }
    }
    runs.finish()?;
    Ok(seen)
}

/// As [`http::HeaderValue::to_str`] sees it: a value with other bytes names nobody.
fn is_visible(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
}
