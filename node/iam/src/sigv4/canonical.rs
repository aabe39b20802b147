//! The canonical request and the string to sign. Owns SigV4's encoding rules; must never drop anything but the signature itself.

use super::{ALGORITHM, PathRules, RequestView, Scope, TERMINATOR, digest};
use crate::limits;
use std::borrow::Cow;

/// Header lines indexed by lower-case name, so that n signed headers over m lines cost (n + m) log m.
pub(super) struct HeaderIndex<'a> {
    lines: Vec<(Cow<'a, str>, &'a [u8])>,
}

impl<'a> HeaderIndex<'a> {
    /// `None` when the request has more or longer headers than a signature may cover.
    pub(super) fn new(headers: &[(&'a str, &'a [u8])]) -> Option<Self> {
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers.len() > limits::HEADERS_MAX || bytes > limits::HEADER_BYTES_MAX {
            return None;
        }
        let mut lines: Vec<_> = headers.iter().map(|&(name, value)| (lower(name), value)).collect();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        Some(Self { lines })
    }

    /// Lines of one name in arrival order; `host` falls back to `:authority`.
    pub(super) fn get(&self, name: &str) -> &[(Cow<'a, str>, &'a [u8])] {
        let start = self.lines.partition_point(|line| *line.0 < *name);
        let rest = self.lines.get(start..).unwrap_or_default();
        let found = rest.get(..rest.partition_point(|line| *line.0 == *name)).unwrap_or_default();
        if found.is_empty() && name == "host" { self.get(":authority") } else { found }
    }

    /// The canonical value: trimmed, inner blanks squeezed, repeats joined with commas.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let lines = self.get(name);
        (!lines.is_empty()).then(|| {
            let mut out = Vec::new();
            for (i, (_, value)) in lines.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                squeeze(value, &mut out);
            }
            String::from_utf8_lossy(&out).into_owned()
        })
    }

    /// Lower-case names, sorted, with repeats.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(name, _)| name.as_ref())
    }
}

/// The canonical request; `signed_headers` are lower-case, sorted and unique, `query` is already canonical.
pub(super) fn canonical_request(
    request: &RequestView<'_>,
    headers: &HeaderIndex<'_>,
    signed_headers: &[String],
    query: &str,
    rules: PathRules,
    payload_hash: &str,
) -> String {
    let mut out = String::with_capacity(512);
    for part in [request.method, "\n", &canonical_path(request.path, rules), "\n", query, "\n"] {
        out.push_str(part);
    }
    for name in signed_headers {
        out.push_str(name);
        out.push(':');
        out.push_str(&headers.value(name).unwrap_or_default());
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&signed_headers.join(";"));
    out.push('\n');
    out.push_str(payload_hash);
    out
}

/// Algorithm, date, scope and the hash of the canonical request.
pub(super) fn string_to_sign(date: &str, scope: &Scope, canonical_request: &str) -> String {
    let Scope { date: day, region, service } = scope;
    let hash = digest::payload_sha256_hex(canonical_request.as_bytes());
    format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/{TERMINATOR}\n{hash}")
}

/// Sorted, re-encoded query; a presigned one goes without its `X-Amz-Signature`. `None` when it has too many pairs.
pub(super) fn canonical_query(query: &str, presigned: bool) -> Option<String> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == limits::QUERY_PAIRS_MAX {
            return None;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !(presigned && name == "X-Amz-Signature") {
            pairs.push((encode(&decode(name), false), encode(&decode(value), false)));
        }
    }
    pairs.sort_unstable();
    let joined: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(joined.join("&"))
}

/// Percent-decodes; an incomplete or wrong escape stays literal, `+` is no blank in a signature.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = if byte == b'%' { tail.first_chunk::<2>().and_then(unescape) } else { None };
        match escape {
            Some(decoded) => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

/// Percent-encodes all but RFC 3986 unreserved characters (section 2.3).
pub(super) fn encode(bytes: &[u8], keep_slash: bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (keep_slash && byte == b'/')
        {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

pub(super) fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn canonical_path(path: &str, rules: PathRules) -> String {
    let path = if rules.normalize { normalize(path) } else { Cow::Borrowed(path) };
    let encoded =
        if rules.double_encode { encode(path.as_bytes(), true) } else { encode(&decode(&path), true) };
    if encoded.is_empty() { "/".to_owned() } else { encoded }
}

fn normalize(path: &str) -> Cow<'_, str> {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{slash}", kept.join("/")))
}

fn squeeze(value: &[u8], out: &mut Vec<u8>) {
    for (i, word) in value.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty()).enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

fn unescape(pair: &[u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()));
    Some(high? << 4 | low?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, normalize, double_encode, expect) in [
            ("", true, true, "/"),
            ("//a/./b/../c//", true, true, "/a/c/"),
            ("/../..", true, true, "/"),
            ("/a%20b", true, true, "/a%2520b"),
            ("/a%20b", false, false, "/a%20b"),
            ("/a b%2fc", false, false, "/a%20b/c"),
            ("/a//b/../c", false, true, "/a//b/../c"),
            ("/a%2", false, false, "/a%252"),
        ] {
            assert_eq!(canonical_path(path, PathRules { normalize, double_encode }), expect, "{path}");
        }
    }

    #[test]
    fn queries() {
        for (query, expect) in [
            ("", ""),
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("a", "a="),
            ("a+b=c+d", "a%2Bb=c%2Bd"),
            ("k=%2f&&k2=a%20b", "k=%2F&k2=a%20b"),
            ("X-Amz-Signature=00&x=1", "x=1"),
            ("a=1=2", "a=1%3D2"),
            ("a=b&aa=b", "a=b&aa=b"),
        ] {
            assert_eq!(canonical_query(query, true).as_deref(), Some(expect), "{query}");
        }
        assert_eq!(
            canonical_query("X-Amz-Signature=00&x=1", false).as_deref(),
            Some("X-Amz-Signature=00&x=1")
        );
        assert_eq!(canonical_query(&"a&".repeat(limits::QUERY_PAIRS_MAX + 1), true), None);
    }

    #[test]
    fn header_values_are_squeezed_and_joined() {
        let headers: [(&str, &[u8]); 4] =
            [("X-B", b"  a   b\t c "), ("x-a", b"1"), ("x-b", b"\"d  e\""), (":authority", b"example.com")];
        let index = HeaderIndex::new(&headers).unwrap();
        assert_eq!(index.value("x-b").as_deref(), Some("a b c,\"d e\""));
        assert_eq!(index.value("host").as_deref(), Some("example.com"));
        assert_eq!(index.value("x-c"), None);
    }
}
