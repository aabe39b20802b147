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
