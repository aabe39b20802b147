//! Owns validation (RFC 9110 §8.8, §13, RFC 9111 §4.3): whether a client already has what is stored, and how the origin is asked
//! whether that is still right. Must never decide when to ask.

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE,
    CONTENT_TYPE, DATE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

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
    let (tag, modified) = validators(stored);
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

/// Whether the origin can be asked if a stored answer is still right.
pub(crate) fn has_validator(stored: &HeaderMap) -> bool {
    let (tag, modified) = validators(stored);
    tag.is_some() || modified.is_some()
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

/// Entity-tag and date of the last change, as they came; a tag that is written wrong is still what the origin knows.
fn validators(stored: &HeaderMap) -> (Option<&HeaderValue>, Option<&HeaderValue>) {
    let read = |name| stored.get(name).filter(|value: &&HeaderValue| !trim(value.as_bytes()).is_empty());
    (read(ETAG), read(LAST_MODIFIED))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rig::{headers, lines};

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MODIFIED_S: u64 = 784_111_777;
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    #[test]
    fn tags_are_compared_weakly() {
        for (tag, wanted, expect) in [
            (r#""abcdef""#, &[r#""abcdef""#][..], true),
            (r#""abcdef""#, &[r#""abcde""#], false),
            (r#"W/"abcdef""#, &[r#"W/"abcdef""#], true),
            (r#"W/"abcdef""#, &[r#""abcdef""#], true),
            (r#""abcdef""#, &[r#"W/"abcdef""#], true),
            (r#""abcdef""#, &[r#""abcdef", "1234", "5678""#], true),
            (r#""abcdef""#, &[r#""1234", "abcdef", "5678""#], true),
            (r#""abcdef""#, &[r#""1234","5678","abcdef""#], true),
            (r#""abcdef""#, &[r#""1234""#, r#""abcdef""#], true),
            (r#""abcdef""#, &["*"], true),
            (r#""abcdef""#, &[r#""x", *"#], false),
            (r#""a,b""#, &[r#""x", "a,b""#], true),
            (r#""a""#, &[r#""x,"a",y""#], false),
            (r#""a\""#, &[r#""a\", "b""#], true),
            ("\"abcdef\u{fc}\"", &["\"abcdef\u{fc}\""], true),
            ("abcdef", &["abcdef"], true),
            (r#"w/"abcdef""#, &[r#"w/"abcdef""#], true),
            (r#"W\"abcdef""#, &[r#"W\"abcdef""#], true),
            (r#"W"abcdef""#, &[r#"W"abcdef""#], true),
            (r#""abcdef""#, &["abcdef"], false),
            ("abcdef", &[r#""abcdef""#], false),
            (r#""abcdef""#, &[""], false),
        ] {
            let request: Vec<_> = wanted.iter().map(|line| ("if-none-match", *line)).collect();
            let found = not_modified(&headers(&request), StatusCode::OK, &headers(&[("etag", tag)]), 0);
            assert_eq!(found, expect, "{tag} {wanted:?}");
        }
    }

    #[test]
    fn dates_count_where_there_is_no_tag() {
        let since = |date| vec![("if-modified-since", date)];
        let tagged = [("etag", r#""a""#), ("last-modified", MODIFIED)];
        for (request, stored, received_s, expect) in [
            (since(MODIFIED), &[("last-modified", MODIFIED)][..], 0, true),
            (since(LATER), &[("last-modified", MODIFIED)], 0, true),
            (since(EARLIER), &[("last-modified", MODIFIED)], 0, false),
            (since("Sunday, 06-Nov-94 08:49:37 GMT"), &[("last-modified", MODIFIED)], 784_111_777, true),
            (since(MODIFIED), &[("last-modified", MODIFIED), ("date", LATER)], 0, true),
            (since(MODIFIED), &[("date", MODIFIED)], 0, true),
            (since(MODIFIED), &[("date", LATER)], 0, false),
            (since(MODIFIED), &[], MODIFIED_S, true),
            (since(MODIFIED), &[], MODIFIED_S + 1, false),
            (since("yesterday"), &[("last-modified", MODIFIED)], 0, false),
            (since(MODIFIED), &[("last-modified", "yesterday")], 0, false),
            ([since(MODIFIED), since(MODIFIED)].concat(), &[("last-modified", MODIFIED)], 0, false),
            ([since(EARLIER), vec![("if-none-match", r#""a""#)]].concat(), &tagged, 0, true),
            ([since(MODIFIED), vec![("if-none-match", r#""b""#)]].concat(), &tagged, 0, false),
            (vec![], &tagged, 0, false),
        ] {
            let found = not_modified(&headers(&request), StatusCode::OK, &headers(stored), received_s);
            assert_eq!(found, expect, "{request:?} {stored:?}");
        }
    }

    #[test]
    fn only_success_is_what_a_client_has() {
        let request = headers(&[("if-none-match", "*")]);
        for (status, expect) in
            [(200, true), (203, true), (206, true), (301, false), (404, false), (500, false)]
        {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(not_modified(&request, status, &headers(&[]), 0), expect, "{status}");
        }
    }

    #[test]
    fn the_origin_is_asked_with_what_is_stored() {
        let request = [
            ("if-none-match", r#""client""#),
            ("if-modified-since", LATER),
            ("range", "bytes=0-1"),
            ("if-range", r#""client""#),
            ("abc", "123"),
        ];
        for (stored, expect) in [
            (&[("etag", r#""a""#)][..], Some(&[("if-none-match", r#""a""#)][..])),
            (&[("etag", r#"W/"a""#)], Some(&[("if-none-match", r#"W/"a""#)])),
            (&[("etag", "a")], Some(&[("if-none-match", "a")])),
            (&[("last-modified", MODIFIED)], Some(&[("if-modified-since", MODIFIED)])),
            (
                &[("etag", r#""a""#), ("last-modified", MODIFIED)],
                Some(&[("if-none-match", r#""a""#), ("if-modified-since", MODIFIED)]),
            ),
            (&[("etag", "")], None),
            (&[], None),
        ] {
            let mut found = headers(&request);
            assert_eq!(add_validators(&headers(stored), &mut found), expect.is_some(), "{stored:?}");
            assert_eq!(has_validator(&headers(stored)), expect.is_some(), "{stored:?}");
            let expect = expect.map_or(headers(&request), |expect| {
                let mut expect = headers(expect);
                expect.append("abc", HeaderValue::from_static("123"));
                expect
            });
            assert_eq!(lines(&found), lines(&expect), "{stored:?}");
        }
    }

    #[test]
    fn conditions_of_the_origin_are_forwarded() {
        assert!(must_forward(&headers(&[("if-match", "*")])));
        assert!(must_forward(&headers(&[("if-unmodified-since", MODIFIED)])));
        assert!(!must_forward(&headers(&[("if-none-match", "*"), ("if-modified-since", MODIFIED)])));
    }

    #[test]
    fn a_304_does_not_describe_the_body() {
        let stored = headers(&[("etag", r#""a""#), ("last-modified", MODIFIED)]);
        for (name, expect) in [
            ("etag", true),
            ("date", true),
            ("vary", true),
            ("expires", true),
            ("cache-control", true),
            ("content-location", true),
            ("access-control-allow-origin", true),
            ("last-modified", false),
            ("content-type", false),
            ("content-length", false),
            ("content-encoding", false),
            ("content-md5", false),
            ("repr-digest", false),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(belongs_to_not_modified(&name, &stored), expect, "{name}");
        }
        assert!(belongs_to_not_modified(&LAST_MODIFIED, &headers(&[])));
    }

    #[test]
    fn strong_tags_are_well_formed() {
        for (tag, expect) in [
            (r#""a""#, true),
            (r#""""#, true),
            (r#"W/"a""#, false),
            ("a", false),
            (r#"""#, false),
            (r#""a"b""#, false),
            (r#""a b""#, false),
        ] {
            assert_eq!(is_strong(tag.as_bytes()), expect, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_matches_itself_anywhere(tag in "[!#-~]{0,10}", others in proptest::collection::vec("[!#-~]{0,5}", 0..4)) {
            let mut list: Vec<String> = others.iter().map(|other| format!("\"{other}\"")).collect();
            list.push(format!("W/\"{tag}\""));
            let request = headers(&[("if-none-match", &list.join(", "))]);
            let stored = headers(&[("etag", &format!("\"{tag}\""))]);
            prop_assert!(not_modified(&request, StatusCode::OK, &stored, 0));
            prop_assert!(!not_modified(&request, StatusCode::OK, &headers(&[("etag", "\"not one of them\"")]), 0));
        }
    }
}
