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
/// `body_bytes` is the length of the stored body. Only 200 says something about the stored answer.
pub fn freshen_by_head(
    stored_status: StatusCode,
    stored: &mut HeaderMap,
    body_bytes: u64,
    status: StatusCode,
    fresh: &HeaderMap,
    shares_cookies: bool,
) -> HeadEffect {
    if status != StatusCode::OK {
        return HeadEffect::None;
    }
    let read = |headers: &HeaderMap, name: &HeaderName| {
        headers.get(name).map(|value| trim(value.as_bytes()).to_vec())
    };
    let is_same = |name: HeaderName| {
        let told = read(fresh, &name);
        told.is_none() || told == read(stored, &name)
    };
    let length = read(fresh, &CONTENT_LENGTH);
    let has_length = length.is_none_or(|length| length == body_bytes.to_string().as_bytes());
    if stored_status != status || !has_length || !is_same(ETAG) || !is_same(LAST_MODIFIED) {
        return HeadEffect::Outdated;
    }
    freshen(stored, fresh, shares_cookies);
    HeadEffect::Freshened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{headers, lines};

    const OK: StatusCode = StatusCode::OK;

    fn line(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn headers_are_replaced_but_those_of_the_body() {
        // Name, stored, told by the 304, kept.
        for (name, stored, fresh, expect) in [
            ("test", Some("1"), Some("2"), Some("2")),
            ("x-test", Some("1"), None, Some("1")),
            ("content-foo", None, Some("2"), Some("2")),
            ("cache-control", Some("max-age=1"), Some("max-age=2"), Some("max-age=2")),
            ("content-type", Some("text/plain"), Some("text/html"), Some("text/html")),
            ("content-location", Some("/a"), Some("/b"), Some("/b")),
            ("content-security-policy", Some("a"), Some("b"), Some("b")),
            ("expires", Some("a"), Some("b"), Some("b")),
            ("clear-site-data", Some("a"), Some("b"), Some("b")),
            ("content-encoding", Some("gzip"), Some("br"), Some("gzip")),
            ("content-encoding", None, Some("br"), None),
            ("content-length", Some("5"), Some("10"), Some("5")),
            ("content-md5", Some("a"), Some("b"), Some("a")),
            ("content-range", Some("a"), Some("b"), Some("a")),
            ("etag", Some("\"a\""), Some("\"b\""), Some("\"a\"")),
            ("date", Some("a"), Some("b"), Some("b")),
            ("date", Some("a"), None, None),
            ("age", Some("7"), None, None),
            ("age", None, Some("3"), Some("3")),
            ("transfer-encoding", None, Some("chunked"), None),
            ("set-cookie", Some("a=b"), Some("a=c"), Some("a=c")),
            ("set-cookie2", Some("a=b"), Some("a=c"), Some("a=c")),
            ("set-cookie", None, Some("a=c"), None),
        ] {
            let one = |value: Option<&str>| {
                headers(&value.map(|value| (name, value)).into_iter().collect::<Vec<_>>())
            };
            let mut found = one(stored);
            freshen(&mut found, &one(fresh), false);
            assert_eq!(lines(&found), lines(&one(expect)), "{name} {stored:?} {fresh:?}");
        }
    }

    #[test]
    fn lines_are_replaced_together() {
        let mut stored = headers(&[("a", "1"), ("a", "2"), ("b", "1")]);
        freshen(&mut stored, &headers(&[("a", "3"), ("a", "4"), ("connection", "c"), ("c", "5")]), false);
        assert_eq!(lines(&stored), [line("a", "3"), line("a", "4"), line("b", "1")]);
        freshen(&mut stored, &headers(&[("set-cookie", "d")]), true);
        assert!(stored.contains_key(SET_COOKIE));
    }

    #[test]
    fn head_describes_the_same_answer() {
        let stored = [("etag", "\"a\""), ("x", "1")];
        let not_found = StatusCode::NOT_FOUND;
        let gone = StatusCode::GONE;
        for (stored_status, status, fresh, expect) in [
            (OK, OK, &[("x", "2")][..], HeadEffect::Freshened),
            (OK, OK, &[("x", "2"), ("etag", "\"a\"")], HeadEffect::Freshened),
            (OK, OK, &[("x", "2"), ("content-length", "10")], HeadEffect::Freshened),
            (OK, OK, &[("x", "2"), ("etag", "\"b\"")], HeadEffect::Outdated),
            (OK, OK, &[("x", "2"), ("content-length", "11")], HeadEffect::Outdated),
            (OK, OK, &[("x", "2"), ("last-modified", "y")], HeadEffect::Outdated),
            (not_found, OK, &[("x", "2")], HeadEffect::Outdated),
            (OK, gone, &[("x", "2")], HeadEffect::None),
        ] {
            let mut found = headers(&stored);
            let effect = freshen_by_head(stored_status, &mut found, 10, status, &headers(fresh), false);
            assert_eq!(effect, expect, "{stored_status} {status} {fresh:?}");
            assert_eq!(found["x"] == "2", expect == HeadEffect::Freshened);
        }
    }
}
