//! What a control call is answered with, before it becomes HTTP. Owns the success shapes; must never decide anything.

use serde::Serialize;
use serde_json::Value;

/// A successful answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The payload.
    pub body: Body,
    /// Further headers, lower-case names.
    pub headers: Vec<(&'static str, String)>,
}

/// The payload of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// No payload and no content type.
    Empty,
    /// A JSON document.
    Json(Value),
    /// Bytes of another type.
    Raw {
        /// Media type.
        content_type: &'static str,
        /// The payload.
        bytes: Vec<u8>,
    },
}

impl Answer {
    /// 200 with a document.
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body: Body::Json(body), headers: Vec::new() }
    }

    /// 201 with a document.
    pub(crate) fn created(body: Value) -> Self {
        Self { status: 201, ..Self::ok(body) }
    }

    /// 202 without payload: how v1 deletes most things.
    pub(crate) fn accepted() -> Self {
        Self { status: 202, body: Body::Empty, headers: Vec::new() }
    }

    /// 204 without payload: how v1 deletes what belongs to a method.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, ..Self::accepted() }
    }

    /// 200 with bytes.
    pub(crate) fn raw(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, body: Body::Raw { content_type, bytes }, headers: Vec::new() }
    }
}

/// A document as JSON; the documents of this crate have string keys only, so this cannot fail.
pub(crate) fn print(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}
