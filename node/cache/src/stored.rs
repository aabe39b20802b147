//! Owns which headers of an answer are stored (RFC 9111 §3.1). Must never decide whether it is.

use std::time::{Duration, SystemTime};

use http::header::{
    AGE, CONNECTION, DATE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::date;
use crate::directive::{ResponseDirectives, Scope};
use crate::list::{Escapes, members};

/// Headers that are about a connection and that `http` has no name for.
const UNNAMED: [HeaderName; 3] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
];
/// The last second that a date can name.
const DATE_S_MAX: u64 = 253_402_300_799;

/// Takes out what is not stored: headers of the connection (RFC 9110 §7.6.1), those that Connection names, those for proxies, those
/// that `private` or `no-cache` name, which may not be given to others or not without validation (RFC 9111 §5.2.2.4, §5.2.2.7), and
/// Age, which is written anew. To be called after [`crate::terms::judge`].
pub fn strip(headers: &mut HeaderMap) {
    for name in excluded(headers) {
        headers.remove(name);
    }
    headers.remove(AGE);
}

/// Sets Date to when the answer arrived if it has none that can be read (RFC 9110 §6.6.1).
pub fn add_date(headers: &mut HeaderMap, received_s: u64) {
    let is_dated = headers.get(DATE).is_some_and(|line| date::parse(line.as_bytes(), received_s).is_some());
    if is_dated {
        return;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(received_s.min(DATE_S_MAX));
    if let Ok(value) = HeaderValue::from_str(&httpdate::fmt_http_date(time)) {
        headers.insert(DATE, value);
    }
}

/// Names of the headers that are neither stored nor taken over from a later answer.
pub(crate) fn excluded(headers: &HeaderMap) -> Vec<HeaderName> {
    let named =
        [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let mut names: Vec<HeaderName> = named.into_iter().chain(UNNAMED).collect();
    let connection = headers.get_all(CONNECTION).iter();
    let listed = connection.flat_map(|line| members(line.as_bytes(), Escapes::Backslash));
    names.extend(listed.filter_map(|name| HeaderName::from_bytes(name).ok()));
    let directives = ResponseDirectives::read(headers);
    for scope in [directives.private, directives.no_cache] {
        if let Scope::Fields(fields) = scope {
            names.extend(fields);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    #[test]
    fn what_is_not_for_others_is_left_out() {
        let other = ("x-frame-options", "deny");
        for (lines, kept, left_out) in [
            (
                &[("connection", "a, b"), ("a", "1"), ("b", "2"), ("c", "3")][..],
                &["c"][..],
                &["connection", "a", "b"][..],
            ),
            (&[("connection", "a"), ("connection", "b"), ("a", "1"), ("b", "2")], &[], &["a", "b"]),
            (
                &[("cache-control", "no-cache=\"a, b\""), ("a", "1"), ("c", "2")],
                &["c", "cache-control"],
                &["a"],
            ),
            (&[("cache-control", "private=a"), ("a", "1"), ("b", "2")], &["b"], &["a"]),
            (&[("cache-control", "private"), ("a", "1")], &["a"], &[]),
            (
                &[("keep-alive", "1"), ("te", "a"), ("transfer-encoding", "chunked")],
                &[],
                &["keep-alive", "te", "transfer-encoding"],
            ),
            (
                &[("upgrade", "a"), ("proxy-connection", "a"), ("trailer", "a")],
                &[],
                &["upgrade", "proxy-connection", "trailer"],
            ),
            (
                &[
                    ("proxy-authenticate", "a"),
                    ("proxy-authentication-info", "a"),
                    ("proxy-authorization", "a"),
                ],
                &[],
                &["proxy-authenticate", "proxy-authentication-info", "proxy-authorization"],
            ),
            (
                &[("age", "5"), ("content-length", "5"), ("set-cookie", "a")],
                &["content-length", "set-cookie"],
                &["age"],
            ),
            (
                &[("content-md5", "a"), ("clear-site-data", "a"), ("etag", "a")],
                &["content-md5", "clear-site-data", "etag"],
                &[],
            ),
        ] {
            let mut found = headers(lines);
            found.append("x-frame-options", HeaderValue::from_static(other.1));
            strip(&mut found);
            assert!(found.contains_key(other.0));
            assert!(kept.iter().all(|name| found.contains_key(*name)), "{lines:?}: {found:?}");
            assert!(!left_out.iter().any(|name| found.contains_key(*name)), "{lines:?}: {found:?}");
        }
    }

    #[test]
    fn an_answer_has_a_date() {
        let own = "Sun, 06 Nov 1994 08:49:37 GMT";
        let came = "Tue, 15 Nov 1994 08:12:31 GMT";
        for (lines, received_s, expect) in [
            (&[("date", own)][..], 784_887_151, own),
            (&[], 784_887_151, came),
            (&[("date", "foo")], 784_887_151, came),
            (&[], u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let mut found = headers(lines);
            add_date(&mut found, received_s);
            assert_eq!(found[DATE], expect);
            assert_eq!(found.get_all(DATE).iter().count(), 1);
        }
    }
}
