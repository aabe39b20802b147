//! Where HTTP/1.1 messages begin and end in a stream of bytes, and how long their bodies are. Understands what the peers
//! send, refuses the rest; it judges nothing.

use crate::peers::limits::HEAD_BYTES_MAX;

/// A message that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Status of a response; 0 of a request.
    pub(crate) status: u16,
    /// Length of the body without its framing.
    pub(crate) body_bytes: usize,
}

/// Bytes that are no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    /// Longer than any head the peers send.
    #[error("a head longer than {HEAD_BYTES_MAX} bytes")]
    LongHead,
    /// A response that states no length ends with its connection, so it could be cut short unnoticed.
    #[error("a response without a length: {0}")]
    NoLength(String),
    /// A status line, length or chunk that cannot be read.
    #[error("not understood: {0}")]
    Malformed(String),
}

/// Which side of a connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Requests, which have no body when they state no length.
    Requests,
    /// Responses.
    Responses,
}

/// Reads the messages of one connection.
#[derive(Debug)]
pub(crate) struct MessageReader {
    side: Side,
    /// The beginning of a head or chunk line whose end has not arrived.
    kept: Vec<u8>,
    open: Option<(u16, usize, Body)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// So many bytes are missing.
    Sized(usize),
    /// A chunk's size line is next.
    ChunkSize,
    /// So many bytes of a chunk are missing, its line end included.
    Chunk(usize),
    /// The line after the last chunk is next.
    Trailer,
}

impl MessageReader {
    /// At the start of a connection.
    pub(crate) fn new(side: Side) -> Self {
        Self { side, kept: Vec::new(), open: None }
    }

    /// Whether a message has begun and not ended.
    #[cfg(test)]
    pub(crate) fn is_inside(&self) -> bool {
        self.open.is_some() || !self.kept.is_empty()
    }

    /// Takes the next bytes and returns how many messages ended in them, with the last of them; `each` sees every one.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Message)) -> Result<(), MessageError> {
        if self.kept.is_empty() {
            let used = self.advance(bytes, &mut each)?;
            self.kept.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.kept);
            all.extend_from_slice(bytes);
            let used = self.advance(&all, &mut each)?;
            all.drain(..used);
            self.kept = all;
        }
        match self.kept.len() > HEAD_BYTES_MAX {
            true => Err(MessageError::LongHead),
            false => Ok(()),
        }
    }

    /// Consumes what can be consumed and returns how much that was.
    fn advance(&mut self, bytes: &[u8], each: &mut impl FnMut(Message)) -> Result<usize, MessageError> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some((status, body_bytes, body)) = &mut self.open else {
                let Some(length) = head_length(rest) else { return Ok(at) };
                let (status, body) = head(&rest[..length], self.side)?;
                self.open = Some((status, 0, body));
                at += length;
                continue;
            };
            match body {
                Body::Sized(0) => {
                    each(Message { status: *status, body_bytes: *body_bytes });
                    self.open = None;
                    if at == bytes.len() {
                        return Ok(at);
                    }
                    continue;
                }
                _ if rest.is_empty() => return Ok(at),
                Body::Sized(missing) => {
                    let taken = rest.len().min(*missing);
                    *missing -= taken;
                    *body_bytes += taken;
                    at += taken;
                }
                Body::Chunk(missing) => {
                    let taken = rest.len().min(*missing);
                    // The two bytes of the line end are no part of the body.
                    *body_bytes += missing.saturating_sub(2).min(taken);
                    *missing -= taken;
                    at += taken;
                    if *missing == 0 {
                        *body = Body::ChunkSize;
                    }
                }
                Body::ChunkSize | Body::Trailer => {
                    let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(at) };
                    let line = rest[..end].trim_ascii_end();
                    *body = match (*body, line) {
                        (Body::Trailer, b"") => Body::Sized(0),
                        (Body::Trailer, _) => Body::Trailer,
                        _ => match chunk_size(line)? {
                            0 => Body::Trailer,
                            size => Body::Chunk(size + 2),
                        },
                    };
                    at += end + 1;
                }
            }
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Status and framing of a head.
fn head(head: &[u8], side: Side) -> Result<(u16, Body), MessageError> {
    let text = || String::from_utf8_lossy(&head[..head.len().min(200)]).into_owned();
    let status = match side {
        Side::Requests => 0,
        Side::Responses => head
            .strip_prefix(b"HTTP/1.")
            .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok())
            .ok_or_else(|| MessageError::Malformed(text()))?,
    };
    let (mut length, mut chunked) = (None, false);
    let mut lines = head;
    while let Some(end) = memchr::memchr(b'\n', lines) {
        let line = &lines[..end];
        lines = &lines[end + 1..];
        if let Some(value) = field(line, b"content-length:") {
            let digits = std::str::from_utf8(value.trim_ascii()).ok();
            let parsed: usize =
                digits.and_then(|d| d.parse().ok()).ok_or_else(|| MessageError::Malformed(text()))?;
            length = Some(parsed);
        } else if let Some(value) = field(line, b"transfer-encoding:") {
            chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        }
    }
    let body = match (chunked, length, side) {
        (true, _, _) => Body::ChunkSize,
        (false, Some(length), _) => Body::Sized(length),
        (false, None, Side::Requests) => Body::Sized(0),
        (false, None, Side::Responses) if status < 200 || status == 204 || status == 304 => Body::Sized(0),
        (false, None, Side::Responses) => return Err(MessageError::NoLength(text())),
    };
    Ok((status, body))
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

fn chunk_size(line: &[u8]) -> Result<usize, MessageError> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|d| usize::from_str_radix(d, 16).ok())
        .filter(|size| *size <= u32::MAX as usize)
        .ok_or_else(|| MessageError::Malformed(format!("chunk {:?}", String::from_utf8_lossy(line))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same messages come out whatever pieces the bytes arrive in.
    fn check(side: Side, bytes: &str, expect: &[(u16, usize)]) {
        for size in [1, 2, 3, 7, 64, bytes.len()] {
            let (mut reader, mut found) = (MessageReader::new(side), Vec::new());
            for piece in bytes.as_bytes().chunks(size) {
                reader.feed(piece, |m| found.push((m.status, m.body_bytes))).unwrap();
            }
            assert_eq!(found, expect, "in pieces of {size}: {bytes:?}");
            assert!(!reader.is_inside(), "in pieces of {size}: {bytes:?}");
        }
    }

    #[test]
    fn messages_have_the_length_they_state() {
        let responses = Side::Responses;
        check(responses, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", &[(200, 3)]);
        check(responses, "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", &[(200, 0)]);
        check(
            responses,
            "HTTP/1.1 429 No\r\nContent-Length: 1\r\n\r\nxHTTP/1.0 502 B\r\nContent-Length: 2\r\n\r\nxy",
            &[(429, 1), (502, 2)],
        );
        check(
            responses,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            &[(200, 15)],
        );
        check(
            Side::Requests,
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[(0, 0); 2],
        );
        check(Side::Requests, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", &[(0, 4)]);
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let refuse = |bytes: &str| {
            let mut reader = MessageReader::new(Side::Responses);
            reader.feed(bytes.as_bytes(), |m| panic!("{m:?} from {bytes:?}")).unwrap_err().to_string()
        };
        assert!(refuse("HTTP/1.1 200 OK\r\n\r\n").contains("without a length"));
        assert!(refuse("HELLO\r\n\r\n").contains("not understood"));
        assert!(refuse("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").contains("not understood"));
        assert!(
            refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").contains("not understood")
        );
        assert!(refuse(&"a".repeat(HEAD_BYTES_MAX + 1)).contains("longer"));
    }
}
