//! The strict reading of one request head, before any other parser may interpret it.
//!
//! Two parsers that disagree on where a request ends are what request smuggling is made of. This file accepts a head only
//! when every reader must agree on its framing, and refuses everything that RFC 9112 lets a recipient repair. It is a pure
//! function of the bytes: no IO, no clock, no state. It never rewrites a head.

mod fields;
mod multiplexed;
mod target;

use std::mem::MaybeUninit;

use http::Version;
use thiserror::Error;

use crate::limits::{HEADERS_CEILING, METHOD_BYTES_MAX};

pub(crate) use fields::{is_lookalike, read_length};
pub use multiplexed::inspect_multiplexed;
pub(crate) use target::is_host;

/// How the body of an accepted request is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// No body: neither Content-Length nor Transfer-Encoding.
    Empty,
    /// Exactly this many bytes follow the head.
    Length(u64),
    /// One `chunked` coding.
    Chunked,
}

/// What an accepted head says about the bytes after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadVerdict {
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// Where the request ends.
    pub framing: Framing,
    /// The request asks to leave HTTP (an `Upgrade` line is present), so what follows may not be HTTP at all.
    pub upgrade: bool,
}

/// Why a head is refused. Each variant is one rule.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeadError {
    /// A line ends in a bare LF, or a CR stands alone (RFC 9112 §2.2 lets recipients differ).
    #[error("a line does not end in CRLF")]
    LineEnd,
    /// NUL or another control character.
    #[error("control character in the head")]
    Control,
    /// Not `method SP target SP version`.
    #[error("malformed request line")]
    RequestLine,
    /// The method is not a token, or too long.
    #[error("invalid method")]
    Method,
    /// CONNECT: a gateway is no tunnel.
    #[error("CONNECT is not served")]
    Connect,
    /// The target has a fragment, a raw space, a backslash, a non-ASCII byte or an unknown form.
    #[error("invalid request target")]
    Target,
    /// A well-formed version other than HTTP/1.0 and HTTP/1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// A header line is not `name: value`: space before the colon, folding, an empty name.
    #[error("malformed header line")]
    Field,
    /// More header lines than allowed.
    #[error("too many header lines")]
    FieldCount,
    /// Content-Length and Transfer-Encoding together.
    #[error("Content-Length and Transfer-Encoding together")]
    FramingConflict,
    /// A framing header in disguise, such as `Content_Length`.
    #[error("header name imitates a framing header")]
    FramingLookalike,
    /// Repeated, listed, signed, padded or empty Content-Length.
    #[error("invalid Content-Length")]
    ContentLength,
    /// Anything but exactly one `chunked`, or any coding in HTTP/1.0.
    #[error("invalid Transfer-Encoding")]
    TransferEncoding,
    /// HTTP/1.1 without Host (RFC 9112 §3.2).
    #[error("missing Host")]
    HostMissing,
    /// More than one Host.
    #[error("repeated Host")]
    HostRepeated,
    /// Host is not `name[:port]`.
    #[error("invalid Host")]
    Host,
    /// The authority of an absolute target differs from Host.
    #[error("Host differs from the target's authority")]
    HostMismatch,
    /// Repeated Expect, or anything but `100-continue` (RFC 9110 §10.1.1).
    #[error("unknown expectation")]
    Expectation,
}

/// Judges one complete HTTP/1 head, `head` reaching up to and including the empty line that closes it.
///
/// # Errors
/// The first [`HeadError`] found; the connection must then be closed, because the end of the request is unknown.
pub fn inspect(head: &[u8], headers_max: usize) -> Result<HeadVerdict, HeadError> {
    check_bytes(head)?;
    let (line, _) = split_line(head).ok_or(HeadError::RequestLine)?;
    let request_line = read_request_line(line)?;
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_CEILING];
    let slots = storage.get_mut(..headers_max.min(HEADERS_CEILING)).ok_or(HeadError::FieldCount)?;
    let mut request = httparse::Request::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, head, slots);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(HeadError::Field),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::FieldCount),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Err(_) => return Err(HeadError::Field),
    }
    fields::judge(&request_line, request.headers)
}

/// The request line, cut into its parts and checked.
struct RequestLine<'a> {
    version: Version,
    /// The authority of an absolute-form target.
    authority: Option<&'a [u8]>,
}

/// Every line must end in CRLF and nothing but HTAB may be a control character; RFC 9110 §5.5 allows bytes above 0x7F in values.
fn check_bytes(head: &[u8]) -> Result<(), HeadError> {
    let mut after_cr = false;
    for &byte in head {
        if after_cr != (byte == b'\n') {
            return Err(HeadError::LineEnd);
        }
        after_cr = byte == b'\r';
        if (byte < b' ' && !matches!(byte, b'\r' | b'\n' | b'\t')) || byte == 0x7f {
            return Err(HeadError::Control);
        }
    }
    Ok(())
}

/// The bytes before the first CRLF; a CR stands nowhere else by now.
fn split_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = head.iter().position(|&byte| byte == b'\r')?;
    Some((head.get(..end)?, head.get(end + 2..)?))
}

fn read_request_line(line: &[u8]) -> Result<RequestLine<'_>, HeadError> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::RequestLine);
    };
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(|&byte| is_token(byte)) {
        return Err(HeadError::Method);
    }
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(HeadError::Connect);
    }
    let authority = target::judge(method, target)?;
    Ok(RequestLine { version: read_version(version)?, authority })
}

fn read_version(version: &[u8]) -> Result<Version, HeadError> {
    match version {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HeadError::Version)
        }
        _ => Err(HeadError::RequestLine),
    }
}

/// `tchar` of RFC 9110 §5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut token = [false; 256];
        let mut byte = 0u8;
        while byte < 0x7f {
            token[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
            byte += 1;
        }
        token
    };
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
