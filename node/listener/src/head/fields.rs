//! The header lines that decide where a request ends and whom it is for: Content-Length, Transfer-Encoding, Host, Expect.
//! Other headers pass unread.

use http::Version;

use super::{Framing, HeadError, HeadVerdict, RequestLine, target};

/// Judges the header lines of one head.
pub(super) fn judge(
    line: &RequestLine<'_>,
    headers: &[httparse::Header<'_>],
) -> Result<HeadVerdict, HeadError> {
    let mut found = Found::default();
    for header in headers {
        found.note(header.name, header.value)?;
    }
    let host = match (found.host, line.version) {
        (None, Version::HTTP_10) => None,
        (None, _) => return Err(HeadError::HostMissing),
        (Some(host), _) => Some(host),
    };
    if let (Some(host), Some(authority)) = (host, line.authority)
        && !host.eq_ignore_ascii_case(authority)
    {
        return Err(HeadError::HostMismatch);
    }
    let framing = match (found.length, found.chunked) {
        (Some(_), true) => return Err(HeadError::FramingConflict),
        (None, true) if line.version == Version::HTTP_10 => return Err(HeadError::TransferEncoding),
        (None, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => Framing::Empty,
    };
    Ok(HeadVerdict { version: line.version, framing, upgrade: found.upgrade })
}

/// A decimal length without sign, list, padding or leading zero (some upstreams read a leading zero as octal).
pub(crate) fn read_length(value: &[u8]) -> Result<u64, HeadError> {
    let plain = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !plain {
        return Err(HeadError::ContentLength);
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|&length| length <= i64::MAX as u64)
        .ok_or(HeadError::ContentLength)
}

/// True for a name that equals a framing header once everything but letters is dropped, and is not that header.
pub(crate) fn is_lookalike(name: &[u8]) -> bool {
    const FRAMING: [(&str, &str); 2] =
        [("content-length", "contentlength"), ("transfer-encoding", "transferencoding")];
    if !name.iter().find(|byte| byte.is_ascii_alphabetic()).is_some_and(|first| b"cCtT".contains(first)) {
        return false;
    }
    let letters = || name.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase);
    FRAMING
        .iter()
        .any(|(framing, bare)| letters().eq(bare.bytes()) && !name.eq_ignore_ascii_case(framing.as_bytes()))
}

#[derive(Default)]
struct Found<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    coded: bool,
    expected: bool,
    upgrade: bool,
}

impl<'a> Found<'a> {
    fn note(&mut self, name: &str, value: &'a [u8]) -> Result<(), HeadError> {
        if name.is_empty() {
            return Err(HeadError::Field);
        }
        if name.eq_ignore_ascii_case("host") {
            return self.note_host(value);
        }
        if name.eq_ignore_ascii_case("content-length") {
            if self.length.is_some() {
                return Err(HeadError::ContentLength);
            }
            self.length = Some(read_length(value)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if self.coded || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(if self.length.is_some() {
                    HeadError::FramingConflict
                } else {
                    HeadError::TransferEncoding
                });
            }
            (self.coded, self.chunked) = (true, true);
        } else if name.eq_ignore_ascii_case("expect") {
            if self.expected || !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(HeadError::Expectation);
            }
            self.expected = true;
        } else if name.eq_ignore_ascii_case("upgrade") {
            self.upgrade = true;
        } else if is_lookalike(name.as_bytes()) {
            return Err(HeadError::FramingLookalike);
        }
        Ok(())
    }

    fn note_host(&mut self, value: &'a [u8]) -> Result<(), HeadError> {
        if self.host.is_some() {
            return Err(HeadError::HostRepeated);
        }
        if !target::is_host(value) {
            return Err(HeadError::Host);
        }
        self.host = Some(value);
        Ok(())
    }
}
