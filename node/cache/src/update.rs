//! Owns how a stored answer takes over headers of a later one (RFC 9111 §3.2, §4.3.4, §4.3.5). Must never change a body.

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::list::trim;
use crate::stored::excluded;
use crate::terms::SET_COOKIE2;

/// What an answer to HEAD says about a stored answer to GET (§4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEffect {
    /// Its headers were taken over.
    Freshened,
    /// The stored answer is of something that changed: it is stale from now on.
    Outdated,
    /// Nothing.
    None,
}

/// Headers that belong to the stored body: they stay, because the body does.
const OF_BODY: [HeaderName; 8] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Takes over the headers of a 304 (§4.3.4): each replaces the stored ones of its name. What follows is to be judged again, and
/// stripped. Date and Age are those of the 304, or none. Cookies are taken over only if that stored answers set some may be.
pub fn freshen(stored: &mut HeaderMap, fresh: &HeaderMap, shares_cookies: bool) {
    let mut kept = excluded(fresh);
    kept.extend(OF_BODY);
    if !shares_cookies && !stored.contains_key(SET_COOKIE) && !stored.contains_key(SET_COOKIE2) {
        kept.extend([SET_COOKIE, SET_COOKIE2]);
    }
    stored.remove(DATE);
    stored.remove(AGE);
    for name in fresh.keys().filter(|name| !kept.contains(name)) {
        stored.remove(name);
        for value in fresh.get_all(name) {
            stored.append(name.clone(), value.clone());
        }
    }
}

/// Takes over the headers of an answer to HEAD if it describes the stored answer to GET: same validators, same length.
pub fn freshen_by_head(
    stored_status: StatusCode,
    stored: &mut HeaderMap,
    status: StatusCode,
    fresh: &HeaderMap,
    shares_cookies: bool,
) -> HeadEffect {
    if status != StatusCode::OK {
        return HeadEffect::None;
    }
    let is_same = |name: &HeaderName| {
        let told = fresh.get(name).map(|value| trim(value.as_bytes()));
        told.is_none() || told == stored.get(name).map(|value| trim(value.as_bytes()))
    };
    if stored_status != status || ![ETAG, LAST_MODIFIED, CONTENT_LENGTH].iter().all(is_same) {
        return HeadEffect::Outdated;
    }
    freshen(stored, fresh, shares_cookies);
    HeadEffect::Freshened
}
