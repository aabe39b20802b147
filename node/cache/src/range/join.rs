//! Owns how parts of one body become a larger one (RFC 9111 §3.4). Two parts belong together only if they carry the same strong
//! entity-tag: without it nobody knows whether they are of the same body.

use http::HeaderMap;
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::answer::set;
use super::{Part, Stored};
use crate::condition::is_strong;
use crate::list::trim;

/// How a stored part and a new one become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The first `kept` bytes of the stored part, then the new one.
    Append {
        /// Bytes of the stored part that stay.
        kept: u64,
        /// What is stored then.
        stored: Stored,
    },
    /// The new part, then the stored one without its first `skipped` bytes.
    Prepend {
        /// Bytes of the stored part that the new one has as well.
        skipped: u64,
        /// What is stored then.
        stored: Stored,
    },
    /// The new part alone.
    Replace(Stored),
}

/// Makes a request for a whole body one for what a stored part lacks (RFC 9110 §13.1.5); false, and nothing is changed, if that
/// is not one piece, or could not be joined with it.
pub fn complete(headers: &HeaderMap, stored: &Stored, request: &mut HeaderMap) -> bool {
    let Some(tag) = headers.get(ETAG).filter(|tag| is_strong(trim(tag.as_bytes()))) else { return false };
    let missing = match (stored.offset, stored.total) {
        (0, Some(total)) if stored.length < total => format!("bytes={}-", stored.length),
        (offset, Some(total)) if offset > 0 && stored.end() == total => format!("bytes=0-{}", offset - 1),
        _ => return false,
    };
    request.remove(IF_NONE_MATCH);
    request.remove(IF_MODIFIED_SINCE);
    request.insert(IF_RANGE, tag.clone());
    set(request, RANGE, &missing);
    true
}

/// How a stored part and a new 206 become one; `None` if they are not of the same body, or there is a gap between them.
pub fn join(old_headers: &HeaderMap, old: &Stored, new_headers: &HeaderMap, new: &Part) -> Option<Joined> {
    let tag = |headers: &HeaderMap| headers.get(ETAG).map(|tag| trim(tag.as_bytes()).to_vec());
    let (old_tag, new_tag) = (tag(old_headers)?, tag(new_headers)?);
    let totals_fit = old.total.zip(new.total).is_none_or(|(old, new)| old == new);
    if !is_strong(&old_tag) || old_tag != new_tag || !totals_fit {
        return None;
    }
    let total = old.total.or(new.total);
    let new = new.stored();
    let between = |from: u64, to: u64| Stored { offset: from, length: to.saturating_sub(from), total };
    if new.offset <= old.offset && new.end() >= old.end() {
        Some(Joined::Replace(between(new.offset, new.end())))
    } else if new.offset >= old.offset && new.offset <= old.end() {
        // What lies between is the same in both, so bytes after the new part are not lost: there are none, or they are kept.
        (new.end() >= old.end())
            .then(|| Joined::Append { kept: new.offset - old.offset, stored: between(old.offset, new.end()) })
    } else if new.offset < old.offset && new.end() >= old.offset {
        Some(Joined::Prepend { skipped: new.end() - old.offset, stored: between(new.offset, old.end()) })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    const STRONG: (&str, &str) = ("etag", r#""a""#);

    #[test]
    fn what_is_missing_is_asked_for() {
        let stored = |offset, length, total| Stored { offset, length, total };
        for (tag, stored, expect) in [
            (STRONG, stored(0, 5, Some(10)), Some("bytes=5-")),
            (STRONG, stored(5, 5, Some(10)), Some("bytes=0-4")),
            (STRONG, stored(4, 5, Some(10)), None),
            (STRONG, stored(0, 10, Some(10)), None),
            (STRONG, stored(0, 5, None), None),
            (("etag", r#"W/"a""#), stored(0, 5, Some(10)), None),
            (("etag", "a"), stored(0, 5, Some(10)), None),
            (("x", "1"), stored(0, 5, Some(10)), None),
        ] {
            let mut request = headers(&[("if-none-match", r#""b""#)]);
            let asks = complete(&headers(&[tag]), &stored, &mut request);
            assert_eq!(asks, expect.is_some(), "{tag:?} {stored:?}");
            assert_eq!(request.get(RANGE).and_then(|value| value.to_str().ok()), expect);
            assert_eq!(request.contains_key(IF_RANGE), asks);
            assert_eq!(request.contains_key(IF_NONE_MATCH), !asks);
        }
    }

    #[test]
    fn parts_of_one_body_are_joined() {
        let old = Stored { offset: 4, length: 4, total: Some(12) };
        let stored = |offset, length| Stored { offset, length, total: Some(12) };
        for (first, last, expect) in [
            (8, 11, Some(Joined::Append { kept: 4, stored: stored(4, 8) })),
            (6, 11, Some(Joined::Append { kept: 2, stored: stored(4, 8) })),
            (0, 3, Some(Joined::Prepend { skipped: 0, stored: stored(0, 8) })),
            (0, 5, Some(Joined::Prepend { skipped: 2, stored: stored(0, 8) })),
            (0, 11, Some(Joined::Replace(stored(0, 12)))),
            (4, 7, Some(Joined::Replace(stored(4, 4)))),
            (5, 6, None),
            (9, 11, None),
            (0, 2, None),
        ] {
            let new = Part { first, last, total: Some(12) };
            let found = join(&headers(&[STRONG]), &old, &headers(&[STRONG]), &new);
            assert_eq!(found, expect, "{first}-{last}");
        }
    }

    #[test]
    fn parts_of_different_bodies_are_not() {
        let old = Stored { offset: 0, length: 4, total: Some(8) };
        let new = Part { first: 4, last: 7, total: Some(8) };
        let joins = |old_tag: &[_], new_tag: &[_], new: &Part| {
            join(&headers(old_tag), &old, &headers(new_tag), new).is_some()
        };
        assert!(joins(&[STRONG], &[STRONG], &new));
        assert!(joins(&[STRONG], &[STRONG], &Part { total: None, ..new }));
        assert!(!joins(&[STRONG], &[STRONG], &Part { total: Some(9), ..new }));
        assert!(!joins(&[STRONG], &[("etag", r#""b""#)], &new));
        assert!(!joins(&[("etag", r#"W/"a""#)], &[("etag", r#"W/"a""#)], &new));
        assert!(!joins(&[], &[], &new));
    }
}
