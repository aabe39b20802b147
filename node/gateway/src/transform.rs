//! From an admitted request to the upstream call, and from the upstream's answer to the client's response.
//! Says what it needs of a body before it is read, so that everything else streams.

mod headers;
mod mock;
mod request;
mod response;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, uri::PathAndQuery};

pub use headers::is_protected;
#[cfg(test)]
pub(crate) use headers::proxied_to_client;
pub(crate) use headers::{Fate, Nominated, to_client, to_upstream};
pub(crate) use request::sends_no_body;
pub use template::Carry;
pub(crate) use template::{ParsedTemplate, is_json_path, parse_template};

/// What the transform needs of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Nothing; the body is not sent on either.
    Nothing,
    /// Nothing; the body goes upstream as it comes.
    Stream,
    /// The whole body, before anything else.
    Whole,
}

/// What happens after the request mapping.
#[derive(Debug)]
pub enum Step<'s> {
    /// The upstream is called; the second value goes to [`crate::Admitted::select`].
    Call(Box<Call<'s>>, Carry),
    /// The answer is known without an upstream.
    Respond(Response),
}

/// An upstream call.
#[derive(Debug)]
pub struct Call<'s> {
    /// Verb.
    pub method: Method,
    /// Whether the upstream speaks TLS.
    pub tls: bool,
    /// Whether its certificate is taken unverified.
    pub tls_unverified: bool,
    /// Host and port.
    pub authority: Cow<'s, str>,
    /// Path and query.
    pub target: PathAndQuery,
    /// Headers, Host included, framing headers not.
    pub headers: HeaderMap,
    /// Body.
    pub body: CallBody,
    /// Whole time for the call, in milliseconds.
    pub timeout_ms: u32,
}

/// Body of an upstream call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallBody {
    /// None.
    Empty,
    /// The client's body as it comes.
    Stream,
    /// These bytes.
    Bytes(Bytes),
}

/// How the upstream's answer becomes the response; chosen by its status.
#[derive(Debug)]
pub struct Selected<'s> {
    kind: response::Kind<'s>,
    status: StatusCode,
    carry: Carry,
}

/// A response to the client, without the headers that every answer carries.
#[derive(Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: ResponseBody,
}

/// Body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// The upstream's body as it comes.
    Stream,
    /// These bytes.
    Bytes(Bytes),
}
