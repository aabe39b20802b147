//! Owns which headers of a request an answer depends on, and the key that tells requests apart by them (RFC 9111 §4.1). Must never
//! store a key.

mod normal;

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, VARY};
use http::{HeaderMap, HeaderName};
use tidegate_proto::limits::CACHE_VARY_NAMES_MAX;

use crate::list::{Escapes, members};

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
pub fn write_secondary_key(names: &[HeaderName], request: &HeaderMap, key: &mut Vec<u8>) {
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

fn value(name: &HeaderName, request: &HeaderMap, key: &mut Vec<u8>) {
    let lines = || request.get_all(name).iter().map(|line| line.as_bytes());
    if !request.contains_key(name) {
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
