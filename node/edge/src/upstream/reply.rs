//! Reads the head of an upstream's answer: strict where two readers could disagree on where the answer ends.
//! Pure: it is fed bytes and keeps nothing.

use std::mem::MaybeUninit;

use tidegate_listener::direct::head::{FIELDS_MAX, Fields, end_of_line, ends_in_crlf, read_lines};
use tidegate_proto::field::{Field, Known};

/// Why an answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    #[error("the upstream's answer is not HTTP/1")]
    Syntax,
    #[error("the upstream's answer has Content-Length and Transfer-Encoding, or several that differ")]
    Framing,
    #[error("the upstream switched protocols")]
    Switched,
}

/// How the body of an answer ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyFraming {
    /// No body; to HEAD the length it would have.
    Bare(Option<u64>),
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What stands at the start of a buffer.
#[derive(Debug)]
pub(crate) enum Reading<'b, 's> {
    Partial,
    /// An interim answer of this many bytes, to be skipped.
    Interim(usize),
    Complete(ReplyHead<'b, 's>),
}

/// The head of a final answer.
#[derive(Debug)]
pub(crate) struct ReplyHead<'b, 's> {
    pub(crate) status: u16,
    pub(crate) fields: &'s [Field<'b>],
    pub(crate) raw: &'b [u8],
    pub(crate) framing: ReplyFraming,
    /// Whether the connection may serve again.
    pub(crate) keep_alive: bool,
    /// Connection names other headers.
    pub(crate) nominates: bool,
}

/// Reads the head at the start of `bytes`; its lines go to `fields`. `to_head` tells that the request was HEAD.
pub(crate) fn read<'b, 's>(
    bytes: &'b [u8],
    to_head: bool,
    fields: &'s mut Fields<'b>,
) -> Result<Reading<'b, 's>, ReplyError> {
    let line = match read_status_line(bytes) {
        Some((line, end)) => read_lines(bytes, end, FIELDS_MAX, fields).map(|length| (line, length)),
        None => None,
    };
    let (StatusLine { status, is_old }, length) = match line {
        Some(read) => read,
        None => match parse(bytes, fields)? {
            Some(parsed) => parsed,
            None => return Ok(Reading::Partial),
        },
    };
    match status {
        0..=99 => return Err(ReplyError::Syntax),
        101 => return Err(ReplyError::Switched),
        100..=199 => return Ok(Reading::Interim(length)),
        _ => {}
    }
    let raw = bytes.get(..length).ok_or(ReplyError::Syntax)?;
    let found = Found::among(fields)?;
    let framing = match (found.length, found.is_chunked) {
        (Some(_), true) => return Err(ReplyError::Framing),
        (length, _) if to_head => ReplyFraming::Bare(length),
        _ if matches!(status, 204 | 304) => ReplyFraming::Bare(None),
        (None, true) => ReplyFraming::Chunked,
        (Some(length), false) => ReplyFraming::Length(length),
        (None, false) => ReplyFraming::UntilClose,
    };
    let keep_alive = !is_old && !found.close && framing != ReplyFraming::UntilClose;
    let nominates = found.nominates;
    Ok(Reading::Complete(ReplyHead { status, fields, raw, framing, keep_alive, nominates }))
}

/// What the first line of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusLine {
    status: u16,
    /// HTTP/1.0.
    is_old: bool,
}

/// A plain status line, and where the next line begins.
fn read_status_line(bytes: &[u8]) -> Option<(StatusLine, usize)> {
    let (line, rest) = bytes.split_first_chunk::<12>()?;
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', version @ (b'0' | b'1'), b' ', digits @ ..] = line else {
        return None;
    };
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(rest.first()?, b' ' | b'\r') {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    Some((StatusLine { status, is_old: *version == b'0' }, end_of_line(bytes, line.len())? + 2))
}

/// The full parser, for heads that are rare or not all there; `None` for the latter.
#[cold]
fn parse<'b>(bytes: &'b [u8], fields: &mut Fields<'b>) -> Result<Option<(StatusLine, usize)>, ReplyError> {
    fields.clear();
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut room);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReplyError::Syntax),
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(ReplyError::Syntax);
    };
    let raw = bytes.get(..length).ok_or(ReplyError::Syntax)?;
    // The parser takes a bare LF for the end of a line, and skips empty lines before a head: neither can be copied in runs.
    if !raw.starts_with(b"HTTP/") || !raw.ends_with(b"\r\n\r\n") || !ends_in_crlf(raw, response.headers) {
        return Err(ReplyError::Syntax);
    }
    fields.extend(response.headers.iter().map(|line| Field::new(line.name.as_bytes(), line.value)));
    Ok(Some((StatusLine { status, is_old: version == 0 }, length)))
}

impl ReplyHead<'_, '_> {
    /// Whether Connection names this header, and may.
    pub(crate) fn is_nominated(&self, name: &[u8]) -> bool {
        self.nominates
            && std::str::from_utf8(name)
                .is_ok_and(|name| !tidegate_gateway::is_protected(&name.to_ascii_lowercase()))
            && self
                .fields
                .iter()
                .filter(|field| field.known == Known::Connection)
                .flat_map(|field| field.value.split(|byte| *byte == b','))
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(name))
    }
}

#[derive(Default)]
struct Found {
    length: Option<u64>,
    is_chunked: bool,
    close: bool,
    nominates: bool,
}

impl Found {
    fn among(fields: &[Field<'_>]) -> Result<Self, ReplyError> {
        let mut found = Self::default();
        for Field { value, known, .. } in fields {
            match known {
                Known::Connection => found.note_connection(value),
                Known::ContentLength => {
                    let length = number(value).ok_or(ReplyError::Framing)?;
                    if found.length.is_some_and(|before| before != length) {
                        return Err(ReplyError::Framing);
                    }
                    found.length = Some(length);
                }
                Known::TransferEncoding => {
                    if found.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(ReplyError::Framing);
                    }
                    found.is_chunked = true;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn note_connection(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            return;
        }
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !token.eq_ignore_ascii_case(b"keep-alive") && !token.is_empty() {
                self.nominates = true;
            }
        }
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let is_plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_plain.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(text: &str, to_head: bool) -> String {
        match read(text.as_bytes(), to_head, &mut Fields::new()) {
            Ok(Reading::Complete(head)) => format!("{:?} {}", head.framing, head.keep_alive),
            Ok(Reading::Partial) => "partial".into(),
            Ok(Reading::Interim(length)) => format!("interim {length}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn where_an_answer_ends() {
        for (lines, expect) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Length(5) true"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "Length(5) true"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "Framing"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "Framing"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Framing"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Chunked true"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "Framing"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Framing"),
            ("HTTP/1.1 200 OK\r\n\r\n", "UntilClose false"),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "Length(5) false"),
            ("HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n", "Length(0) false"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "Bare(None) true"),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "Bare(None) true"),
            ("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", "Syntax"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1", "interim 25"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "Switched"),
            ("HTTP/1.1 200 OK\r\nContent-Le", "partial"),
            ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "Syntax"),
            ("HTTP/1.1 200 OK\r\nA: 1\nContent-Length: 5\r\n\r\n", "Syntax"),
            ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Syntax"),
            ("HTTP/2 200\r\n\r\n", "Syntax"),
            ("SSH-2.0\r\n", "Syntax"),
        ] {
            assert_eq!(framing(lines, false), expect, "{lines:?}");
        }
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true), "Bare(Some(5)) true");
    }

    /// Every byte of some answers replaced by every other byte: what is read without the parser is what it parses.
    #[test]
    fn a_plain_answer_is_read_as_it_is_parsed() {
        let (mut plain, mut all) = (0, 0);
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b  \r\n\r\nhello",
            "HTTP/1.0 404 Not Found\r\n\r\n",
            "HTTP/1.1 200\r\nServer: a rather long value, longer than one look at it\r\n\r\n",
        ] {
            for at in 0..answer.len() {
                for byte in 0..=u8::MAX {
                    let mut bytes = answer.as_bytes().to_vec();
                    bytes[at] = byte;
                    all += 1;
                    let (mut fields, mut parsed) = (Fields::new(), Fields::new());
                    if let Some((line, start)) = read_status_line(&bytes)
                        && let Some(end) = read_lines(&bytes, start, FIELDS_MAX, &mut fields)
                    {
                        plain += 1;
                        assert_eq!(parse(&bytes, &mut parsed), Ok(Some((line, end))), "{bytes:?}");
                        assert_eq!(fields, parsed);
                    }
                }
            }
        }
        assert!(plain > all / 10 && plain < all, "{plain} of {all}");
    }

    #[test]
    fn connection_names_headers_but_not_protected_ones() {
        let text =
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop, content-type\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n";
        let mut room = Fields::new();
        let Ok(Reading::Complete(head)) = read(text, false, &mut room) else { panic!("not read") };
        assert!(
            head.is_nominated(b"x-hop") && !head.is_nominated(b"Content-Type") && !head.is_nominated(b"x")
        );
    }
}
