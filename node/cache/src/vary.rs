//! Owns which headers of a request an answer depends on, and the key that tells requests apart by them (RFC 9111 §4.1). Must never
//! store a key.

mod normal;

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, VARY};
use http::{HeaderMap, HeaderName};
use tidegate_proto::limits::CACHE_VARY_NAMES_MAX;

use crate::{
    lines::Lines,
    list::{Escapes, members},
};

/// Names of the headers of requests that an answer depends on, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vary {
    /// The names.
    pub names: Vec<HeaderName>,
}

impl Vary {
    /// Reads the headers of an answer; `None` if no key can tell it from others: a `*` anywhere, something that is not a name, or
    /// more than [`CACHE_VARY_NAMES_MAX`] of them.
    pub fn read(response: &HeaderMap) -> Option<Self> {
        let mut names = Vec::new();
        let lines = response.get_all(VARY).iter();
        for member in lines.flat_map(|line| members(line.as_bytes(), Escapes::Nothing)) {
            let name = HeaderName::from_bytes(member).ok().filter(|_| member != b"*")?;
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > CACHE_VARY_NAMES_MAX {
                return None;
            }
        }
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Some(Self { names })
    }

    /// Whether the answer is the same for all requests.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Appends what a request has of the headers in `names`. Two requests have equal bytes exactly if these headers say the same: what
/// a header may be written like without a change of meaning is written in one way, and every part is preceded by its length, so
/// that no value can look like two.
pub fn write_secondary_key(names: &[HeaderName], request: &(impl Lines + ?Sized), key: &mut Vec<u8>) {
    for name in names {
        part(key, |key| key.extend_from_slice(name.as_str().as_bytes()));
        part(key, |key| value(name, request, key));
    }
}

/// How a value is written, so that one form is never taken for another.
#[repr(u8)]
enum Form {
    Absent = 0,
    Verbatim = 1,
    List = 2,
    Languages = 3,
    Codings = 4,
}

fn value(name: &HeaderName, request: &(impl Lines + ?Sized), key: &mut Vec<u8>) {
    let lines = || request.lines(name.as_str());
    if lines().next().is_none() {
        key.push(Form::Absent as u8);
    } else if *name == AUTHORIZATION || *name == COOKIE {
        // Who somebody is must not depend on what this cache thinks a blank means.
        key.push(Form::Verbatim as u8);
        for line in lines() {
            part(key, |key| key.extend_from_slice(line));
        }
    } else if let Some(languages) = (*name == ACCEPT_LANGUAGE).then(|| normal::languages(lines())).flatten() {
        key.push(Form::Languages as u8);
        key.extend_from_slice(&languages);
    } else if let Some(codings) = (*name == ACCEPT_ENCODING).then(|| normal::codings(lines())).flatten() {
        key.push(Form::Codings as u8);
        key.extend_from_slice(&codings);
    } else {
        key.push(Form::List as u8);
        normal::list(lines(), key);
    }
}

/// Appends what `write` writes, preceded by its length.
fn part(key: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = key.len();
    key.extend_from_slice(&[0; 4]);
    write(key);
    let length = u32::try_from(key.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = key.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rig::headers;

    fn key(names: &[&'static str], request: &[(&str, &str)]) -> Vec<u8> {
        let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
        let mut key = Vec::new();
        write_secondary_key(&names, &headers(request), &mut key);
        key
    }

    #[test]
    fn names_are_read() {
        let many: Vec<String> = (0..=CACHE_VARY_NAMES_MAX).map(|nth| format!("a{nth}")).collect();
        let sixteen: Vec<&str> = many.iter().skip(1).map(String::as_str).collect();
        let mut sorted = sixteen.clone();
        sorted.sort_unstable();
        for (values, expect) in [
            (&[][..], Some(&[][..])),
            (&[""], Some(&[])),
            (&["Foo"], Some(&["foo"])),
            (&["Foo, Bar", "baz,foo"], Some(&["bar", "baz", "foo"])),
            (&["*"], None),
            (&["*, *"], None),
            (&["*", "*"], None),
            (&[", *"], None),
            (&["", "*"], None),
            (&["*, Foo"], None),
            (&["Foo, *"], None),
            (&["Foo Bar"], None),
            (&["\"Foo\""], None),
            (&[&many.join(",")], None),
            (&[&sixteen.join(","), "A1"], Some(&sorted)),
        ] {
            let lines: Vec<_> = values.iter().map(|value| ("vary", *value)).collect();
            let found = Vary::read(&headers(&lines));
            let found =
                found.as_ref().map(|vary| vary.names.iter().map(HeaderName::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expect, "{values:?}");
        }
    }

    #[test]
    fn equal_meanings_have_equal_keys() {
        for (name, one, other, expect) in [
            ("foo", &["1"][..], &["1"][..], true),
            ("foo", &["1"], &["2"], false),
            ("foo", &[], &["1"], false),
            ("foo", &[], &[""], false),
            ("foo", &[], &[], true),
            ("foo", &["1, 2"], &["1", "2"], true),
            ("foo", &["1,2"], &[" 1, 2 "], true),
            ("foo", &["1,2"], &["2,1"], false),
            ("foo", &["1 2"], &["12"], false),
            ("foo", &["a"], &["A"], false),
            ("foo", &["\"1, 2\""], &["\"1,2\""], false),
            ("cookie", &["a=1,b"], &["a=1, b"], false),
            ("cookie", &["a", "b"], &["a, b"], false),
            ("authorization", &["x y"], &["x y"], true),
            ("accept-language", &["en, de"], &["de, en"], true),
            ("accept-language", &["en, de"], &["eN, De"], true),
            ("accept-language", &["en, de"], &[" en ,   de"], true),
            ("accept-language", &["en, de"], &["en", "de"], true),
            ("accept-language", &["en;q=1.0, de;Q=0.50"], &["de;q=0.5,en"], true),
            ("accept-language", &["en, de;q=0.5"], &["en;q=0.5, de"], false),
            ("accept-language", &["en, de"], &["en"], false),
            ("accept-language", &["en;q=0"], &["en"], false),
            ("accept-language", &["en;q=2"], &["en"], false),
            ("accept-language", &["en;q=x, de"], &["de, en;q=x"], false),
            ("accept-encoding", &["gzip, br"], &["br, gzip"], true),
            ("accept-encoding", &["gzip;q=0.8, br;q=0.9"], &["GZIP,br"], true),
            ("accept-encoding", &["x-gzip"], &["gzip"], true),
            ("accept-encoding", &["gzip"], &["gzip;q=0"], false),
            ("accept-encoding", &["gzip"], &["gzip, identity;q=0"], false),
            ("accept-encoding", &["gzip"], &["br"], false),
            ("accept-encoding", &[""], &["gzip"], false),
        ] {
            let request =
                |values: &[&'static str]| -> Vec<_> { values.iter().map(|value| (name, *value)).collect() };
            let same = key(&[name], &request(one)) == key(&[name], &request(other));
            assert_eq!(same, expect, "{name}: {one:?} and {other:?}");
        }
    }

    #[test]
    fn names_do_not_run_together() {
        let names = &["bar", "baz", "foo"];
        let one = key(names, &[("foo", "1"), ("bar", "abc"), ("baz", "789")]);
        for (request, expect) in [
            (&[("baz", "789"), ("foo", "1"), ("bar", "abc"), ("other", "3")][..], true),
            (&[("foo", "2"), ("bar", "abc"), ("baz", "789")], false),
            (&[("foo", "1"), ("bar", "abc4"), ("baz", "789")], false),
            (&[("foo", "1"), ("baz", "789")], false),
            (&[("foo", "abc"), ("bar", "1"), ("baz", "789")], false),
        ] {
            assert_eq!(key(names, request) == one, expect, "{request:?}");
        }
        assert!(key(&[], &[("foo", "1")]).is_empty());
    }

    #[test]
    fn long_lists_are_compared_as_they_are() {
        let many: Vec<String> = (0..100).map(|nth| format!("l{nth}")).collect();
        let reversed: Vec<String> = many.iter().rev().cloned().collect();
        let of = |values: &[String]| key(&["accept-language"], &[("accept-language", &values.join(", "))]);
        assert_eq!(of(&many), of(&many));
        assert_ne!(of(&many), of(&reversed));
    }

    proptest! {
        #[test]
        fn different_pairs_have_different_keys(
            one in ("[a-c]{0,3}", "[a-c]{0,3}"), other in ("[a-c]{0,3}", "[a-c]{0,3}"),
        ) {
            let of = |pair: &(String, String)| key(&["a", "b"], &[("a", &pair.0), ("b", &pair.1)]);
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }

        #[test]
        fn nothing_panics(value in "[a-zA-Z0-9;=.,*\" -]{0,60}") {
            for name in ["accept-language", "accept-encoding", "foo", "cookie"] {
                let request = [(name, value.trim())];
                prop_assert_eq!(key(&[name], &request), key(&[name], &request));
            }
        }
    }
}
