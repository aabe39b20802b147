//! Owns validation (RFC 9110 §8.8, §13, RFC 9111 §4.3): whether a client already has what is stored, and how the origin is asked
//! whether that is still right. Must never decide when to ask.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE,
    CONTENT_TYPE, DATE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::date;
use crate::list::{Escapes, members, trim};

/// Headers that describe a body and that `http` has no name for.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Whether a GET or HEAD is answered with 304, because the client has the stored answer (RFC 9111 §4.3.2). Only an answer with a
/// status of success can be what the client has (RFC 9110 §13.2.1). `received_s` is when the stored answer arrived.
pub fn not_modified(request: &HeaderMap, status: StatusCode, stored: &HeaderMap, received_s: u64) -> bool {
    if !status.is_success() {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        return has_tag(request, stored);
    }
    let mut lines = request.get_all(IF_MODIFIED_SINCE).iter();
    let since = lines.next().and_then(|line| date::parse(line.as_bytes(), received_s));
    let Some(since) = since.filter(|_| lines.next().is_none()) else { return false };
    let dated = stored.get(LAST_MODIFIED).or_else(|| stored.get(DATE));
    let changed = match dated {
        Some(line) => date::parse(line.as_bytes(), received_s),
        None => i64::try_from(received_s).ok(),
    };
    changed.is_some_and(|changed| changed <= since)
}

/// Whether a request has conditions that only the origin can judge (RFC 9111 §4.3.2): it must be forwarded.
pub fn must_forward(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// Makes a request one for validation (RFC 9111 §4.3.1): what the stored answer carries takes the place of the client's own
/// conditions, and the whole body is asked for in case it changed. False, and nothing is changed, if there is no validator.
pub fn add_validators(stored: &HeaderMap, request: &mut HeaderMap) -> bool {
    let tag = stored.get(ETAG).filter(|tag| !trim(tag.as_bytes()).is_empty());
    let modified = stored.get(LAST_MODIFIED);
    if tag.is_none() && modified.is_none() {
        return false;
    }
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
        request.remove(name);
    }
    if let Some(tag) = tag {
        request.insert(IF_NONE_MATCH, tag.clone());
    }
    if let Some(modified) = modified {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    true
}

/// Whether a header of a stored answer is sent with a 304 (RFC 9110 §15.4.5): all but those that describe the body which is not
/// sent; Last-Modified only if there is no entity-tag.
pub fn belongs_to_not_modified(name: &HeaderName, stored: &HeaderMap) -> bool {
    match name {
        name if *name == ETAG || *name == CONTENT_LOCATION => true,
        name if *name == LAST_MODIFIED => !stored.contains_key(ETAG),
        name => !is_of_representation(name),
    }
}

/// Whether a header describes a body (RFC 9110 §8, §14).
pub(crate) fn is_of_representation(name: &HeaderName) -> bool {
    let known = [
        &ACCEPT_RANGES,
        &CONTENT_ENCODING,
        &CONTENT_LANGUAGE,
        &CONTENT_LENGTH,
        &CONTENT_LOCATION,
        &CONTENT_RANGE,
        &CONTENT_TYPE,
        &ETAG,
        &LAST_MODIFIED,
        &TRAILER,
        &TRANSFER_ENCODING,
    ];
    known.contains(&name) || DIGESTS.contains(name)
}

/// Whether an entity-tag is well formed and strong (RFC 9110 §8.8.3).
pub(crate) fn is_strong(tag: &[u8]) -> bool {
    matches!(tag, [b'"', opaque @ .., b'"'] if opaque.iter().all(|byte| *byte > b' ' && *byte != b'"' && *byte != 0x7f))
}

/// Whether Last-Modified tells the body from all others (RFC 9110 §8.8.2.2): it was not made in the same second.
pub(crate) fn is_strong_date(stored: &HeaderMap, received_s: u64) -> bool {
    let read = |name| stored.get(name).and_then(|line| date::parse(line.as_bytes(), received_s));
    read(LAST_MODIFIED).zip(read(DATE)).is_some_and(|(modified, sent)| modified < sent)
}

/// If-None-Match: any of the tags is the stored one, whether weak or not (RFC 9110 §13.1.2). Tags that are written wrong are
/// compared as they are.
fn has_tag(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let stored = stored.get(ETAG).map(|tag| opaque(trim(tag.as_bytes())));
    let mut lines = request.get_all(IF_NONE_MATCH).iter().map(|line| trim(line.as_bytes()));
    let is_any = |line: &[u8]| line == b"*";
    lines.any(|line| {
        is_any(line)
            || stored.is_some_and(|stored| members(line, Escapes::Nothing).any(|tag| opaque(tag) == stored))
    })
}

/// A tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}
