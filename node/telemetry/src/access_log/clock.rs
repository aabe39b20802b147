//! Common Log Format times from milliseconds since 1970. Pure; always UTC.

use std::cell::Cell;

use super::digits;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Bytes of a time: the year 9999 is far.
const BYTES: usize = 26;

thread_local! {
    /// The last second that was written out: most lines are of the same one.
    static LAST: (Cell<u64>, Cell<[u8; BYTES]>) = const { (Cell::new(u64::MAX), Cell::new([0; BYTES])) };
}

/// Appends for example `10/Oct/2000:13:55:36 +0000`.
pub(super) fn write_clf(epoch_ms: u64, out: &mut Vec<u8>) {
    let seconds = epoch_ms / 1_000;
    LAST.with(|(last, text)| {
        if last.get() == seconds {
            out.extend_from_slice(&text.get());
            return;
        }
        let start = out.len();
        write_anew(seconds, out);
        if let Some(anew) = out.get(start..).and_then(|anew| anew.try_into().ok()) {
            text.set(anew);
            last.set(seconds);
        }
    });
}

#[cold]
fn write_anew(seconds: u64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    digits::write(day, 2, out);
    out.push(b'/');
    out.extend_from_slice(MONTHS.get(month).copied().unwrap_or_default().as_bytes());
    out.push(b'/');
    digits::write(year, 4, out);
    for part in [hour, minute, second] {
        out.push(b':');
        digits::write(part, 2, out);
    }
    out.extend_from_slice(b" +0000");
}

/// Year, month from zero, and day of a day since 1970: years are counted from March, so the leap day comes last.
fn civil(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_common_log_format() {
        for (epoch_ms, expected) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400_000, "29/Feb/2000:00:00:00 +0000"),
            (971_186_136_999, "10/Oct/2000:13:55:36 +0000"),
            (1_709_251_199_000, "29/Feb/2024:23:59:59 +0000"),
            (4_102_444_800_000, "01/Jan/2100:00:00:00 +0000"),
            (4_102_444_800_999, "01/Jan/2100:00:00:00 +0000"),
        ] {
            let mut out = Vec::new();
            write_clf(epoch_ms, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
