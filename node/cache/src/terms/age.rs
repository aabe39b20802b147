//! Owns the age of an answer when it arrived (RFC 9111 §4.2.3, §5.1).

use http::HeaderMap;
use http::header::{AGE, DATE};

use super::Exchange;
use crate::date;
use crate::directive::{DELTA_S_MAX, delta_s};

/// How old an answer was when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    /// At least so many seconds.
    pub(super) seconds: u64,
    /// Whether there is no doubt about what caches before us said.
    pub(super) is_known: bool,
}

/// The corrected initial age (§4.2.3).
pub(super) fn of(exchange: &Exchange<'_>) -> Age {
    let told = told(exchange.response);
    let received_s = i64::try_from(exchange.received_s).unwrap_or(i64::MAX);
    let date = exchange.response.get(DATE).and_then(|date| date::parse(date.as_bytes(), exchange.received_s));
    let apparent = date.map_or(0, |date| u64::try_from(received_s.saturating_sub(date)).unwrap_or(0));
    let delay = exchange.received_s.saturating_sub(exchange.requested_s);
    let corrected = told.unwrap_or(0).saturating_add(delay);
    Age { seconds: apparent.max(corrected).min(DELTA_S_MAX), is_known: told.is_some() }
}

/// The Age header; `None` if it leaves a doubt. Of a list the first member counts (§5.1); but several lines, also when somebody
/// joined them to one with blanks, say nothing about who wrote which, and an answer of unknown age is better validated.
fn told(headers: &HeaderMap) -> Option<u64> {
    let mut lines = headers.get_all(AGE).iter();
    let Some(line) = lines.next() else { return Some(0) };
    let line = line.as_bytes();
    let first = line.split(|byte| *byte == b',').next()?;
    let is_one = lines.next().is_none() && !line.contains(&b' ');
    is_one.then(|| delta_s(first)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    #[test]
    fn doubtful_ages_are_unknown() {
        for (values, expect) in [
            (&[][..], Some(0)),
            (&["7200"], Some(7_200)),
            (&["99999999999999999999"], Some(DELTA_S_MAX)),
            (&["7200,0"], Some(7_200)),
            (&["0,7200"], Some(0)),
            (&["abc"], None),
            (&["-7200"], None),
            (&["7200.0"], None),
            (&["7200", "0"], None),
            (&["0", "7200"], None),
            (&["0, 0"], None),
            (&["0", "0"], None),
            (&["3600, 3600"], None),
            (&["7200;foo=bar"], None),
            (&["7200;foo=111"], None),
            (&[""], None),
        ] {
            let lines: Vec<_> = values.iter().map(|value| ("age", *value)).collect();
            assert_eq!(told(&headers(&lines)), expect, "{values:?}");
        }
    }
}
