//! The same rules for a request that arrived over HTTP/2, where frames delimit the body but the head is later written out
//! as HTTP/1 for an upstream. hyper and h2 have already refused connection-specific headers and wrong lengths.

use http::request::Parts;
use http::uri::Scheme;
use http::{Method, header};

use super::{HeadError, fields, target};

/// Judges the head of an HTTP/2 request.
///
/// # Errors
/// The first [`HeadError`] found; only this stream has to be refused.
pub fn inspect_multiplexed(parts: &Parts, headers_max: usize) -> Result<(), HeadError> {
    if parts.method == Method::CONNECT {
        return Err(HeadError::Connect);
    }
    if parts.headers.len() > headers_max {
        return Err(HeadError::FieldCount);
    }
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let is_form_served = path.starts_with('/') || (path == "*" && parts.method == Method::OPTIONS);
    if !is_form_served || !path.bytes().all(target::is_served) {
        return Err(HeadError::Target);
    }
    // Absent here only when Host stands in for the authority.
    if parts.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(HeadError::Target);
    }
    judge_authority(parts)?;
    judge_fields(parts)
}

/// RFC 9113 §8.3.1: `:authority` names the host; a Host line must agree with it.
fn judge_authority(parts: &Parts) -> Result<(), HeadError> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(HeadError::HostRepeated);
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    match (authority, host.map(|value| value.as_bytes())) {
        (None, None) => Err(HeadError::HostMissing),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(HeadError::HostMismatch)
        }
        (Some(one), _) | (None, Some(one)) if target::is_host(one) => Ok(()),
        _ => Err(HeadError::Host),
    }
}

fn judge_fields(parts: &Parts) -> Result<(), HeadError> {
    let mut lengths = 0;
    for (name, value) in &parts.headers {
        if *name == header::CONTENT_LENGTH {
            fields::read_length(value.as_bytes())?;
            lengths += 1;
        } else if *name == header::TRANSFER_ENCODING {
            return Err(HeadError::TransferEncoding);
        } else if *name == header::EXPECT && !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(HeadError::Expectation);
        } else if fields::is_lookalike(name.as_str().as_bytes()) {
            return Err(HeadError::FramingLookalike);
        }
    }
    if lengths > 1 { Err(HeadError::ContentLength) } else { Ok(()) }
}
