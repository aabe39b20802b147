//! Reads a request head that no reader could frame differently, without copying and without allocation.
//!
//! It accepts a strict subset of what [`crate::head::inspect`] accepts; everything else is [`Reading::Other`] and judged there.
//! `agreement` holds the two against each other on random heads, and `chaos fuzz http1` whole connections.

use std::mem::MaybeUninit;

use arrayvec::ArrayVec;
use tidegate_proto::field::{Field, Known};

pub use crate::head::Framing;
use crate::head::{is_host, is_lookalike, is_token, read_length};
use crate::limits::HEADERS_CEILING;

mod lines;

pub use lines::{end_of_line, read_lines};

/// The methods of API Gateway, the usual ones first; none is the beginning of another.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// The header lines of one head, on the stack of whoever reads it.
pub type Fields<'b> = ArrayVec<Field<'b>, FIELDS_MAX>;

/// Most header lines that any head may have.
pub const FIELDS_MAX: usize = HEADERS_CEILING;

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
    pub fields: &'s [Field<'b>],
    /// All bytes of the head.
    pub raw: &'b [u8],
    /// Where the request ends.
    pub framing: Framing,
    /// The client asks to close after the answer.
    pub close: bool,
}

/// Reads the head at the start of `bytes`; its lines go to `fields`.
pub fn read<'b, 's>(bytes: &'b [u8], headers_max: usize, fields: &'s mut Fields<'b>) -> Reading<'b, 's> {
    let fields_max = headers_max.min(HEADERS_CEILING);
    let line = match read_request_line(bytes) {
        Some((line, end)) => read_lines(bytes, end, fields_max, fields).map(|length| (line, length)),
        None => None,
    };
    let (line, length) = match line {
        Some(read) => read,
        None => match parse(bytes, fields_max, fields) {
            Parsed::Complete(line, length) => (line, length),
            Parsed::Partial => return Reading::Partial,
            Parsed::Other => return Reading::Other,
        },
    };
    match complete(bytes, length, line, fields) {
        Some(head) => Reading::Complete(head),
        None => Reading::Other,
    }
}

/// The parts of a request line that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RequestLine<'b> {
    method: &'static str,
    path: &'b str,
    query: Option<&'b str>,
}

/// What the parser makes of a head.
enum Parsed<'b> {
    Partial,
    Complete(RequestLine<'b>, usize),
    Other,
}

/// A plain request line, and where the next one begins.
fn read_request_line(bytes: &[u8]) -> Option<(RequestLine<'_>, usize)> {
    let method = METHODS.into_iter().find(|method| bytes.starts_with(method.as_bytes()))?;
    let rest = bytes.get(method.len()..)?.strip_prefix(b" ")?;
    let end = rest.iter().position(|byte| !is_plain(*byte))?;
    let (target, rest) = rest.split_at_checked(end)?;
    let line = RequestLine::new(method, std::str::from_utf8(target).ok()?)?;
    const VERSION: &[u8] = b" HTTP/1.1\r\n";
    rest.starts_with(VERSION).then_some((line, method.len() + 1 + end + VERSION.len()))
}

impl<'b> RequestLine<'b> {
    /// `None` for a target that is not in origin form.
    fn new(method: &'static str, target: &'b str) -> Option<Self> {
        if !target.starts_with('/') {
            return None;
        }
        let (path, query) = match memchr::memchr(b'?', target.as_bytes()) {
            Some(mark) => (target.get(..mark)?, target.get(mark + 1..)),
            None => (target, None),
        };
        Some(Self { method, path, query })
    }
}

/// The full parser, for heads that are rare or not all there.
#[cold]
fn parse<'b>(bytes: &'b [u8], fields_max: usize, fields: &mut Fields<'b>) -> Parsed<'b> {
    fields.clear();
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_CEILING];
    let Some(room) = room.get_mut(..fields_max) else { return Parsed::Other };
    let mut request = httparse::Request::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, room);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        // The parser skips line ends before a head; the general path does not wait for what comes after them.
        Ok(httparse::Status::Partial) if bytes.first().is_some_and(|byte| !is_token(*byte)) => {
            return Parsed::Other;
        }
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Other,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version) else {
        return Parsed::Other;
    };
    // The parser skips empty lines before a head; the general path counts them.
    let starts_at_once = method.as_ptr() == bytes.as_ptr();
    let ends_in_crlf = bytes.get(..length).is_some_and(|raw| ends_in_crlf(raw, request.headers));
    if !starts_at_once || !ends_in_crlf || !target.bytes().all(is_plain) {
        return Parsed::Other;
    }
    let line = served(method).and_then(|method| RequestLine::new(method, target));
    fields.extend(request.headers.iter().map(|line| Field::new(line.name.as_bytes(), line.value)));
    line.map_or(Parsed::Other, |line| Parsed::Complete(line, length))
}

fn complete<'b, 's>(
    bytes: &'b [u8],
    length: usize,
    line: RequestLine<'b>,
    fields: &'s [Field<'b>],
) -> Option<Head<'b, 's>> {
    let raw = bytes.get(..length)?;
    let RequestLine { method, path, query } = line;
    let found = Found::among(fields)?;
    let framing = match (found.length, found.is_chunked) {
        (Some(_), true) => return None,
        (None, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => Framing::Empty,
    };
    Some(Head { method, path, query, host: found.host?, fields, raw, framing, close: found.close })
}

/// Whether every line ends in CRLF: the parser takes a bare LF for the end of a line. `fields` are slices of `raw`.
pub fn ends_in_crlf(raw: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let line_before = |name: &str| {
        let at = offset(raw, name.as_bytes());
        at.checked_sub(2).and_then(|from| raw.get(from..at)) == Some(b"\r\n")
    };
    raw.ends_with(b"\r\n\r\n") && fields.iter().all(|field| line_before(field.name))
}

/// Where `part`, a slice of `raw`, begins.
fn offset(raw: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize)
}

/// The methods of API Gateway.
fn served(method: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|served| *served == method)
}

/// Characters of a target that every reader takes as they are.
fn is_plain(byte: u8) -> bool {
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
    PLAIN.get(usize::from(byte)).copied().unwrap_or_default()
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
    fn among(fields: &[Field<'b>]) -> Option<Self> {
        let mut found = Self::default();
        for field in fields {
            found.note(field)?;
        }
        Some(found)
    }

    fn note(&mut self, field: &Field<'b>) -> Option<()> {
        let value = field.value;
        match field.known {
            Known::Host => {
                if self.host.is_some() || !is_host(value) {
                    return None;
                }
                self.host = Some(value);
            }
            Known::Connection => {
                self.close = value.eq_ignore_ascii_case(b"close");
                if self.has_connection || !(self.close || value.eq_ignore_ascii_case(b"keep-alive")) {
                    return None;
                }
                self.has_connection = true;
            }
            Known::ContentLength => {
                if self.length.is_some() {
                    return None;
                }
                self.length = Some(read_length(value).ok()?);
            }
            Known::TransferEncoding => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                self.is_chunked = true;
            }
            Known::Expect | Known::Upgrade | Known::MethodOverride => return None,
            Known::Other if is_lookalike(field.name) => return None,
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
        match read(bytes, 100, &mut Fields::new()) {
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
        let mut room = Fields::new();
        let Reading::Complete(head) = read(bytes, 100, &mut room) else { panic!("not read") };
        assert_eq!(
            (head.method, head.path, head.query, head.host),
            ("PUT", "/a/b", Some("x=1?y"), &b"h:1"[..])
        );
        assert_eq!(head.raw.len(), bytes.len() - 4);
        assert_eq!(offset(head.raw, head.fields[1].name), 36);
        assert_eq!(head.fields[1].value, b"v");
    }
}
