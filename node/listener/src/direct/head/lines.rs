//! Splits a head into its lines, thirty-two bytes at a look. It knows only the plainest of heads: names of letters, digits, `-`
//! and `_`, values of visible ASCII, CRLF everywhere. What it declines is not refused: a full parser looks at it again, so it
//! may be as narrow as it likes, but what it takes it must take as the parser would (`agreement`).

use tidegate_proto::field::Field;
use wide::{CmpEq, CmpGt, CmpLt, i8x32};

use super::Fields;

/// Bytes of one look.
const LOOK: usize = 32;

/// What stands among the bytes of one look, a bit for each byte, the first one lowest.
struct Seen {
    colon: u32,
    /// Everything that ends a plain value: controls, DEL, and what is not ASCII.
    stop: u32,
    /// Everything that no plain name holds.
    odd: u32,
}

/// Reads the lines from `at` on into `fields`, of which there may be `fields_max`, and returns where the head ends: behind the
/// empty line. `None` when it is not all there, or not plain.
pub fn read_lines<'b>(
    bytes: &'b [u8],
    mut at: usize,
    fields_max: usize,
    fields: &mut Fields<'b>,
) -> Option<usize> {
    loop {
        if bytes.get(at..at + 2)? == b"\r\n" {
            return Some(at + 2);
        }
        let (field, end) = read_line(bytes, at)?;
        if fields.len() >= fields_max || fields.try_push(field).is_err() {
            return None;
        }
        at = end;
    }
}

/// Where the visible ASCII from `at` on ends, if it ends a line there; the next line begins two bytes later.
pub fn end_of_line(bytes: &[u8], mut at: usize) -> Option<usize> {
    let end = loop {
        let stop = stops(&load(bytes, at)?);
        if stop != 0 {
            break at + stop.trailing_zeros() as usize;
        }
        at += LOOK;
    };
    (bytes.get(end..end + 2)? == b"\r\n").then_some(end)
}

/// The line at `at`, and where the next one begins.
fn read_line(bytes: &[u8], at: usize) -> Option<(Field<'_>, usize)> {
    let Seen { colon, stop, odd } = look(&load(bytes, at)?);
    let length = colon.trailing_zeros();
    // What ends a value is odd in a name, too.
    if length == 0 || odd.trailing_zeros() < length {
        return None;
    }
    // No colon: a longer name than any plain head has.
    let behind = stop.checked_shr(length)?;
    let colon_at = at + length as usize;
    let end = match behind.trailing_zeros() {
        u32::BITS => end_of_line(bytes, at + LOOK)?,
        more => {
            let end = colon_at + more as usize;
            (bytes.get(end..end + 2)? == b"\r\n").then_some(end)?
        }
    };
    let value = bytes.get(colon_at + 1..end)?.trim_ascii();
    Some((Field::new(bytes.get(at..colon_at)?, value), end + 2))
}

/// The bytes from `at` on; behind the last one stand zeros, which end everything.
fn load(bytes: &[u8], at: usize) -> Option<i8x32> {
    let rest = bytes.get(at..)?;
    match rest.first_chunk() {
        Some(block) => Some(signed(block)),
        None => Some(signed(&padded(rest)?)),
    }
}

fn signed(block: &[u8; LOOK]) -> i8x32 {
    i8x32::new(block.map(u8::cast_signed))
}

/// Apart, so that the usual look is a plain load.
#[inline(never)]
fn padded(rest: &[u8]) -> Option<[u8; LOOK]> {
    let mut block = [0; LOOK];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(block)
}

/// Bytes that are no ASCII are below zero.
fn stops(block: &i8x32) -> u32 {
    (block.cmp_lt(splat(b' ')) | block.cmp_eq(splat(0x7f))).move_mask().cast_unsigned()
}

fn look(block: &i8x32) -> Seen {
    let lower = *block | splat(0x20);
    let is_letter = lower.cmp_gt(splat(b'a' - 1)) & lower.cmp_lt(splat(b'z' + 1));
    let is_digit = block.cmp_gt(splat(b'0' - 1)) & block.cmp_lt(splat(b'9' + 1));
    let is_sign = block.cmp_eq(splat(b'-')) | block.cmp_eq(splat(b'_'));
    Seen {
        colon: block.cmp_eq(splat(b':')).move_mask().cast_unsigned(),
        stop: stops(block),
        odd: !(is_letter | is_digit | is_sign).move_mask().cast_unsigned(),
    }
}

const fn splat(byte: u8) -> i8x32 {
    i8x32::new([byte.cast_signed(); LOOK])
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn lines_of(bytes: &[u8]) -> Option<(Vec<Field<'_>>, usize)> {
        let mut fields = Fields::new();
        let end = read_lines(bytes, 0, 100, &mut fields)?;
        Some((fields.to_vec(), end))
    }

    fn parsed(bytes: &[u8]) -> Option<(Vec<Field<'_>>, usize)> {
        let mut room = [httparse::EMPTY_HEADER; 100];
        match httparse::parse_headers(bytes, &mut room) {
            Ok(httparse::Status::Complete((end, lines))) => {
                Some((lines.iter().map(|line| Field::new(line.name.as_bytes(), line.value)).collect(), end))
            }
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Lengths on both sides of one and two looks, and now and then a byte of any kind.
        #[test]
        fn what_is_taken_is_taken_as_the_parser_takes_it(
            lines in vec(("[A-Za-z0-9_-]{1,40}", "[ ]{0,2}", "[!-~]{0,3}[ -~]{0,80}"), 0..6),
            damage in proptest::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>())),
            behind in vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            for (name, blanks, value) in lines {
                bytes.extend_from_slice(format!("{name}:{blanks}{value}\r\n").as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            let length = bytes.len();
            bytes.extend_from_slice(&behind);
            let damaged = damage.map(|(place, byte)| bytes[place.index(length)] = byte);
            match lines_of(&bytes) {
                Some(taken) => prop_assert_eq!(Some(taken), parsed(&bytes)),
                None if damaged.is_none() => {
                    let long = parsed(&bytes).unwrap().0.iter().any(|field| field.name.len() >= LOOK);
                    prop_assert!(long, "declined: {:?}", String::from_utf8_lossy(&bytes));
                }
                None => {}
            }
        }

        #[test]
        fn a_part_of_a_head_is_never_taken(value in "[ -~]{0,80}") {
            let bytes = format!("Host: a\r\nX-A: {value}\r\n\r\n").into_bytes();
            prop_assert!(lines_of(&bytes).is_some());
            for length in 0..bytes.len() {
                prop_assert_eq!(lines_of(&bytes[..length]), None);
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for lines in [
            ": 1\r\n\r\n",
            "A B: 1\r\n\r\n",
            "A : 1\r\n\r\n",
            "A\r\n\r\n",
            "A: 1\n\r\n",
            "A: 1\r\n\n",
            "A: 1\r\n B: 2\r\n\r\n",
            "A: \t1\r\n\r\n",
            "A: caf\u{e9}\r\n\r\n",
            "A: \u{7f}\r\n\r\n",
            "A: \0\r\n\r\n",
            "A: 1\rB: 2\r\n\r\n",
            "(: 1\r\n\r\n",
            "\u{e9}: 1\r\n\r\n",
            "A!: 1\r\n\r\n",
            "\n",
            "",
        ] {
            assert_eq!(lines_of(lines.as_bytes()), None, "{lines:?}");
        }
        let mut fields = Fields::new();
        assert_eq!(read_lines(b"A: 1\r\nB: 2\r\n\r\n", 0, 1, &mut fields), None, "more lines than allowed");
    }
}
