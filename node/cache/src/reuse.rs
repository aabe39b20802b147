//! Owns whether a stored answer may be given for a request now (RFC 9111 §4, RFC 5861). Must never look at headers: what they say is
//! in [`Terms`] and [`RequestDirectives`].

use http::StatusCode;
use tidegate_proto::limits::CACHE_STALE_S_MAX;

use crate::directive::RequestDirectives;
use crate::terms::Terms;

/// What may be done with a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It may be given: it is fresh, or as stale as the client allows.
    Fresh,
    /// It may be given, and the origin should be asked in the background (RFC 5861 §3).
    StaleWhileRevalidate,
    /// The origin must be asked first.
    Validate,
    /// The origin would have to be asked, which the client does not want: 504 (RFC 9111 §5.2.1.7).
    OnlyIfCached,
}

/// How the origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no answer.
    Unreachable,
    /// It answered with this status.
    Answered(StatusCode),
}

/// What may be done with a stored answer `resident_s` seconds after it arrived.
pub fn reuse(terms: &Terms, resident_s: u64, asked: &RequestDirectives) -> Reuse {
    let found = judge(terms, resident_s, asked);
    if found == Reuse::Validate && asked.only_if_cached { Reuse::OnlyIfCached } else { found }
}

/// Whether a stored answer may be given although the origin failed when it was asked: for `stale-if-error` seconds after it became
/// stale, if the origin answered 500, 502, 503 or 504, or not at all (RFC 5861 §4). If the answer does not say for how long, it may
/// be given while there is no answer at all, unless something forbids it (RFC 9111 §4.2.4).
pub fn on_error(terms: &Terms, resident_s: u64, asked: &RequestDirectives, failure: Failure) -> bool {
    let unsaid_s = match failure {
        Failure::Unreachable if !terms.must_revalidate => CACHE_STALE_S_MAX,
        Failure::Unreachable => 0,
        Failure::Answered(status) if matches!(status.as_u16(), 500 | 502 | 503 | 504) => 0,
        Failure::Answered(_) => return false,
    };
    let limit_s = terms.stale_if_error_s.unwrap_or(unsaid_s);
    let is_wanted = !terms.validate_always && !asked.no_cache;
    is_wanted && stale_s(terms, resident_s).is_none_or(|stale_s| stale_s <= limit_s && limit_s > 0)
}

/// Seconds for which a stored answer stays fresh; negative if it is stale. For Cache-Status (RFC 9211 §2.4).
pub fn ttl_s(terms: &Terms, resident_s: u64) -> i64 {
    let age_s = i64::try_from(age_s(terms, resident_s)).unwrap_or(i64::MAX);
    i64::try_from(terms.lifetime_s).unwrap_or(i64::MAX).saturating_sub(age_s)
}

/// Age of a stored answer, in seconds: the value of its Age header (RFC 9111 §4.2.3, §5.1).
pub fn age_s(terms: &Terms, resident_s: u64) -> u64 {
    terms.age_s.saturating_add(resident_s)
}

fn judge(terms: &Terms, resident_s: u64, asked: &RequestDirectives) -> Reuse {
    let age_s = age_s(terms, resident_s);
    // Nothing is younger than 0 seconds: who asks for that wants the origin to be asked.
    let is_too_old = asked.max_age.is_some_and(|max_age| max_age == 0 || age_s > max_age);
    if terms.validate_always || asked.no_cache || is_too_old {
        return Reuse::Validate;
    }
    let Some(stale_s) = stale_s(terms, resident_s) else {
        let left_s = terms.lifetime_s.saturating_sub(age_s);
        let stays_fresh = asked.min_fresh.is_none_or(|min_fresh| left_s >= min_fresh);
        return if stays_fresh { Reuse::Fresh } else { Reuse::Validate };
    };
    if asked.min_fresh.is_some() {
        Reuse::Validate
    } else if !terms.must_revalidate && asked.max_stale.is_some_and(|max_stale| stale_s <= max_stale) {
        Reuse::Fresh
    } else if stale_s < terms.stale_while_revalidate_s {
        Reuse::StaleWhileRevalidate
    } else {
        Reuse::Validate
    }
}

/// For how long it has been stale; `None` while it is fresh (§4.2: its life is longer than its age).
fn stale_s(terms: &Terms, resident_s: u64) -> Option<u64> {
    age_s(terms, resident_s).checked_sub(terms.lifetime_s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Fresh for 100 seconds.
    fn terms() -> Terms {
        Terms { lifetime_s: 100, ..Terms::default() }
    }

    #[test]
    fn what_is_stored_and_what_is_asked_decide() {
        let none = RequestDirectives::default();
        let swr = Terms { stale_while_revalidate_s: 10, ..terms() };
        let aged = Terms { age_s: 60, ..terms() };
        let strict = Terms { must_revalidate: true, ..terms() };
        let max_age = |seconds| RequestDirectives { max_age: Some(seconds), ..none };
        let min_fresh = |seconds| RequestDirectives { min_fresh: Some(seconds), ..none };
        let max_stale = |seconds| RequestDirectives { max_stale: Some(seconds), ..none };
        for (terms, resident_s, asked, expect) in [
            (&terms(), 0, none, Reuse::Fresh),
            (&terms(), 99, none, Reuse::Fresh),
            (&terms(), 100, none, Reuse::Validate),
            (&aged, 39, none, Reuse::Fresh),
            (&aged, 40, none, Reuse::Validate),
            (&Terms { lifetime_s: 0, ..terms() }, 0, none, Reuse::Validate),
            (&Terms { validate_always: true, ..terms() }, 0, none, Reuse::Validate),
            (&Terms { validate_always: true, ..terms() }, 0, max_stale(u64::MAX), Reuse::Validate),
            (&terms(), 0, RequestDirectives { no_cache: true, ..none }, Reuse::Validate),
            (&terms(), 0, max_age(0), Reuse::Validate),
            (&terms(), 1, max_age(1), Reuse::Fresh),
            (&terms(), 2, max_age(1), Reuse::Validate),
            (&aged, 0, max_age(59), Reuse::Validate),
            (&terms(), 0, min_fresh(100), Reuse::Fresh),
            (&terms(), 1, min_fresh(100), Reuse::Validate),
            (&aged, 0, min_fresh(50), Reuse::Validate),
            (&swr, 100, min_fresh(0), Reuse::Validate),
            (&terms(), 150, max_stale(50), Reuse::Fresh),
            (&terms(), 151, max_stale(50), Reuse::Validate),
            (&terms(), u64::MAX, max_stale(u64::MAX), Reuse::Fresh),
            (&strict, 150, max_stale(u64::MAX), Reuse::Validate),
            (&strict, 99, none, Reuse::Fresh),
            (&swr, 99, none, Reuse::Fresh),
            (&swr, 100, none, Reuse::StaleWhileRevalidate),
            (&swr, 109, none, Reuse::StaleWhileRevalidate),
            (&swr, 110, none, Reuse::Validate),
            (&swr, 109, max_age(50), Reuse::Validate),
            (
                &Terms { stale_while_revalidate_s: 10, ..strict.clone() },
                105,
                none,
                Reuse::StaleWhileRevalidate,
            ),
        ] {
            assert_eq!(reuse(terms, resident_s, &asked), expect, "{terms:?} {resident_s} {asked:?}");
            let asked = RequestDirectives { only_if_cached: true, ..asked };
            let expect = if expect == Reuse::Validate { Reuse::OnlyIfCached } else { expect };
            assert_eq!(reuse(terms, resident_s, &asked), expect, "{terms:?} {resident_s} {asked:?}");
        }
    }

    #[test]
    fn failures_are_hidden_for_a_while() {
        let none = RequestDirectives::default();
        let no_cache = RequestDirectives { no_cache: true, ..none };
        let down = Failure::Unreachable;
        let answered = |status| Failure::Answered(StatusCode::from_u16(status).expect("a status"));
        let sie = Terms { stale_if_error_s: Some(60), ..terms() };
        let strict = Terms { must_revalidate: true, ..terms() };
        let forbidden = Terms { stale_if_error_s: Some(0), ..strict.clone() };
        let always = Terms { validate_always: true, ..terms() };
        let far_s = 100 + CACHE_STALE_S_MAX;
        for (terms, resident_s, asked, failure, expect) in [
            (&terms(), 103, none, down, true),
            (&terms(), far_s, none, down, true),
            (&terms(), far_s + 1, none, down, false),
            (&terms(), 103, none, answered(503), false),
            (&terms(), 103, no_cache, down, false),
            (&terms(), 50, none, down, true),
            (&terms(), 50, none, answered(503), true),
            (&sie, 160, none, down, true),
            (&sie, 161, none, down, false),
            (&sie, 160, none, answered(500), true),
            (&sie, 160, none, answered(502), true),
            (&sie, 160, none, answered(503), true),
            (&sie, 160, none, answered(504), true),
            (&sie, 161, none, answered(504), false),
            (&sie, 101, none, answered(501), false),
            (&sie, 101, none, answered(404), false),
            (&sie, 101, none, answered(200), false),
            (&strict, 103, none, down, false),
            (&strict, 100, none, down, false),
            (&forbidden, 100, none, down, false),
            (&forbidden, 100, none, answered(503), false),
            (&always, 1, none, down, false),
            (&Terms { stale_if_error_s: Some(60), ..strict.clone() }, 103, none, down, true),
        ] {
            let found = on_error(terms, resident_s, &asked, failure);
            assert_eq!(found, expect, "{terms:?} {resident_s} {asked:?} {failure:?}");
        }
    }

    #[test]
    fn ages_and_lives_are_told() {
        let aged = Terms { age_s: 60, ..terms() };
        assert_eq!((age_s(&aged, 3), ttl_s(&aged, 3), ttl_s(&aged, 43)), (63, 37, -3));
        assert_eq!(ttl_s(&aged, u64::MAX), 100 - i64::MAX);
    }

    proptest! {
        #[test]
        fn a_stricter_request_gets_no_staler_answer(
            resident_s in 0_u64..200, swr in 0_u64..50,
            max_age in proptest::option::of(0_u64..200), min_fresh in proptest::option::of(0_u64..200),
        ) {
            let terms = Terms { stale_while_revalidate_s: swr, ..terms() };
            let asked = RequestDirectives { max_age, min_fresh, ..RequestDirectives::default() };
            let found = reuse(&terms, resident_s, &asked);
            let plain = reuse(&terms, resident_s, &RequestDirectives::default());
            prop_assert!(found == plain || found == Reuse::Validate);
        }
    }
}
