//! Owns for how long an answer is fresh (RFC 9111 §4.2.1, §4.2.2, §5.3).

use http::HeaderMap;
use http::header::{DATE, EXPIRES, LAST_MODIFIED};

use super::{Exchange, status};
use crate::date;
use crate::directive::{DELTA_S_MAX, ResponseDirectives};

/// Longest life that is guessed, in seconds: a day, after which RFC 9111 once wanted clients to be warned.
const HEURISTIC_S_MAX: u64 = 24 * 3_600;
/// The part of the time since the last change that is guessed to pass until the next one (§4.2.2: "a typical setting is 10 %").
const HEURISTIC_PART: u64 = 10;

/// For how long an answer is fresh, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// It says so.
    Explicit(u64),
    /// It does not say, but may be stored: a guess, often 0.
    Heuristic(u64),
    /// It does not say, and its status forbids to guess (§3, last item).
    Forbidden,
}

pub(super) fn of(exchange: &Exchange<'_>, directives: &ResponseDirectives) -> Lifetime {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Lifetime::Explicit(seconds);
    }
    if !directives.is_targeted && exchange.response.contains_key(EXPIRES) {
        return Lifetime::Explicit(until_expires(exchange.response, exchange.received_s));
    }
    if status::is_heuristic(exchange.status) || directives.public {
        return Lifetime::Heuristic(guess(exchange.response, exchange.received_s));
    }
    Lifetime::Forbidden
}

/// Expires less Date. Two different ones, or one that is not a date, mean that the answer is stale (§5.3).
fn until_expires(headers: &HeaderMap, received_s: u64) -> u64 {
    let mut lines = headers.get_all(EXPIRES).iter();
    let first = lines.next();
    let expires = first
        .filter(|first| lines.all(|line| line == *first))
        .and_then(|first| date::parse(first.as_bytes(), received_s));
    expires.map_or(0, |expires| between(sent_s(headers, received_s), expires))
}

/// A tenth of the time since the last change.
fn guess(headers: &HeaderMap, received_s: u64) -> u64 {
    let modified = headers.get(LAST_MODIFIED).and_then(|line| date::parse(line.as_bytes(), received_s));
    let unchanged_s = modified.map_or(0, |modified| between(modified, sent_s(headers, received_s)));
    (unchanged_s / HEURISTIC_PART).min(HEURISTIC_S_MAX)
}

/// When the answer was made: its Date, or when it came if that cannot be read (RFC 9110 §6.6.1).
fn sent_s(headers: &HeaderMap, received_s: u64) -> i64 {
    let date = headers.get(DATE).and_then(|line| date::parse(line.as_bytes(), received_s));
    date.unwrap_or_else(|| i64::try_from(received_s).unwrap_or(i64::MAX))
}

fn between(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0).min(DELTA_S_MAX)
}
