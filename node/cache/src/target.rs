//! Owns what a request was for, and which other targets of the same origin a header names (RFC 3986 §5). Must never send anything.

/// Longest reference that is resolved, in bytes.
const REFERENCE_BYTES_MAX: usize = 8 * 1024;

/// What a request was for, as the client wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port if it is not the usual one.
    pub authority: &'a str,
    /// Path and query; begins with `/`.
    pub path: &'a str,
}

impl Target<'_> {
    /// Path and query of what a reference names, without dot segments and fragment; `None` if that is of another origin
    /// (RFC 9110 §4.3.1) or not a reference.
    pub fn resolve(&self, reference: &[u8]) -> Option<String> {
        let reference = std::str::from_utf8(reference).ok()?.trim();
        let reference = reference.split('#').next().unwrap_or(reference);
        let is_clean = reference.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_clean || reference.len() > REFERENCE_BYTES_MAX {
            return None;
        }
        let rest = self.after_origin(reference)?;
        let (own_path, own_query) = split(self.path);
        let (path, query) = split(rest);
        let (path, query) = match (path.chars().next(), query) {
            (Some('/'), query) => (without_dots(path), query),
            (Some(_), query) => {
                let folder = own_path.rfind('/').map_or("/", |last| own_path.get(..=last).unwrap_or("/"));
                (without_dots(&format!("{folder}{path}")), query)
            }
            (None, query) if rest.len() < reference.len() => ("/".to_owned(), query),
            (None, None) => (without_dots(own_path), own_query),
            (None, query) => (without_dots(own_path), query),
        };
        Some(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
    }

    /// Whether a reference names this target itself.
    pub(crate) fn is_named_by(&self, reference: &[u8]) -> bool {
        self.resolve(reference).is_some_and(|path| Some(path) == self.resolve(b""))
    }

    /// What follows scheme and authority; the whole reference if it has none.
    fn after_origin<'r>(&self, reference: &'r str) -> Option<&'r str> {
        let (scheme, rest) = match reference.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => (self.scheme, reference),
        };
        let has_scheme = rest.len() < reference.len();
        let Some(rest) = rest.strip_prefix("//") else {
            return (!has_scheme).then_some(rest);
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let same = scheme.eq_ignore_ascii_case(self.scheme)
            && host_and_port(scheme, authority)
                .zip(host_and_port(self.scheme, self.authority))
                .is_some_and(|(one, other)| one.0.eq_ignore_ascii_case(other.0) && one.1 == other.1);
        same.then_some(rest)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}

/// Host and port, the usual one if there is none; `None` with a user or something that is not a port.
fn host_and_port<'a>(scheme: &str, authority: &'a str) -> Option<(&'a str, u16)> {
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    if authority.contains('@') {
        return None;
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            Some((host, if port.is_empty() { usual } else { port.parse().ok()? }))
        }
        _ => Some((authority, usual)),
    }
}

/// A path without `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: Target<'static> =
        Target { scheme: "https", authority: "api.example.com", path: "/a/b/c?x=1" };

    #[test]
    fn references_of_the_same_origin_are_resolved() {
        for (reference, expect) in [
            ("", Some("/a/b/c?x=1")),
            ("#top", Some("/a/b/c?x=1")),
            ("?y=2", Some("/a/b/c?y=2")),
            ("d", Some("/a/b/d")),
            ("d?y=2#z", Some("/a/b/d?y=2")),
            ("./d", Some("/a/b/d")),
            ("../d", Some("/a/d")),
            ("../../../d", Some("/d")),
            ("..", Some("/a/")),
            (".", Some("/a/b/")),
            ("/d/./e/../f", Some("/d/f")),
            ("/", Some("/")),
            ("https://api.example.com/d", Some("/d")),
            ("https://api.example.com", Some("/")),
            ("https://api.example.com?q", Some("/?q")),
            ("HTTPS://API.example.com:443/d", Some("/d")),
            ("//api.example.com/d", Some("/d")),
            ("http://api.example.com/d", None),
            ("https://api.example.com:8443/d", None),
            ("https://user@api.example.com/d", None),
            ("https://api.example.com.evil.test/d", None),
            ("//other.example.com/d", None),
            ("mailto:someone", None),
            ("/a b", None),
            ("/a\\b", None),
            ("/\u{e9}", None),
        ] {
            assert_eq!(TARGET.resolve(reference.as_bytes()).as_deref(), expect, "{reference}");
        }
    }

    #[test]
    fn ports_are_compared() {
        let target = Target { scheme: "http", authority: "[::1]:8080", path: "/a" };
        assert_eq!(target.resolve(b"http://[::1]:8080/b").as_deref(), Some("/b"));
        assert_eq!(target.resolve(b"http://[::1]/b"), None);
        let target = Target { scheme: "http", authority: "[::1]", path: "/a" };
        assert_eq!(target.resolve(b"http://[::1]:80/b").as_deref(), Some("/b"));
        assert!(target.is_named_by(b"/x/../a") && !target.is_named_by(b"/b"));
    }

    proptest! {
        #[test]
        fn a_target_is_absolute_and_has_no_dots(reference in "[a-c./?#:]{0,30}") {
            if let Some(path) = TARGET.resolve(reference.as_bytes()) {
                let path = path.split('?').next().unwrap_or("");
                prop_assert!(path.starts_with('/'), "{path}");
                prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
            }
        }
    }
}
