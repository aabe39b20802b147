//! One HTTP/1 message on the wire, read strictly and independently of the code under test, and its canonical form.
//!
//! Canonical form: names of headers have no case and lines of different names no order (RFC 9110 §5.1, §5.3), so names are in
//! lower case, values without white space around them, and lines sorted by name, those of one name in the order they came. The
//! body is what it is once the framing is taken off. Names and numbers that a run draws for itself are masked by whoever knows
//! them.

use std::fmt::{self, Display, Formatter};

use super::notation;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line, or the status.
    pub(crate) line: String,
    /// Header lines in canonical form.
    pub(crate) fields: Vec<(String, String)>,
    /// Body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether it arrived as far as its framing says.
    pub(crate) is_whole: bool,
}

/// What kind of message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request.
    Request,
    /// An answer.
    Answer {
        /// The request was HEAD.
        to_head: bool,
    },
}

/// What stands at the start of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A message and its length in bytes.
    Whole(Message, usize),
    /// The beginning of a message; with its head, if that is there.
    Partial(Option<Message>),
    /// No message: why not.
    Broken(String),
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// Reads the message at the start of `bytes`; `ended` tells that nothing follows them.
pub(crate) fn read(bytes: &[u8], kind: Kind, ended: bool) -> Reading {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Reading::Partial(None);
    };
    let (head, after) = (bytes.get(..end).unwrap_or_default(), bytes.get(end + 4..).unwrap_or_default());
    let (message, framing) = match read_head(head, kind) {
        Ok(read) => read,
        Err(reason) => return Reading::Broken(reason),
    };
    let with = |body: &[u8], is_whole| Message { body: body.to_vec(), is_whole, ..message.clone() };
    match framing {
        Framing::Length(length) => match after.get(..length) {
            Some(body) => Reading::Whole(with(body, true), end + 4 + length),
            None => Reading::Partial(Some(with(after, false))),
        },
        Framing::Close if ended => Reading::Whole(with(after, true), bytes.len()),
        Framing::Close => Reading::Partial(Some(with(after, false))),
        Framing::Chunked => match unchunk(after) {
            Ok((body, Some(used))) => Reading::Whole(with(&body, true), end + 4 + used),
            Ok((body, None)) => Reading::Partial(Some(with(&body, false))),
            Err(reason) => Reading::Broken(reason),
        },
    }
}

impl Message {
    /// Value of the first line of a header.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Puts `mask` in place of the values of a header that `is_drawn` accepts.
    pub(crate) fn mask(&mut self, name: &str, mask: &str, is_drawn: impl Fn(&str) -> bool) {
        for (_, value) in self.fields.iter_mut().filter(|(known, value)| known == name && is_drawn(value)) {
            mask.clone_into(value);
        }
    }

    /// Forgets a header.
    pub(crate) fn forget(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.line.parse().unwrap_or_default()
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        for (name, value) in &self.fields {
            writeln!(f, "{name}: {value}")?;
        }
        let end = if self.is_whole { "" } else { " (cut)" };
        writeln!(f, "body of {}{end}: {}", self.body.len(), notation::line(&self.body))
    }
}

fn read_head(head: &[u8], kind: Kind) -> Result<(Message, Framing), String> {
    let text = notation::line;
    let mut lines = split_lines(head);
    let first = lines.next().unwrap_or_default();
    let mut fields = Vec::new();
    if has_line_end(first) {
        return Err(format!("a bare line end in {}", text(first)));
    }
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
        let Some((name, value)) = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
            return Err(format!("no header line: {}", text(line)));
        };
        if has_line_end(line) || name.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("a bad byte in {}", text(line)));
        }
        fields.push((text(&name.to_ascii_lowercase()), text(value.trim_ascii())));
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    let line = match kind {
        Kind::Request => text(first),
        Kind::Answer { .. } => status(first).ok_or_else(|| format!("no status line: {}", text(first)))?,
    };
    let message = Message { line, fields, body: Vec::new(), is_whole: true };
    let framing = framing(&message, kind)?;
    Ok((message, framing))
}

fn split_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(2).position(|two| two == b"\r\n");
        rest = end.and_then(|end| bytes.get(end + 2..));
        bytes.get(..end.unwrap_or(bytes.len()))
    })
}

fn has_line_end(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn status(line: &[u8]) -> Option<String> {
    let code = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let is_ended = matches!(line.get(12), None | Some(b' '));
    let is_code = is_ended && code.iter().all(u8::is_ascii_digit) && code.first() != Some(&b'0');
    is_code.then(|| notation::line(code))
}

fn framing(message: &Message, kind: Kind) -> Result<Framing, String> {
    let count = |name: &str| message.fields.iter().filter(|(known, _)| known == name).count();
    let (codings, lengths) = (count("transfer-encoding"), count("content-length"));
    let is_chunked =
        message.field("transfer-encoding").is_none_or(|value| value.eq_ignore_ascii_case("chunked"));
    if codings > 1 || lengths > 1 || (codings == 1 && lengths == 1) || !is_chunked {
        return Err(format!("no one framing: {:?}", message.fields));
    }
    let length = message.field("content-length").map(str::parse::<usize>).transpose();
    let length = length.map_err(|_| format!("no length: {:?}", message.fields))?;
    let status = message.status();
    let is_bare =
        matches!(kind, Kind::Answer { to_head } if to_head || matches!(status, 100..=199 | 204 | 304));
    Ok(match (codings, length) {
        _ if is_bare => Framing::Length(0),
        (1, _) => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        _ if kind == Kind::Request => Framing::Length(0),
        _ => Framing::Close,
    })
}

/// The data of a chunked body, and its length with the chunks' lines if it is whole.
fn unchunk(bytes: &[u8]) -> Result<(Vec<u8>, Option<usize>), String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok((body, None)) };
        let digits = rest.get(..end).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        let size = size.ok_or_else(|| format!("no chunk size: {digits:?}"))?;
        let data = rest.get(end + 2..).unwrap_or_default();
        let Some(after) = data.get(size..) else {
            body.extend_from_slice(data);
            return Ok((body, None));
        };
        body.extend_from_slice(data.get(..size).unwrap_or_default());
        match after {
            [b'\r', b'\n', ..] => at += end + 2 + size + 2,
            _ if after.len() < 2 => return Ok((body, None)),
            _ => return Err("a chunk does not end where it says".into()),
        }
        if size == 0 {
            return Ok((body, Some(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &str, kind: Kind) -> String {
        match read(bytes.as_bytes(), kind, false) {
            Reading::Whole(message, used) => format!("{used} {message}"),
            Reading::Partial(head) => format!("partial {}", head.is_some()),
            Reading::Broken(_) => "broken".into(),
        }
    }

    #[test]
    fn messages_in_canonical_form() {
        let answer = Kind::Answer { to_head: false };
        for (bytes, kind, expect) in [
            (
                "GET / HTTP/1.1\r\nB:2\r\na: 1 \r\nb: 1\r\n\r\nGET",
                Kind::Request,
                "36 GET / HTTP/1.1\na: 1\nb: 2\nb: 1\nbody of 0: \n",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nH",
                answer,
                "60 200\ntransfer-encoding: chunked\nbody of 3: abc\n",
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", answer, "partial true"),
            ("HTTP/1.1 204 No Content\r\n\r\n", answer, "27 204\nbody of 0: \n"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                Kind::Answer { to_head: true },
                "38 200\ncontent-length: 3\nbody of 0: \n",
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", answer, "broken"),
            ("HTTP/1.1 099 OK\r\n\r\n", answer, "broken"),
            ("GET / HTTP/1.1\r\na : 1\r\n\r\n", Kind::Request, "broken"),
            ("GET / HTTP/1.1\r\na: 1\nb: 2\r\n\r\n", Kind::Request, "broken"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", Kind::Request, "broken"),
            ("GET / HTTP/1.1\r\n", Kind::Request, "partial false"),
        ] {
            assert_eq!(said(bytes, kind), expect, "{bytes:?}");
        }
    }
}
