//! Dates as SigV4 writes them (ISO 8601 basic, UTC). Owns conversion to and from epoch seconds; must never ask for the current time.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const BASIC: &[BorrowedFormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Seconds since the epoch of `20150830T123600Z`, or of an HTTP date, which AWS also accepts in a `Date` header.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    parse_basic(text).or_else(|| Some(OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp()))
}

/// `20150830T123600Z`; instants outside years 0..=9999 are clamped to the epoch because no client can present them.
pub(super) fn format_date(epoch_s: i64) -> String {
    let instant = OffsetDateTime::from_unix_timestamp(epoch_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(BASIC).unwrap_or_default()
}

fn parse_basic(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 16
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 8 || i == 15 { b.is_ascii_uppercase() } else { b.is_ascii_digit() });
    if !shaped {
        return None;
    }
    Some(PrimitiveDateTime::parse(text, BASIC).ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_and_nothing_else() {
        for (text, epoch_s) in [
            ("20150830T123600Z", Some(1_440_938_160)),
            ("Sun, 30 Aug 2015 12:36:00 GMT", Some(1_440_938_160)),
            ("20150830T12360Z", None),
            ("20151330T123600Z", None),
            ("2015-08-30T12:36:00Z", None),
            ("+0150830T123600Z", None),
            ("20150830T123600Zé", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), epoch_s, "{text}");
        }
        assert_eq!(format_date(1_440_938_160), "20150830T123600Z");
        assert_eq!(format_date(i64::MAX), "19700101T000000Z");
    }
}
