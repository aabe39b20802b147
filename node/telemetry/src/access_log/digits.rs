//! Numbers as decimal digits, without the general formatter, which would cost more than the rest of a line.

/// What eight digits count up to.
const EIGHT: u64 = 100_000_000;
/// The digit zero in each of eight bytes.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Appends `value`, padded with zeros to `least` digits (at most 20).
#[inline(always)]
pub(super) fn write(value: u64, least: usize, out: &mut Vec<u8>) {
    if least > 1 {
        let digits = value.checked_ilog10().map_or(1, |power| power as usize + 1);
        out.resize(out.len() + least.saturating_sub(digits), b'0');
    }
    match usize::try_from(value).ok().and_then(|value| READY.get(value)) {
        Some([digits @ .., length]) => {
            let end = out.len() + usize::from(*length);
            out.extend_from_slice(digits);
            out.truncate(end);
        }
        None => write_long(value, out),
    }
}

/// Numbers of up to three digits, which is what most are: the digits, and how many of them count.
static READY: [[u8; 4]; 1_000] = {
    let mut ready = [[0; 4]; 1_000];
    let mut value = 0;
    while value < ready.len() {
        let [hundreds, tens, ones] = [value / 100, value / 10 % 10, value % 10];
        let [hundreds, tens, ones] = [b'0' + hundreds as u8, b'0' + tens as u8, b'0' + ones as u8];
        ready[value] = match value {
            0..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            _ => [hundreds, tens, ones, 3],
        };
        value += 1;
    }
    ready
};

#[inline(never)]
fn write_long(value: u64, out: &mut Vec<u8>) {
    if value < EIGHT {
        return write_short(value, out);
    }
    let (first, last) = (value / EIGHT, value % EIGHT);
    if first < EIGHT {
        write_short(first, out);
    } else {
        write_short(first / EIGHT, out);
        out.extend_from_slice(&(eight(first % EIGHT) + ZEROS).to_le_bytes());
    }
    out.extend_from_slice(&(eight(last) + ZEROS).to_le_bytes());
}

/// Appends a number below [`EIGHT`] without the zeros in front of it.
#[inline]
fn write_short(value: u64, out: &mut Vec<u8>) {
    let digits = eight(value);
    // The last digit is written even if it is zero.
    let skipped = (digits | 1 << 56).trailing_zeros() / 8;
    let end = out.len() + 8 - skipped as usize;
    out.extend_from_slice(&((digits + ZEROS) >> (8 * skipped)).to_le_bytes());
    out.truncate(end);
}

/// The eight digits of a number below [`EIGHT`], the first in the lowest byte: halves, quarters and digits are taken apart side
/// by side in one word, and divisions are multiplications by the reciprocal that are exact for so few digits.
#[inline]
fn eight(value: u64) -> u64 {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64, least: usize) -> String {
        let mut out = Vec::new();
        write(value, least, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn digits_equal_those_of_the_formatter() {
        for value in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            for least in [0, 1, 2, 4, 20] {
                assert_eq!(written(value, least), format!("{value:0least$}"), "{value} {least}");
            }
        }
    }

    #[test]
    fn every_group_of_digits_is_taken_apart() {
        for group in 0..10_000 {
            for value in [group, group * 10_000, group * EIGHT + group, u64::MAX - group] {
                assert_eq!(written(value, 1), value.to_string());
            }
        }
        for power in 0..20 {
            let edge = 10_u64.pow(power);
            for value in [edge - 1, edge, edge + 1] {
                assert_eq!(written(value, 1), value.to_string());
            }
        }
    }
}
