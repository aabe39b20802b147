//! Owns which headers of a request make its answer unfit for storing. Must never look at values.
//!
//! Whoever sends a header that changes an answer, but is in no key, gives that answer to everybody who asks after him: the cache is
//! poisoned. Origins cannot be trusted to name such headers in Vary, because it is their framework, or a proxy before them, that
//! obeys them. So an answer is stored only if its request had none,
//! but those that its own Vary puts into the key. A header too many on the list costs a hit; one too few, a breach.

mod names;

use std::cmp::Ordering;

use names::{HARMLESS, HARMLESS_STARTS, NAMED};

/// Whether a header of that name makes the answer unfit: those that are known to be obeyed somewhere; those with `_`, which CGI
/// and its heirs take for `-`, so that they stand for any other (RFC 3875 §4.1.18); and all others with `x-` but the few that are
/// sent everywhere. Headers without `x-` have meanings that origins know when they write Vary.
pub fn is_hazardous(name: &str) -> bool {
    is_among(&NAMED, name)
        || name.contains('_')
        || (starts(name, "x-")
            && !is_among(&HARMLESS, name)
            && !HARMLESS_STARTS.iter().any(|start| starts(name, start)))
}

fn is_among(sorted: &[&str], name: &str) -> bool {
    sorted.binary_search_by(|known| compare(known, name)).is_ok()
}

/// Compares with a name in any case; the known one is in lower case.
fn compare(known: &str, name: &str) -> Ordering {
    known.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn starts(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_disjoint() {
        assert!(NAMED.is_sorted_by(|one, other| one < other) && NAMED.len() >= 80);
        assert!(HARMLESS.is_sorted_by(|one, other| one < other));
        for name in HARMLESS {
            assert!(name.starts_with("x-") && !is_hazardous(name), "{name}");
        }
        for name in NAMED {
            assert!(is_hazardous(name) && is_hazardous(&name.to_ascii_uppercase()), "{name}");
        }
    }

    #[test]
    fn unknown_names_are_judged_by_their_start() {
        for (name, expect) in [
            ("x-anything", true),
            ("X-Anything", true),
            ("x-", true),
            ("x-amz-date", false),
            ("X-Amzn-Trace-Id", false),
            ("x-b3-traceid", false),
            ("x-client-version", false),
            ("x-client-cert", true),
            ("X-Request-ID", false),
            ("x_request_id", true),
            ("user_agent", true),
            ("x", false),
            ("", false),
            ("\u{e9}", false),
            ("accept", false),
            ("authorization", false),
            ("cookie", false),
            ("user-agent", false),
            ("traceparent", false),
            ("xylophone", false),
        ] {
            assert_eq!(is_hazardous(name), expect, "{name}");
        }
    }
}
