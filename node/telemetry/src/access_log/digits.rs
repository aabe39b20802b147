//! Numbers as decimal digits, without the general formatter, which would cost more than the rest of a line.

/// Appends `value`, padded with zeros to `least` digits (at most 20).
pub(super) fn write(value: u64, least: usize, out: &mut Vec<u8>) {
    if value < 10 && least <= 1 {
        out.push(b'0' + value as u8);
        return;
    }
    let mut digits = [b'0'; 20];
    let mut rest = value;
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        if rest == 0 && used >= least.max(1) {
            break;
        }
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_equal_those_of_the_formatter() {
        for value in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            for least in [0, 1, 2, 4, 20] {
                let mut out = Vec::new();
                write(value, least, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), format!("{value:0least$}"), "{value} {least}");
            }
        }
    }
}
