//! Owns what a request asks of caches (RFC 9111 §5.2.1, §5.4). Must never judge an answer.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

use super::{Argument, directives};

/// What a request asks of caches. Wishes that are written wrong are not there; of two that contradict, the stricter one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// The answer must not be stored (§5.2.1.5).
    pub no_store: bool,
    /// A stored answer must be validated first (§5.2.1.4).
    pub no_cache: bool,
    /// Only a stored answer is wanted (§5.2.1.7).
    pub only_if_cached: bool,
    /// Greatest age of an answer, in seconds (§5.2.1.1).
    pub max_age: Option<u64>,
    /// For how long the answer must stay fresh, in seconds (§5.2.1.3).
    pub min_fresh: Option<u64>,
    /// For how long the answer may have been stale, in seconds; `u64::MAX` is any time (§5.2.1.2).
    pub max_stale: Option<u64>,
}

impl RequestDirectives {
    /// Reads the headers of a request. `Pragma: no-cache` counts where there is no Cache-Control.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            read.no_cache = directives(headers, &PRAGMA).any(|directive| directive.is("no-cache"));
            return read;
        }
        for directive in directives(headers, &CACHE_CONTROL) {
            let seconds = directive.argument.delta_s();
            if directive.is("no-store") {
                read.no_store = true;
            } else if directive.is("no-cache") {
                read.no_cache = true;
            } else if directive.is("only-if-cached") {
                read.only_if_cached = true;
            } else if directive.is("max-age") {
                keep(&mut read.max_age, seconds, u64::min);
            } else if directive.is("min-fresh") {
                keep(&mut read.min_fresh, seconds, u64::max);
            } else if directive.is("max-stale") {
                let any = (directive.argument == Argument::Absent).then_some(u64::MAX);
                keep(&mut read.max_stale, any.or(seconds), u64::min);
            }
        }
        read
    }
}

fn keep(slot: &mut Option<u64>, seconds: Option<u64>, stricter: fn(u64, u64) -> u64) {
    if let Some(seconds) = seconds {
        *slot = Some(slot.map_or(seconds, |kept| stricter(kept, seconds)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    #[test]
    fn wishes_are_read() {
        let none = RequestDirectives::default();
        for (lines, expect) in [
            (&[][..], none),
            (&[("cache-control", "nothing-to-see-here")], none),
            (&[("cache-control", "No-StOrE")], RequestDirectives { no_store: true, ..none }),
            (&[("cache-control", "no-cache")], RequestDirectives { no_cache: true, ..none }),
            (&[("cache-control", "only-if-cached")], RequestDirectives { only_if_cached: true, ..none }),
            (&[("cache-control", "max-age=0")], RequestDirectives { max_age: Some(0), ..none }),
            (&[("cache-control", "max-age=9, max-age=5")], RequestDirectives { max_age: Some(5), ..none }),
            (&[("cache-control", "max-age=x, min-fresh=-1, max-stale=y")], none),
            (
                &[("cache-control", "min-fresh=5"), ("cache-control", "min-fresh=7")],
                RequestDirectives { min_fresh: Some(7), ..none },
            ),
            (&[("cache-control", "max-stale")], RequestDirectives { max_stale: Some(u64::MAX), ..none }),
            (
                &[("cache-control", "max-stale, max-stale=10")],
                RequestDirectives { max_stale: Some(10), ..none },
            ),
            (&[("pragma", "no-cache")], RequestDirectives { no_cache: true, ..none }),
            (&[("pragma", "unknown")], none),
            (&[("pragma", "no-cache"), ("cache-control", "x")], none),
            (&[("cache-control", r#"x="no-store, no-cache""#)], none),
        ] {
            assert_eq!(RequestDirectives::read(&headers(lines)), expect, "{lines:?}");
        }
    }
}
