//! The answers the listener gives by itself: one table of status and text. Everything else is answered by the handler.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::head::HeadError;

/// Why a request is answered here, before any handler saw it. Each one closes the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The framing or syntax is not beyond doubt.
    BadRequest,
    /// The head, the request line or the time to send a body ran out.
    Timeout,
    /// An expectation other than `100-continue`.
    Expectation,
    /// The head exceeds its bytes or lines.
    HeaderTooLarge,
    /// More connections than allowed.
    Overloaded,
    /// Not HTTP/1.0, HTTP/1.1 or HTTP/2.
    Version,
}

impl Refusal {
    /// Status and body text.
    pub const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, r#"{"message":"Request Timeout"}"#),
            Self::Expectation => (StatusCode::EXPECTATION_FAILED, r#"{"message":"Expectation Failed"}"#),
            Self::HeaderTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                r#"{"message":"Request Header Fields Too Large"}"#,
            ),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, r#"{"message":"Service Unavailable"}"#),
            Self::Version => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, r#"{"message":"HTTP Version Not Supported"}"#)
            }
        }
    }

    /// The answer as a response.
    pub(crate) fn response(self) -> Response<Bytes> {
        let (status, text) = self.answer();
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// The answer as bytes, for a connection without the HTTP server; with a Date where one is at hand.
    pub fn raw(self, date: Option<&str>) -> String {
        let (status, text) = self.answer();
        let (code, length) = (status.as_u16(), text.len());
        let reason = status.canonical_reason().unwrap_or_default();
        let date = date.map(|date| format!("date: {date}\r\n")).unwrap_or_default();
        format!(
            "HTTP/1.1 {code} {reason}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n{date}\r\n{text}"
        )
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::FieldCount => Self::HeaderTooLarge,
            HeadError::Version => Self::Version,
            HeadError::Expectation => Self::Expectation,
            HeadError::LineEnd
            | HeadError::Control
            | HeadError::RequestLine
            | HeadError::Method
            | HeadError::Connect
            | HeadError::Target
            | HeadError::Field
            | HeadError::FramingConflict
            | HeadError::FramingLookalike
            | HeadError::ContentLength
            | HeadError::TransferEncoding
            | HeadError::HostMissing
            | HeadError::HostRepeated
            | HeadError::Host
            | HeadError::HostMismatch => Self::BadRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_answers_carry_their_length() {
        let raw = Refusal::Overloaded.raw(None);
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
    }
}
