//! Owns how a header line that is a list falls into its members (RFC 9110 §5.6.1). Must never join lines.

/// Whether a backslash inside quotes takes the meaning from the byte after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// As in a quoted-string (RFC 9110 §5.6.4).
    Backslash,
    /// As in an entity-tag (RFC 9110 §8.8.3).
    Nothing,
}

/// The members of one line, without blanks around them; empty ones are left out. A quote that is never closed is an ordinary
/// byte, so that what follows it is still seen.
pub(crate) fn members(line: &[u8], escapes: Escapes) -> Members<'_> {
    Members { rest: line, escapes, knows_quotes: true }
}

/// See [`members`].
#[derive(Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    escapes: Escapes,
    knows_quotes: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = self.end();
            let (member, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
            self.rest = rest.get(1..).unwrap_or(&[]);
            let member = trim(member);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

impl Members<'_> {
    /// Where the first member ends.
    fn end(&mut self) -> usize {
        let mut open = false;
        let mut escaped = false;
        for (at, byte) in self.rest.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'"' if self.knows_quotes => open = !open,
                b'\\' if open && self.escapes == Escapes::Backslash => escaped = true,
                b',' if !open => return at,
                _ => {}
            }
        }
        if open {
            // Remembered, or a line of many such quotes would be searched to its end for each of them.
            self.knows_quotes = false;
            return self.rest.iter().position(|byte| *byte == b',').unwrap_or(self.rest.len());
        }
        self.rest.len()
    }
}

/// `text` without blanks around it (RFC 9110 §5.6.3).
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or(&[])
}

/// Whether a byte may be part of a token (RFC 9110 §5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_end_at_commas_outside_quotes() {
        for (line, escapes, expect) in [
            ("", Escapes::Backslash, &[][..]),
            (" , ,\t", Escapes::Backslash, &[]),
            ("a, b ,c", Escapes::Backslash, &["a", "b", "c"]),
            (r#"a="x, y", b"#, Escapes::Backslash, &[r#"a="x, y""#, "b"]),
            (r#"a="x\", y", b"#, Escapes::Backslash, &[r#"a="x\", y""#, "b"]),
            (r#""x\", "y""#, Escapes::Nothing, &[r#""x\""#, r#""y""#]),
            (r#"a="x, no-store"#, Escapes::Backslash, &[r#"a="x"#, "no-store"]),
            (r#"a="x", b="y, c="#, Escapes::Backslash, &[r#"a="x""#, r#"b="y"#, "c="]),
        ] {
            let found: Vec<&[u8]> = members(line.as_bytes(), escapes).collect();
            let expect: Vec<&[u8]> = expect.iter().map(|member| member.as_bytes()).collect();
            assert_eq!(found, expect, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_in_two_members(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            for escapes in [Escapes::Backslash, Escapes::Nothing] {
                let found: usize = members(&line, escapes).map(<[u8]>::len).sum();
                prop_assert!(found <= line.len());
                prop_assert!(members(&line, escapes).all(|member| !member.is_empty() && trim(member) == member));
            }
        }
    }
}
