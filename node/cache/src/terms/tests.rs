//! The situations of RFC 9111 §3 and §4.2 as tables.

use proptest::prelude::*;

use super::*;
use crate::directive::DELTA_S_MAX;
use crate::reuse::{Reuse, reuse};
use crate::rig::headers;

const NOW_S: u64 = 784_111_777;
const TARGET: Target<'static> = Target { scheme: "https", authority: "a.test", path: "/x?y" };
const DAY_S: u64 = 24 * 3_600;

/// An exchange that takes no time, with a life of at most ten days.
struct Case {
    verb: Method,
    status: u16,
    request: HeaderMap,
    response: HeaderMap,
    shares_cookies: bool,
    ttl_max_s: u64,
    delay_s: u64,
}

/// A GET that is answered with 200 and these headers.
fn answered(response: &[(&str, &str)]) -> Case {
    Case {
        verb: Method::GET,
        status: 200,
        request: HeaderMap::new(),
        response: headers(response),
        shares_cookies: false,
        ttl_max_s: 10 * DAY_S,
        delay_s: 0,
    }
}

impl Case {
    fn judge(&self) -> Result<Terms, Unstorable> {
        judge(&Exchange {
            verb: &self.verb,
            target: TARGET,
            request: &self.request,
            asked: RequestDirectives::read(&self.request),
            status: StatusCode::from_u16(self.status).expect("a status"),
            response: &self.response,
            requested_s: NOW_S - self.delay_s,
            received_s: NOW_S,
            shares_cookies: self.shares_cookies,
            ttl_max_s: self.ttl_max_s,
        })
    }

    fn refusal(&self) -> Option<Unstorable> {
        self.judge().err()
    }
}

/// A date so many seconds from now.
fn date(delta_s: i64) -> String {
    let seconds = NOW_S.checked_add_signed(delta_s).expect("after 1970");
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

#[test]
fn freshness_comes_from_the_strongest_source() {
    let (now, soon, past, invalid) = (&*date(0), &*date(600), &*date(-600), "0");
    // Headers, then whether the answer is fresh three seconds later.
    for (response, expect) in [
        (&[][..], false),
        (&[("cache-control", "max-age=3600")], true),
        (&[("cache-control", "max-age=0")], false),
        (&[("cache-control", "max-age=2147483649")], true),
        (&[("cache-control", "max-age=99999999999")], true),
        (&[("cache-control", "max-age=3600"), ("age", "7200"), ("date", now)], false),
        (&[("cache-control", "max-age=3600"), ("expires", past), ("date", now)], true),
        (&[("cache-control", "max-age=3600"), ("expires", invalid), ("date", now)], true),
        (&[("cache-control", "max-age=0"), ("expires", soon), ("date", now)], false),
        (&[("cache-control", "s-maxage=3600")], true),
        (&[("cache-control", "max-age=3600, s-maxage=1")], false),
        (&[("cache-control", "max-age=1, s-maxage=3600"), ("expires", past)], true),
        (&[("expires", soon), ("date", now)], true),
        (&[("expires", past), ("date", now)], false),
        (&[("expires", now), ("date", now)], false),
        (&[("expires", soon), ("date", &date(700))], false),
        (&[("expires", invalid), ("date", now)], false),
        (&[("expires", ""), ("date", now)], false),
        (&[("expires", soon), ("expires", soon), ("date", now)], true),
        (&[("expires", soon), ("expires", past), ("date", now)], false),
        (&[("expires", &date(10)), ("date", "foo")], true),
        (&[("expires", &date(10)), ("date", &date(-10)), ("age", "25")], false),
        (&[("expires", &date(20)), ("date", &date(10)), ("age", "15")], false),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=1")], false),
        (&[("cache-control", "max-age=1"), ("cdn-cache-control", "max-age=60")], true),
        (&[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=1,")], true),
        (&[("expires", soon), ("cdn-cache-control", "must-revalidate")], false),
        (&[("last-modified", past), ("date", now)], true),
        (&[("last-modified", &date(-20)), ("date", now)], false),
    ] {
        let fresh = answered(response)
            .judge()
            .is_ok_and(|terms| reuse(&terms, 3, &RequestDirectives::default()) == Reuse::Fresh);
        assert_eq!(fresh, expect, "{response:?}");
    }
}

#[test]
fn age_is_what_the_worst_clock_says() {
    let (slow, fast) = (date(-100), date(100));
    for (response, delay_s, expect) in [
        (&[][..], 0, 0),
        (&[("age", "30")], 0, 30),
        (&[("age", "30")], 5, 35),
        (&[("date", &slow)], 5, 100),
        (&[("date", &slow), ("age", "200")], 5, 205),
        (&[("date", &fast)], 5, 5),
        (&[("date", "foo")], 0, 0),
        (&[("age", "99999999999999999999")], 5, DELTA_S_MAX),
        (&[("age", "1, 1")], 5, 5),
    ] {
        let mut lines = response.to_vec();
        lines.push(("etag", "a"));
        let found = Case { delay_s, ..answered(&lines) }.judge().map(|terms| terms.age_s);
        assert_eq!(found, Ok(expect), "{response:?}");
    }
}

#[test]
fn life_is_bounded() {
    let (now, year_ago, ten_minutes_ago) = (date(0), date(-365 * 86_400), date(-600));
    for (response, ttl_max_s, expect) in [
        (&[("cache-control", "max-age=99999999999")][..], 60, 60),
        (&[("cache-control", "max-age=30")], 60, 30),
        (&[("cache-control", "max-age=99999999999")], u64::MAX, DELTA_S_MAX),
        (&[("cache-control", "max-age=900"), ("age", "300")], 60, 360),
        (&[("cache-control", "max-age=900"), ("age", "old")], 60, 0),
        (&[("last-modified", &year_ago), ("date", &now)], u64::MAX, DAY_S),
        (&[("last-modified", &ten_minutes_ago), ("date", &now)], u64::MAX, 60),
        (&[("last-modified", &now), ("date", &year_ago)], u64::MAX, 0),
    ] {
        let mut lines = response.to_vec();
        lines.push(("etag", "a"));
        let found = Case { ttl_max_s, ..answered(&lines) }.judge().map(|terms| terms.lifetime_s);
        assert_eq!(found, Ok(expect), "{response:?}");
    }
}

#[test]
fn statuses_are_guessed_only_where_that_is_allowed() {
    let modified = [("last-modified", &*date(-86_400)), ("date", &*date(0))];
    for (statuses, control, expect) in [
        (&[200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501][..], "", None),
        (
            &[201, 202, 302, 303, 307, 400, 401, 403, 500, 502, 503, 504, 599],
            "",
            Some(Unstorable::NoFreshness),
        ),
        (&[201, 403, 599], "public", None),
        (
            &[200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599],
            "max-age=60",
            None,
        ),
        (
            &[100, 101, 103, 304, 407, 408, 412, 416, 417, 421, 425, 426],
            "max-age=60",
            Some(Unstorable::Status),
        ),
        (&[428, 429, 431, 511], "max-age=60, public", Some(Unstorable::Status)),
        (&[200, 404, 503], "max-age=60, must-understand, no-store", None),
        (&[299, 418, 599], "max-age=60, must-understand", Some(Unstorable::NotUnderstood)),
        (&[200], "max-age=60, no-store", Some(Unstorable::ResponseNoStore)),
    ] {
        for status in statuses {
            let mut lines = modified.to_vec();
            lines.push(("cache-control", control));
            let found = Case { status: *status, ..answered(&lines) }.refusal();
            assert_eq!(found, expect, "{status} {control}");
        }
    }
}

#[test]
fn what_is_not_for_others_is_refused() {
    let none = &[][..];
    let authorized = &[("authorization", "x")][..];
    let no_store = &[("cache-control", "no-store")][..];
    let cookie = &[("cookie", "a=b")][..];
    let life = ("cache-control", "max-age=60");
    let shared = |control| [("cache-control", control), ("set-cookie", "a=b")];
    for (request, response, expect) in [
        (none, &[life][..], None),
        (cookie, &[life], None),
        (no_store, &[life], Some(Unstorable::RequestNoStore)),
        (none, &[life, ("cache-control", "No-StOrE")], Some(Unstorable::ResponseNoStore)),
        (none, &[life, ("cache-control", "private")], Some(Unstorable::Private)),
        (none, &[life, ("cache-control", r#"private="a""#)], None),
        (none, &[life, ("cdn-cache-control", "private")], Some(Unstorable::Private)),
        (none, &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], None),
        (authorized, &[life], Some(Unstorable::Authorization)),
        (authorized, &[("expires", &date(600))], Some(Unstorable::Authorization)),
        (authorized, &[life, ("cache-control", "proxy-revalidate")], Some(Unstorable::Authorization)),
        (authorized, &[life, ("cache-control", "public")], None),
        (authorized, &[life, ("cache-control", "must-revalidate")], None),
        (authorized, &[life, ("cache-control", "s-maxage=60")], None),
        (none, &[life, ("set-cookie", "a=b")], Some(Unstorable::SetCookie)),
        (none, &[life, ("set-cookie2", "a=b")], Some(Unstorable::SetCookie)),
        (none, &shared("max-age=60, public"), Some(Unstorable::SetCookie)),
        (none, &shared(r#"max-age=60, private="set-cookie""#), None),
        (none, &shared(r#"max-age=60, no-cache="Set-Cookie""#), None),
        (none, &shared(r#"max-age=60, no-cache="other""#), Some(Unstorable::SetCookie)),
        (none, &[life, ("vary", "*")], Some(Unstorable::Vary)),
        (none, &[life, ("vary", "a, b")], None),
        (none, &[("cache-control", "no-cache")], Some(Unstorable::NoFreshness)),
        (none, &[("cache-control", "no-cache"), ("etag", "a")], None),
        (none, &[("cache-control", "max-age=0")], Some(Unstorable::NoFreshness)),
        (none, &[("cache-control", "max-age=0, stale-while-revalidate=9")], None),
        (none, &[("cache-control", "max-age=0, stale-if-error=9")], None),
        (none, &[("cache-control", "max-age=0"), ("last-modified", "x")], None),
    ] {
        let case = Case { request: headers(request), ..answered(response) };
        assert_eq!(case.refusal(), expect, "{request:?} {response:?}");
    }
    let case = Case { shares_cookies: true, ..answered(&[life, ("set-cookie", "a=b")]) };
    assert_eq!(case.refusal(), None);
}

#[test]
fn methods_differ() {
    let found_here = [("cache-control", "max-age=60"), ("content-location", "/x?y")];
    let found_there = [("cache-control", "max-age=60"), ("content-location", "/z")];
    let guessed = [("last-modified", "x"), ("content-location", "/x?y")];
    for (verb, status, response, expect) in [
        (Method::GET, 200, &found_there[..], None),
        (Method::POST, 200, &found_here, None),
        (Method::POST, 404, &found_here, Some(Unstorable::Verb)),
        (Method::POST, 200, &found_there, Some(Unstorable::Verb)),
        (Method::POST, 200, &guessed, Some(Unstorable::Verb)),
        (Method::POST, 200, &found_here[..1], Some(Unstorable::Verb)),
        (Method::HEAD, 200, &found_here, Some(Unstorable::Verb)),
        (Method::PUT, 200, &found_here, Some(Unstorable::Verb)),
        (Method::OPTIONS, 200, &found_here, Some(Unstorable::Verb)),
    ] {
        let case = Case { verb: verb.clone(), status, ..answered(response) };
        assert_eq!(case.refusal(), expect, "{verb} {status} {response:?}");
    }
}

#[test]
fn parts_must_be_usable() {
    let life = ("cache-control", "max-age=60");
    for (response, expect) in [
        (&[life, ("content-range", "bytes 0-4/10")][..], None),
        (&[life, ("content-range", "bytes 0-4/10"), ("content-length", "5")], None),
        (
            &[life, ("content-range", "bytes 4-9/10"), ("content-length", "5")],
            Some(Unstorable::PartialContent),
        ),
        (&[life], Some(Unstorable::PartialContent)),
    ] {
        assert_eq!(Case { status: 206, ..answered(response) }.refusal(), expect, "{response:?}");
    }
}

#[test]
fn staleness_is_allowed_by_the_answer_alone() {
    // Directives, then: must revalidate, validate always, stale while revalidating, stale if error.
    for (control, expect) in [
        ("", (false, false, 0, None)),
        ("stale-while-revalidate=5, stale-if-error=9", (false, false, 5, Some(9))),
        ("stale-if-error=99999999999", (false, false, 0, Some(CACHE_STALE_S_MAX))),
        ("stale-if-error=x", (false, false, 0, Some(0))),
        ("must-revalidate, stale-while-revalidate=5", (true, false, 0, Some(0))),
        ("proxy-revalidate, stale-if-error=9", (true, false, 0, Some(0))),
        ("no-cache, stale-if-error=9", (true, true, 0, Some(0))),
        (r#"no-cache="a", stale-if-error=9"#, (false, false, 0, Some(9))),
        ("s-maxage=60", (true, false, 0, None)),
        ("s-maxage=60, stale-while-revalidate=5, stale-if-error=9", (true, false, 5, Some(9))),
    ] {
        let terms = answered(&[("cache-control", control), ("etag", "a")]).judge().expect("storable");
        let found = (
            terms.must_revalidate,
            terms.validate_always,
            terms.stale_while_revalidate_s,
            terms.stale_if_error_s,
        );
        assert_eq!(found, expect, "{control}");
    }
}

proptest! {
    #[test]
    fn terms_are_bounded(
        control in "(max-age|s-maxage|stale-if-error|no-cache|public|x|,|=|\"|[0-9]{1,3}| ){0,12}",
        age in "[0-9, ]{0,12}",
        requested_s: u64, received_s: u64, ttl_max_s: u64,
    ) {
        let response = headers(&[("cache-control", &control), ("age", age.trim()), ("etag", "a")]);
        let found = judge(&Exchange {
            verb: &Method::GET,
            target: TARGET,
            request: &HeaderMap::new(),
            asked: RequestDirectives::default(),
            status: StatusCode::OK,
            response: &response,
            requested_s,
            received_s,
            shares_cookies: false,
            ttl_max_s,
        });
        let terms = found.expect("has a validator");
        prop_assert!(terms.age_s <= DELTA_S_MAX && terms.lifetime_s <= DELTA_S_MAX);
        prop_assert!(terms.lifetime_s.saturating_sub(terms.age_s) <= ttl_max_s);
        prop_assert!(terms.stale_if_error_s.unwrap_or(0) <= CACHE_STALE_S_MAX);
    }
}
