//! Owns the one way in which values of equal meaning are written (RFC 9111 §4.1). Must never make values of different meaning equal.

use tidegate_proto::limits::CACHE_VARY_MEMBERS_MAX;

use crate::list::{Escapes, members, trim};

/// Thousandths of a full preference.
const QUALITY_FULL: u16 = 1_000;

/// Appends a list without blanks around its commas; several lines are one (RFC 9110 §5.3). What is between quotes stays.
pub(super) fn list<'a>(lines: impl Iterator<Item = &'a [u8]>, key: &mut Vec<u8>) {
    for (nth, member) in lines.flat_map(|line| members(line, Escapes::Backslash)).enumerate() {
        if nth > 0 {
            key.push(b',');
        }
        key.extend_from_slice(member);
    }
}

/// Accept-Language in lower case, by preference, those of equal preference by name (RFC 9110 §12.5.4: their order means nothing).
/// `None` if it is too long or wrong.
pub(super) fn languages<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut ranges = weighted(lines)?;
    ranges.sort_unstable_by(|one, other| {
        other.quality.cmp(&one.quality).then_with(|| one.name.cmp(&other.name))
    });
    ranges.dedup();
    let mut text = Vec::new();
    for range in &ranges {
        text.extend_from_slice(&range.name);
        if range.quality < QUALITY_FULL {
            text.extend_from_slice(format!(";{}", range.quality).as_bytes());
        }
        text.push(b',');
    }
    Some(text)
}

/// Accept-Encoding as the set of codings that the client takes, and of those that it does not want (RFC 9110 §12.5.3). Preferences
/// among them are left out: any of them is right. `None` if it is too long or wrong.
pub(super) fn codings<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut codings = weighted(lines)?;
    for coding in &mut codings {
        if coding.name == b"x-gzip" || coding.name == b"x-compress" {
            coding.name.drain(..2);
        }
        coding.quality = if coding.quality == 0 { 0 } else { QUALITY_FULL };
    }
    codings.sort_unstable_by(|one, other| one.name.cmp(&other.name).then(one.quality.cmp(&other.quality)));
    codings.dedup();
    let mut text = Vec::new();
    for coding in &codings {
        text.extend_from_slice(&coding.name);
        text.extend_from_slice(if coding.quality == 0 { b";0," } else { b"," });
    }
    Some(text)
}

/// A member of a list with preferences (RFC 9110 §12.4.2).
#[derive(PartialEq, Eq)]
struct Weighted {
    name: Vec<u8>,
    quality: u16,
}

fn weighted<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Weighted>> {
    let mut found = Vec::new();
    for member in lines.flat_map(|line| members(line, Escapes::Nothing)) {
        if found.len() == CACHE_VARY_MEMBERS_MAX {
            return None;
        }
        let mut parts = member.split(|byte| *byte == b';').map(trim);
        let name = parts.next()?.to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-*_.".contains(byte));
        let quality = match parts.next() {
            None => QUALITY_FULL,
            Some(parameter) => quality(parameter)?,
        };
        if !is_name || parts.next().is_some() {
            return None;
        }
        found.push(Weighted { name, quality });
    }
    Some(found)
}

/// `q=0.5` in thousandths.
fn quality(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    let (whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let is_right = name.eq_ignore_ascii_case(b"q=")
        && matches!(whole, b'0' | b'1')
        && digits.iter().all(u8::is_ascii_digit);
    let digit = |place: usize| digits.get(place).map_or(0, |digit| u16::from(digit.wrapping_sub(b'0')));
    let thousandths = || u16::from(whole - b'0') * 1_000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    is_right.then(thousandths).filter(|quality| *quality <= QUALITY_FULL)
}
