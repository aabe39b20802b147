//! Keeps a value inside its place in a line: no value can end a string, a field, an element or the line itself.

use std::io::Write;

use crate::limits::VALUE_BYTES_MAX;

/// What the line is made of, and so what a value must not contain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// JSON text; also used for quoted strings of Common Log Format, whose escapes it shares.
    Json,
    /// Elements and attributes.
    Xml,
    /// Fields between commas.
    Csv,
    /// Fields between spaces, outside quotes.
    Text,
}

/// Appends `value`, escaped, cut at [`VALUE_BYTES_MAX`]; bytes that are no UTF-8 are replaced.
#[inline(always)]
pub(super) fn write(style: Style, value: &[u8], out: &mut Vec<u8>) {
    if value.len() <= VALUE_BYTES_MAX && is_plain(style, value) {
        out.extend_from_slice(value);
    } else {
        write_escaped(style, value, out);
    }
}

#[cold]
fn write_escaped(style: Style, value: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(value);
    let cut = text.get(..text.floor_char_boundary(VALUE_BYTES_MAX)).unwrap_or_default();
    for character in cut.chars() {
        write_char(style, character, out);
    }
}

/// Whether all of `value` is ASCII that stands for itself: the counterpart of [`write_char`].
#[inline(never)]
fn is_plain(style: Style, value: &[u8]) -> bool {
    match style {
        Style::Json => has_none_of(value, [b'"', b'\\']),
        Style::Xml => has_none_of(value, [b'<', b'>', b'&', b'"', b'\'']),
        Style::Csv => has_none_of(value, [b'"', b'\\', b',']),
        Style::Text => has_none_of(value, [b'"', b'\\', b' ']),
    }
}

/// Whether `value` is printable ASCII without any of `marks`. Many bytes are looked at in one go; the last go and the one before
/// overlap, so that no byte is left over.
#[inline]
fn has_none_of<const MARKS: usize>(value: &[u8], marks: [u8; MARKS]) -> bool {
    if let Some(last) = value.last_chunk::<16>() {
        let (chunks, _) = value.as_chunks::<16>();
        return chunks.iter().all(|chunk| is_free(chunk, marks)) && is_free(last, marks);
    }
    if let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        return is_free(first, marks) && is_free(last, marks);
    }
    if let (Some(first), Some(last)) = (value.first_chunk::<4>(), value.last_chunk::<4>()) {
        return is_free(first, marks) && is_free(last, marks);
    }
    value.iter().all(|byte| is_free(&[*byte], marks))
}

/// Without a branch, so that it becomes a handful of instructions for all of them.
#[inline]
fn is_free<const BYTES: usize, const MARKS: usize>(chunk: &[u8; BYTES], marks: [u8; MARKS]) -> bool {
    let is_odd =
        |byte: u8| marks.iter().fold(!matches!(byte, b' '..=b'~'), |odd, mark| odd | (byte == *mark));
    !chunk.iter().fold(false, |odd, byte| odd | is_odd(*byte))
}

fn write_char(style: Style, character: char, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    match (style, character) {
        (Style::Xml, '<') => out.extend_from_slice(b"&lt;"),
        (Style::Xml, '>') => out.extend_from_slice(b"&gt;"),
        (Style::Xml, '&') => out.extend_from_slice(b"&amp;"),
        (Style::Xml, '"') => out.extend_from_slice(b"&quot;"),
        (Style::Xml, '\'') => out.extend_from_slice(b"&apos;"),
        (Style::Xml, _) if must_hide(character) => out.push(b' '),
        (Style::Json | Style::Text | Style::Csv, '"') => out.extend_from_slice(b"\\\""),
        (Style::Json | Style::Text | Style::Csv, '\\') => out.extend_from_slice(b"\\\\"),
        (Style::Text, ' ') => out.extend_from_slice(b"\\u0020"),
        (Style::Csv, ',') => out.extend_from_slice(b"\\u002c"),
        (_, _) if must_hide(character) => {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        (_, _) => {
            let mut bytes = [0u8; 4];
            out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        }
    }
}

/// Controls, line and paragraph separators, and marks that reorder what a reader sees.
fn must_hide(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(style: Style, value: &str) -> String {
        let mut out = Vec::new();
        write(style, value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_stay_in_their_place() {
        for (style, value, expected) in [
            (Style::Json, "plain /x?y=1", "plain /x?y=1"),
            (Style::Json, "a\"b\\c", "a\\\"b\\\\c"),
            (Style::Json, "a\r\nb", "a\\u000d\\u000ab"),
            (Style::Json, "\u{1b}[31m", "\\u001b[31m"),
            (Style::Json, "x\u{2028}y\u{202e}z", "x\\u2028y\\u202ez"),
            (Style::Json, "\u{85}\u{7f}", "\\u0085\\u007f"),
            (Style::Json, "caf\u{e9} \u{1f980}", "caf\u{e9} \u{1f980}"),
            (Style::Xml, "<a b=\"c\">&'\n", "&lt;a b=&quot;c&quot;&gt;&amp;&apos; "),
            (Style::Csv, "a,b\n\"c", "a\\u002cb\\u000a\\\"c"),
            (Style::Text, "a\" 200 -\n1.2.3.4", "a\\\"\\u0020200\\u0020-\\u000a1.2.3.4"),
        ] {
            assert_eq!(escaped(style, value), expected, "{style:?} {value:?}");
        }
    }

    #[test]
    fn what_is_taken_as_it_is_is_what_stands_for_itself() {
        for style in [Style::Json, Style::Xml, Style::Csv, Style::Text] {
            for byte in 0..=u8::MAX {
                let mut alone = Vec::new();
                write_escaped(style, &[byte], &mut alone);
                let is_itself = alone == [byte];
                for length in 1..40 {
                    for place in 0..length {
                        let mut value = vec![b'x'; length];
                        value[place] = byte;
                        assert_eq!(
                            is_plain(style, &value),
                            is_itself,
                            "{style:?} {byte} at {place} of {length}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut out = Vec::new();
        write(Style::Json, b"a\xffb", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let value = "\u{e9}".repeat(VALUE_BYTES_MAX);
        assert_eq!(escaped(Style::Json, &value).len(), VALUE_BYTES_MAX);
    }
}
