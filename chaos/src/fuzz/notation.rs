//! Bytes as people can read, write and paste them: printable ASCII as it is, everything else behind a backslash.
//!
//! `\r` `\n` `\t` `\0` `\\` `\xHH`, and `\{COUNT:TEXT}` for a text that is repeated.

use std::fmt::Write;

/// From so many on, equal bytes are counted and not written out.
const RUN_BYTES: usize = 16;
/// Longest text that the notation may stand for, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// Reads the notation.
///
/// # Errors
/// Says what cannot be read.
pub(crate) fn read(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        rest = read_escape(escaped, &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// Reads what follows a backslash; gives back the rest.
fn read_escape<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, String> {
    let unknown = || format!("what is \\{text}?");
    let mut letters = text.chars();
    let byte = match letters.next().ok_or_else(unknown)? {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' => b'\\',
        'x' => {
            let digits = text.get(1..3).ok_or_else(unknown)?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| unknown())?);
            return Ok(text.get(3..).unwrap_or_default());
        }
        '{' => {
            let (inside, rest) = letters.as_str().split_once('}').ok_or_else(unknown)?;
            let (count, unit) = inside.split_once(':').ok_or_else(unknown)?;
            let (count, unit) = (count.parse::<usize>().map_err(|_| unknown())?, read(unit)?);
            if count.saturating_mul(unit.len()) > BYTES_MAX {
                return Err(format!("{count} times is too much"));
            }
            out.extend_from_slice(&unit.repeat(count));
            return Ok(rest);
        }
        _ => return Err(unknown()),
    };
    out.push(byte);
    Ok(letters.as_str())
}

/// Writes bytes on one line.
pub(crate) fn line(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().min(1_024));
    for run in bytes.chunk_by(|one, next| one == next) {
        let Some(&byte) = run.first() else { continue };
        if run.len() >= RUN_BYTES && byte.is_ascii_alphanumeric() {
            let _ = write!(text, "\\{{{}:{}}}", run.len(), char::from(byte));
        } else {
            run.iter().for_each(|byte| push(*byte, &mut text));
        }
    }
    text
}

fn push(byte: u8, text: &mut String) {
    match byte {
        b'\r' => text.push_str("\\r"),
        b'\n' => text.push_str("\\n"),
        b'\t' => text.push_str("\\t"),
        b'\\' => text.push_str("\\\\"),
        b' '..=b'~' => text.push(byte.into()),
        _ => _ = write!(text, "\\x{byte:02x}"),
    }
}

/// Writes bytes on lines of their own: `mark` and `>` before a line that goes on with CRLF, `mark` and `+` before one that goes on with
/// nothing.
pub(crate) fn lines(bytes: &[u8], mark: char) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let (one, after) = rest.split_at(end);
        let _ = writeln!(text, "{}", format!("{mark} {}", line(one)).trim_end());
        rest = after.get(2..).unwrap_or_default();
    }
    if !rest.is_empty() {
        let _ = writeln!(text, "{mark}+ {}", line(rest));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, bytes) in [
            ("GET / HTTP/1.1\\r\\n", &b"GET / HTTP/1.1\r\n"[..]),
            ("\\x00\\xff\\\\\\t", b"\0\xff\\\t"),
            ("", b""),
            ("a\\{20:b}c", b"abbbbbbbbbbbbbbbbbbbbc"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(bytes));
            assert_eq!(line(bytes), text);
        }
        assert_eq!(read("a\\{3:bc}d\\0").as_deref(), Ok(&b"abcbcbcd\0"[..]));
        for broken in ["\\", "\\q", "\\x1", "\\{3}", "\\{x:y}", "\\{999999999:yy}"] {
            assert!(read(broken).is_err(), "{broken}");
        }
        assert_eq!(lines(b"a\r\n\r\nb\n", '>'), "> a\n>\n>+ b\\n\n");
    }
}
