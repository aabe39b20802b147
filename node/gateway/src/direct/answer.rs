//! Answers that are known before any request comes, written out once.

use http::{HeaderMap, StatusCode};

use super::runs::push_number;

/// An answer in bytes: what stands before and after the lines that differ per request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    head: Box<[u8]>,
    body: Box<[u8]>,
}

impl Answer {
    /// Writes an answer out. Statuses without a body get neither body nor length.
    pub fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut head = Vec::with_capacity(256);
        write_status_line(status.as_u16(), &mut head);
        for (name, value) in headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        if !is_bodiless {
            head.extend_from_slice(b"Content-Length: ");
            push_number(&mut head, body.len() as u64);
            head.extend_from_slice(b"\r\n");
        }
        let body = if is_bodiless { Box::default() } else { body.into() };
        Self { status: status.as_u16(), head: head.into_boxed_slice(), body }
    }

    /// Status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Status line and header lines, without the empty line.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Appends `HTTP/1.1 status reason` with its line end.
pub fn write_status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        // Most are.
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, status.into());
    out.push(b' ');
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}
