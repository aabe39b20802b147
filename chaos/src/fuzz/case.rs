//! One case: what a client sends, in which pieces, and what the upstream answers. And what can be said about it beforehand: how
//! many answers a client may wait for, by the listener's own reading of each head.

use tidegate_listener::{
    direct::ChunkScanner,
    head::{Framing, inspect},
    limits::{HEADER_BYTES_MAX, HEADERS_MAX},
};
use tidegate_proto::limits::BODY_BYTES_MAX;

/// What the upstream says when nothing else is asked of it.
pub(crate) const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Bytes for a connection, and answers for what arrives behind the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Case {
    /// What the client sends.
    pub(crate) bytes: Vec<u8>,
    /// Where the client pauses, in ascending order.
    pub(crate) cuts: Vec<usize>,
    /// The upstream's answers, one request after the other, and again from the start; none is the plain one.
    pub(crate) scripts: Vec<Script>,
}

/// What the upstream does with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// The bytes of the answer.
    pub(crate) answer: Vec<u8>,
    pub(crate) manner: Manner,
}

/// How the upstream answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Once it has read the request; closes when the answer is not exactly one.
    #[default]
    Usual,
    /// As soon as it has read the head; reads the body all the same.
    Early,
    /// Never.
    Silent,
}

/// How a client behaves once it has sent everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    /// For each answer that can be awaited, whether it is one to HEAD.
    pub(crate) heads: Vec<bool>,
    /// What comes after these answers.
    pub(crate) then: Then,
}

/// What a client does after the answers it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Asks once more, to see whether both sides agree on where they are.
    Probe,
    /// Waits for the end.
    Wait,
    /// Sends no more, and waits for the end.
    Leave,
}

impl Manners {
    /// Foresees the answers to `bytes`.
    pub(crate) fn foresee(bytes: &[u8]) -> Self {
        let (mut heads, mut rest) = (Vec::new(), bytes);
        loop {
            if rest.is_empty() {
                return Self { heads, then: Then::Probe };
            }
            if let Some(after) = rest.strip_prefix(b"\r\n") {
                rest = after;
                if rest.is_empty() {
                    return Self { heads, then: Then::Leave };
                }
            }
            let end = end_of_head(rest);
            let Some(head) = end.and_then(|end| rest.get(..end)) else {
                let then = if rest.len() > HEADER_BYTES_MAX { Then::Wait } else { Then::Leave };
                return Self { heads, then };
            };
            heads.push(head.starts_with(b"HEAD "));
            let Ok(verdict) = inspect(head, HEADERS_MAX) else { return Self { heads, then: Then::Wait } };
            let body = rest.get(head.len()..).unwrap_or_default();
            let length = match verdict.framing {
                Framing::Empty => Some(0),
                // Refused by its head alone.
                Framing::Length(length) if length > BODY_BYTES_MAX => {
                    return Self { heads, then: Then::Wait };
                }
                Framing::Length(length) => {
                    usize::try_from(length).ok().filter(|length| *length <= body.len())
                }
                Framing::Chunked => match ChunkScanner::new().decode(&mut body.to_vec()) {
                    Ok(decoded) => decoded.complete.then_some(decoded.used),
                    Err(_) => return Self { heads, then: Then::Wait },
                },
            };
            let Some(length) = length else {
                heads.pop();
                return Self { heads, then: Then::Leave };
            };
            if closes(head) {
                return Self { heads, then: Then::Wait };
            }
            rest = body.get(length..).unwrap_or_default();
        }
    }
}

/// Whether the sender of this head wants the connection to end.
fn closes(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    // A value that is no text names nothing.
    let lines =
        head.lines().filter(|line| line.is_ascii()).filter_map(|line| line.strip_prefix("connection:"));
    let mut tokens = lines.flat_map(|value| value.split(',')).map(str::trim);
    if head.lines().next().is_some_and(|line| line.ends_with("http/1.0")) {
        return !tokens.any(|token| token == "keep-alive");
    }
    tokens.any(|token| token == "close")
}

/// Where the head in `bytes` ends, however its lines do.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = |at: usize| match bytes.get(at..) {
        Some([b'\n', b'\n', ..]) => Some(at + 2),
        Some([b'\n', b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    };
    (0..bytes.len()).find_map(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_foreseen() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        for (bytes, answers, then) in [
            (get.to_owned(), 1, Then::Probe),
            (format!("{get}\r\n{post}"), 2, Then::Probe),
            (format!("{post}GET"), 1, Then::Leave),
            (format!("{post}GE(\r\n\r\n{get}"), 2, Then::Wait),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab".into(), 0, Then::Leave),
            ("GET / HTTP/1.0\r\n\r\n".into(), 1, Then::Wait),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n{get}"), 1, Then::Wait),
        ] {
            let manners = Manners::foresee(bytes.as_bytes());
            assert_eq!((manners.heads.len(), manners.then), (answers, then), "{bytes:?}");
        }
    }
}
