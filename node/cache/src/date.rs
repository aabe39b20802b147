//! Owns how a date in a header is read (RFC 9110 §5.6.7), for the questions of a cache. Must never know the time.
//!
//! Case is ignored and the weekday is not checked, as RFC 9111 §4.2 asks of caches; any zone but GMT makes a date invalid.

/// Years that a date with two digits may lie ahead before it means the century before (RFC 9110 §5.6.7).
const AHEAD_YEARS_MAX: i64 = 50;
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const DAYS: [&[u8]; 7] =
    [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];

/// Seconds since 1970 of a date in one of the three formats; `now_s` only tells the century of a year with two digits.
pub(crate) fn parse(text: &[u8], now_s: u64) -> Option<i64> {
    let text = crate::list::trim(text);
    imf_fixdate(text).or_else(|| rfc850(text, now_s)).or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<i64> {
    let (weekday, rest) = text.split_at_checked(3)?;
    short_weekday(weekday)?;
    let rest = rest.strip_prefix(b", ")?;
    let (day, rest) = number(rest, 2)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let (year, rest) = number(rest.strip_prefix(b" ")?, 4)?;
    let (second, rest) = clock(rest.strip_prefix(b" ")?)?;
    zone(rest)?;
    seconds(year, month, day, second)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now_s: u64) -> Option<i64> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    let (weekday, rest) = text.split_at_checked(comma)?;
    DAYS.iter().find(|day| day.eq_ignore_ascii_case(weekday))?;
    let rest = rest.strip_prefix(b", ")?;
    let (day, rest) = number(rest, 2)?;
    let (month, rest) = month(rest.strip_prefix(b"-")?)?;
    let (short_year, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    let (second, rest) = clock(rest.strip_prefix(b" ")?)?;
    zone(rest)?;
    let this_year = year_of(now_s);
    let mut year = this_year - this_year.rem_euclid(100) + 100 + short_year;
    while year > this_year + AHEAD_YEARS_MAX {
        year -= 100;
    }
    seconds(year, month, day, second)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<i64> {
    let (weekday, rest) = text.split_at_checked(3)?;
    short_weekday(weekday)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = match rest.strip_prefix(b" ") {
        Some(rest) => number(rest, 1)?,
        None => number(rest, 2)?,
    };
    let (second, rest) = clock(rest.strip_prefix(b" ")?)?;
    let (year, rest) = number(rest.strip_prefix(b" ")?, 4)?;
    if rest.is_empty() { seconds(year, month, day, second) } else { None }
}

fn short_weekday(text: &[u8]) -> Option<()> {
    DAYS.iter().find(|day| day.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(text))).map(|_| ())
}

fn month(text: &[u8]) -> Option<(i64, &[u8])> {
    let (name, rest) = text.split_at_checked(3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    Some((at as i64 + 1, rest))
}

/// Seconds since midnight; a leap second is the last one before it (RFC 9111 §4.2: the nearest earlier time).
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = number(rest.strip_prefix(b":")?, 2)?;
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 3_600 + minute * 60 + second.min(59), rest))
}

fn zone(text: &[u8]) -> Option<()> {
    text.eq_ignore_ascii_case(b" GMT").then_some(())
}

/// A number of exactly `digits` digits.
fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number
        .iter()
        .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))?;
    Some((value, rest))
}

/// Seconds since 1970 of a date that exists.
fn seconds(year: i64, month: i64, day: i64, second: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_max = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=days_max).contains(&day).then(|| days(year, month, day) * 86_400 + second)
}

/// Days since 1970 in the Gregorian calendar, counted in years that begin in March, so that a leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469
}

/// The year of a time; good to a day, which is all that the century of a date needs.
fn year_of(now_s: u64) -> i64 {
    1970 + i64::try_from(now_s / 31_556_952).unwrap_or(0).min(100_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_S: u64 = 1_790_000_000;

    #[test]
    fn three_formats_are_read() {
        for (text, expect) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun Nov 06 08:49:37 1994", Some(784_111_777)),
            ("sUN, 06 nOV 1994 08:49:37 gmt", Some(784_111_777)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Mon, 01 Jan 1900 00:00:00 GMT", Some(-2_208_988_800)),
            ("Tue, 29 Feb 2000 23:59:60 GMT", Some(951_868_799)),
            ("Thursday, 18-Aug-50 02:01:18 GMT", Some(2_544_400_878)),
            ("Monday, 18-Aug-80 02:01:18 GMT", Some(335_412_078)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Tue, 29 Feb 2001 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06  Nov  1994 08:49:37 GMT", None),
            ("Sun 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06-Nov-1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 8:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08.49.37 GMT", None),
            ("0", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes(), NOW_S), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..40), now_s: u64) {
            parse(&text, now_s);
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut next = days(1800, 1, 1);
        for year in 1800..2500 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if seconds(year, month, day, 0).is_some() {
                        assert_eq!(days(year, month, day), next, "{year}-{month}-{day}");
                        next += 1;
                    }
                }
            }
        }
    }
}
