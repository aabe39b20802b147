//! Reads a request head that no reader could frame differently, without copying and without allocation.
//!
//! It accepts a strict subset of what [`crate::head::inspect`] accepts; everything else is [`Reading::Other`] and judged there.
//! `agreement` holds the two against each other on random heads, and `chaos fuzz http1` whole connections.

use std::mem::MaybeUninit;

pub use crate::head::Framing;
use crate::head::{is_host, is_lookalike, is_token, read_length};
use crate::limits::HEADERS_CEILING;

/// Most header lines that any head may have.
pub const FIELDS_MAX: usize = HEADERS_CEILING;

/// Room for the header lines of one head, on the stack of whoever reads it.
pub type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_CEILING];

/// Fresh room.
pub const fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_CEILING]
}

/// What stands at the start of a buffer.
#[derive(Debug)]
pub enum Reading<'b, 's> {
    /// The start of a head.
    Partial,
    /// A whole head.
    Complete(Head<'b, 's>),
    /// Not for the fast path.
    Other,
}

/// A head whose meaning is beyond doubt.
#[derive(Clone, Copy, Debug)]
pub struct Head<'b, 's> {
    /// One of the seven methods of API Gateway.
    pub method: &'b str,
    /// Path, starting with a slash.
    pub path: &'b str,
    /// Query string without the question mark.
    pub query: Option<&'b str>,
    /// Value of Host.
    pub host: &'b [u8],
    /// The header lines as they came.
    pub fields: &'s [httparse::Header<'b>],
    /// All bytes of the head.
    pub raw: &'b [u8],
    /// Where the request ends.
    pub framing: Framing,
    /// The client asks to close after the answer.
    pub close: bool,
}

/// Reads the head at the start of `bytes`.
pub fn read<'b, 's>(bytes: &'b [u8], headers_max: usize, slots: &'s mut Slots<'b>) -> Reading<'b, 's> {
    let Some(room) = slots.get_mut(..headers_max.min(HEADERS_CEILING)) else { return Reading::Other };
    let mut request = httparse::Request::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, room);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        // The parser skips line ends before a head; the general path does not wait for what comes after them.
        Ok(httparse::Status::Partial) if bytes.first().is_some_and(|byte| !is_token(*byte)) => {
            return Reading::Other;
        }
        Ok(httparse::Status::Partial) => return Reading::Partial,
        Err(_) => return Reading::Other,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version) else {
        return Reading::Other;
    };
    match complete(bytes, length, method, target, request.headers) {
        Some(head) => Reading::Complete(head),
        None => Reading::Other,
    }
}

fn complete<'b, 's>(
    bytes: &'b [u8],
    length: usize,
    method: &'b str,
    target: &'b str,
    fields: &'s [httparse::Header<'b>],
) -> Option<Head<'b, 's>> {
    let raw = bytes.get(..length)?;
    // The parser skips empty lines before a head; the general path counts them.
    let starts_at_once = method.as_ptr() == bytes.as_ptr();
    if !starts_at_once || !is_served(method) || !is_plain(target) || !ends_in_crlf(raw, fields) {
        return None;
    }
    let found = Found::among(fields)?;
    let (path, query) = match memchr::memchr(b'?', target.as_bytes()) {
        Some(mark) => (target.get(..mark)?, target.get(mark + 1..)),
        None => (target, None),
    };
    let framing = match (found.length, found.is_chunked) {
        (Some(_), true) => return None,
        (None, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => Framing::Empty,
    };
    Some(Head { method, path, query, host: found.host?, fields, raw, framing, close: found.close })
}

/// Where `part`, a slice of `raw`, begins.
pub fn offset(raw: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize)
}

/// Every line ends in CRLF: the parser takes a bare LF for the end of a line.
fn ends_in_crlf(raw: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let line_before = |name: &str| {
        let at = offset(raw, name.as_bytes());
        at.checked_sub(2).and_then(|from| raw.get(from..at)) == Some(b"\r\n")
    };
    raw.ends_with(b"\r\n\r\n") && fields.iter().all(|field| line_before(field.name))
}

fn is_served(method: &str) -> bool {
    matches!(method, "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS")
}

/// Origin form of characters that every reader takes as they are.
fn is_plain(target: &str) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0x21u8;
        while byte < 0x7f {
            plain[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.' | b'_' | b'~' | b'!' | b'$'..=b'/' | b':' | b';' | b'=' | b'?' | b'@'
                );
            byte += 1;
        }
        plain
    };
    let plain = |byte: &u8| PLAIN.get(usize::from(*byte)).copied().unwrap_or_default();
    target.starts_with('/') && target.as_bytes().iter().all(plain)
}

/// What the header lines say about framing and connection.
#[derive(Default)]
struct Found<'b> {
    host: Option<&'b [u8]>,
    length: Option<u64>,
    is_chunked: bool,
    close: bool,
    has_connection: bool,
}

impl<'b> Found<'b> {
    /// `None` for anything that needs a second look.
    fn among(fields: &[httparse::Header<'b>]) -> Option<Self> {
        let mut found = Self::default();
        for field in fields {
            found.note(field.name, field.value)?;
        }
        Some(found)
    }

    fn note(&mut self, name: &str, value: &'b [u8]) -> Option<()> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => {
                if self.host.is_some() || !is_host(value) {
                    return None;
                }
                self.host = Some(value);
            }
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            10 if is("connection") => {
                self.close = value.eq_ignore_ascii_case(b"close");
                if self.has_connection || !(self.close || value.eq_ignore_ascii_case(b"keep-alive")) {
                    return None;
                }
                self.has_connection = true;
            }
            14 if is("content-length") => {
                if self.length.is_some() {
                    return None;
                }
                self.length = Some(read_length(value).ok()?);
            }
            17 if is("transfer-encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                self.is_chunked = true;
            }
            22 if is("x-http-method-override") => return None,
            _ if is_lookalike(name) => return None,
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod agreement;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::inspect;

    /// One letter for what the fast path makes of the bytes: complete, partial, other.
    fn verdict(bytes: &[u8]) -> char {
        match read(bytes, 100, &mut slots()) {
            Reading::Complete(head) => {
                let judged = inspect(head.raw, 100).expect("the fast path took what the guard refuses");
                assert_eq!(judged.framing, head.framing, "{}", String::from_utf8_lossy(bytes));
                assert!(!judged.upgrade);
                'c'
            }
            Reading::Partial => 'p',
            Reading::Other => 'o',
        }
    }

    #[test]
    fn plain_heads_are_read_and_everything_else_is_left() {
        for (head, expect) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 'c'),
            ("GET /a/b?c=d&e=%20 HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\n\r\n", 'c'),
            ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 'c'),
            ("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 'c'),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 'c'),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", 'c'),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \t\u{e9} \r\n\r\n", 'c'),
            ("GET / HTTP/1.1\r\nHost", 'p'),
            ("G", 'p'),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\n\r\n", 'o'),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: close\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\n\r\n", 'o'),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 'o'),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 'o'),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 'o'),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 'o'),
            ("GET / HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: PUT\r\n\r\n", 'o'),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("GET /{a} HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 'o'),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 'o'),
            ("\u{16}\u{3}\u{1}", 'o'),
            ("\n", 'o'),
            ("\r\n", 'o'),
        ] {
            assert_eq!(verdict(head.as_bytes()), expect, "{head:?}");
        }
    }

    #[test]
    fn parts_stand_where_they_stood() {
        let bytes = b"PUT /a/b?x=1?y HTTP/1.1\r\nHost: h:1\r\nX-A:  v \r\n\r\nrest";
        let mut room = slots();
        let Reading::Complete(head) = read(bytes, 100, &mut room) else { panic!("not read") };
        assert_eq!(
            (head.method, head.path, head.query, head.host),
            ("PUT", "/a/b", Some("x=1?y"), &b"h:1"[..])
        );
        assert_eq!(head.raw.len(), bytes.len() - 4);
        assert_eq!(offset(head.raw, head.fields[1].name.as_bytes()), 36);
        assert_eq!(head.fields[1].value, b"v");
    }
}
