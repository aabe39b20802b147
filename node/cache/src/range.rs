//! Owns byte ranges (RFC 9110 §14): what part of a body is asked for, and which part a stored answer has. Must never hold a body.

mod answer;
mod join;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};

use crate::condition::is_strong;
use crate::list::{Escapes, members, trim};

pub use answer::{partial, unsatisfiable};
pub use join::{Joined, complete, join};

/// A part of a body that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From a byte on; to a byte, included, or to the end.
    From {
        /// Place of the first byte.
        first: u64,
        /// Place of the last one.
        last: Option<u64>,
    },
    /// So many bytes at the end.
    Suffix(u64),
}

/// Which part of a body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Place of its first byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
    /// Bytes of the whole body, if that is known.
    pub total: Option<u64>,
}

/// What a stored answer has of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// All of it: places in the whole body, both included. Answered with 206.
    Satisfied {
        /// Place of the first byte.
        from: u64,
        /// Place of the last byte.
        to: u64,
    },
    /// The body has none of these bytes. Answered with 416.
    Unsatisfiable,
    /// The whole body is asked for and there.
    Whole,
    /// Not everything that is asked for.
    Missing,
}

/// A Content-Range (§14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Place of the first byte.
    pub first: u64,
    /// Place of the last byte.
    pub last: u64,
    /// Bytes of the whole body, if that is known.
    pub total: Option<u64>,
}

/// The range that a GET asks of an answer with status 200 or 206 and these headers. `None` means the whole body: there is no
/// Range, it is of another unit, wrong, or of several parts (§14.2 leaves that to the server), or its If-Range does not hold.
pub fn asked(request: &HeaderMap, stored: &HeaderMap, received_s: u64) -> Option<Range> {
    parse(request).filter(|_| if_range_holds(request, stored, received_s))
}

/// The Range of a request (§14.1.2).
pub fn parse(request: &HeaderMap) -> Option<Range> {
    let mut lines = request.get_all(RANGE).iter();
    let line = trim(lines.next()?.as_bytes());
    let (unit, set) = line.split_at_checked(line.iter().position(|byte| *byte == b'=')?)?;
    let mut specs = members(set.get(1..)?, Escapes::Nothing);
    let spec = specs.next()?;
    let is_single = lines.next().is_none() && specs.next().is_none();
    if !is_single || !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let (first, last) = at_dash(spec)?;
    match (first, last) {
        ([], last) => Some(Range::Suffix(number(last)?)),
        (first, []) => Some(Range::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Range::From { first, last: Some(last) })
        }
    }
}

/// What `stored` has of a range; without one, of the whole body.
pub fn resolve(range: Option<Range>, stored: &Stored) -> Resolved {
    let Some(range) = range else {
        return if stored.is_whole() { Resolved::Whole } else { Resolved::Missing };
    };
    let end = stored.total.map(|total| total.saturating_sub(1));
    let (from, to) = match (range, stored.total) {
        (Range::Suffix(0), _) => return Resolved::Unsatisfiable,
        (Range::From { first, .. }, Some(total)) if first >= total => return Resolved::Unsatisfiable,
        (Range::Suffix(_), Some(0)) => return Resolved::Unsatisfiable,
        (Range::Suffix(length), Some(total)) => (total.saturating_sub(length), end),
        (Range::From { first, last }, _) => {
            (first, last.map(|last| end.map_or(last, |end| last.min(end))).or(end))
        }
        (Range::Suffix(_), None) => return Resolved::Missing,
    };
    match to {
        Some(to) if from >= stored.offset && to < stored.end() => Resolved::Satisfied { from, to },
        _ => Resolved::Missing,
    }
}

/// Whether If-Range lets a Range count (RFC 9110 §13.1.5): its validator must be a strong one and the stored answer's.
fn if_range_holds(request: &HeaderMap, stored: &HeaderMap, received_s: u64) -> bool {
    let Some(wanted) = request.get(IF_RANGE).map(|line| trim(line.as_bytes())) else { return true };
    if wanted.contains(&b'"') {
        return is_strong(wanted) && stored.get(ETAG).is_some_and(|tag| trim(tag.as_bytes()) == wanted);
    }
    let modified = stored.get(LAST_MODIFIED).map(|line| trim(line.as_bytes()));
    modified == Some(wanted) && crate::condition::is_strong_date(stored, received_s)
}

impl Stored {
    /// A complete body.
    pub fn whole(length: u64) -> Self {
        Self { offset: 0, length, total: Some(length) }
    }

    /// Whether that is the complete body.
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && self.total == Some(self.length)
    }

    /// Place after its last byte.
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

impl Part {
    /// Reads the headers of a 206; `None` if it has several ranges, or its lengths contradict each other, because then nobody
    /// knows which bytes these are.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONTENT_RANGE).iter();
        let line = trim(lines.next()?.as_bytes());
        let (unit, rest) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
        let rest = trim(rest);
        let (range, total) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'/')?)?;
        let (first, last) = at_dash(range)?;
        let total = match total {
            b"/*" => None,
            _ => Some(number(total.get(1..)?)?),
        };
        let part = Self { first: number(first)?, last: number(last)?, total };
        let is_ordered = part.first <= part.last && total.is_none_or(|total| part.last < total);
        let length = headers.get(CONTENT_LENGTH).map(|line| number(trim(line.as_bytes())));
        let fits = is_ordered && length.is_none_or(|length| length == Some(part.length()));
        (fits && lines.next().is_none() && unit.eq_ignore_ascii_case(b"bytes")).then_some(part)
    }

    /// Number of its bytes.
    pub fn length(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// What is stored once its body has arrived; a body of another length is not stored.
    pub fn stored(&self) -> Stored {
        Stored { offset: self.first, length: self.length(), total: self.total }
    }
}

/// What is before and after the first dash.
fn at_dash(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = text.split_at_checked(text.iter().position(|byte| *byte == b'-')?)?;
    Some((trim(before), trim(after.get(1..)?)))
}

/// A number; one that is too large is the largest one, beyond every body.
fn number(text: &[u8]) -> Option<u64> {
    let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    all_digits.then(|| text.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rig::headers;

    #[test]
    fn single_ranges_are_read() {
        let from = |first, last| Some(Range::From { first, last });
        for (value, expect) in [
            ("bytes=0-1", from(0, Some(1))),
            ("BYTES=0-1", from(0, Some(1))),
            ("bytes= 0 - 1 ", from(0, Some(1))),
            ("bytes=5-", from(5, None)),
            ("bytes=-5", Some(Range::Suffix(5))),
            ("bytes=-0", Some(Range::Suffix(0))),
            ("bytes=0-99999999999999999999", from(0, Some(u64::MAX))),
            ("bytes=0-1,", from(0, Some(1))),
            ("bytes=0-1,3-4", None),
            ("bytes=2-1", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=", None),
            ("bytes", None),
            ("seconds=0-1", None),
        ] {
            assert_eq!(parse(&headers(&[("range", value)])), expect, "{value}");
        }
        assert_eq!(parse(&headers(&[])), None);
        assert_eq!(parse(&headers(&[("range", "bytes=0-1"), ("range", "bytes=0-1")])), None);
    }

    #[test]
    fn a_stored_part_answers_what_lies_in_it() {
        let whole = Stored::whole(11);
        let part = Stored { offset: 4, length: 5, total: Some(10) };
        let open = Stored { offset: 4, length: 5, total: None };
        let from = |first, last| Some(Range::From { first, last });
        let found = |from, to| Resolved::Satisfied { from, to };
        for (range, stored, expect) in [
            (None, whole, Resolved::Whole),
            (None, part, Resolved::Missing),
            (from(0, Some(1)), whole, found(0, 1)),
            (from(1, None), whole, found(1, 10)),
            (from(9, Some(99)), whole, found(9, 10)),
            (Some(Range::Suffix(1)), whole, found(10, 10)),
            (Some(Range::Suffix(99)), whole, found(0, 10)),
            (Some(Range::Suffix(0)), whole, Resolved::Unsatisfiable),
            (from(11, None), whole, Resolved::Unsatisfiable),
            (from(0, None), Stored::whole(0), Resolved::Unsatisfiable),
            (Some(Range::Suffix(3)), Stored::whole(0), Resolved::Unsatisfiable),
            (from(6, Some(8)), part, found(6, 8)),
            (from(4, Some(8)), part, found(4, 8)),
            (from(3, Some(8)), part, Resolved::Missing),
            (from(6, Some(9)), part, Resolved::Missing),
            (from(6, None), part, Resolved::Missing),
            (from(10, None), part, Resolved::Unsatisfiable),
            (Some(Range::Suffix(1)), part, Resolved::Missing),
            (from(6, Some(8)), open, found(6, 8)),
            (from(6, None), open, Resolved::Missing),
            (Some(Range::Suffix(1)), open, Resolved::Missing),
            (from(99, None), open, Resolved::Missing),
            (Some(Range::Suffix(5)), Stored { offset: 5, length: 5, total: Some(10) }, found(5, 9)),
            (from(6, None), Stored { offset: 5, length: 5, total: Some(10) }, found(6, 9)),
        ] {
            assert_eq!(resolve(range, &stored), expect, "{range:?} of {stored:?}");
        }
    }

    #[test]
    fn a_part_must_be_consistent() {
        let part = |first, last, total| Some(Part { first, last, total });
        for (range, length, expect) in [
            ("bytes 0-4/10", None, part(0, 4, Some(10))),
            ("bytes 0-4/10", Some("5"), part(0, 4, Some(10))),
            ("bytes 0-4/*", Some("5"), part(0, 4, None)),
            ("bytes 4-9/10", Some("5"), None),
            ("bytes 4-9/10", Some("x"), None),
            ("bytes 4-10/10", None, None),
            ("bytes 4-3/10", None, None),
            ("bytes */10", None, None),
            ("bytes 0-4", None, None),
            ("bytes=0-4/10", None, None),
            ("pages 0-4/10", None, None),
        ] {
            let mut lines = vec![("content-range", range)];
            lines.extend(length.map(|length| ("content-length", length)));
            assert_eq!(Part::read(&headers(&lines)), expect, "{range} {length:?}");
        }
    }

    #[test]
    fn if_range_needs_a_strong_validator() {
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:49:38 GMT";
        let tagged = [("etag", r#""a""#)];
        let weak = [("etag", r#"W/"a""#)];
        let dated = [("last-modified", modified), ("date", later)];
        let too_new = [("last-modified", modified), ("date", modified)];
        for (wanted, stored, expect) in [
            (r#""a""#, &tagged[..], true),
            (r#""b""#, &tagged, false),
            (r#"W/"a""#, &weak, false),
            (r#""a""#, &weak, false),
            (modified, &dated, true),
            (modified, &too_new, false),
            (later, &dated, false),
            (modified, &tagged, false),
        ] {
            let request = headers(&[("range", "bytes=0-1"), ("if-range", wanted)]);
            assert_eq!(asked(&request, &headers(stored), 0).is_some(), expect, "{wanted} {stored:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_satisfied_is_stored(
            offset in 0_u64..20, length in 0_u64..20, more in proptest::option::of(0_u64..20),
            first in 0_u64..50, last in proptest::option::of(0_u64..50), suffix in 0_u64..50,
        ) {
            let stored = Stored { offset, length, total: more.map(|more| offset + length + more) };
            for range in [Range::From { first, last: last.map(|last| first + last) }, Range::Suffix(suffix)] {
                if let Resolved::Satisfied { from, to } = resolve(Some(range), &stored) {
                    prop_assert!(offset <= from && from <= to && to < offset + length);
                }
            }
        }

        #[test]
        fn nothing_panics(value in "[a-z0-9=,/* -]{0,30}") {
            parse(&headers(&[("range", &value)]));
            Part::read(&headers(&[("content-range", &value)]));
        }
    }
}
