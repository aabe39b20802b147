//! Keys of stored answers: every part is preceded by its length, so that no two lists of parts look alike. Parts are the bytes of
//! the request as they came: two spellings of one address have two keys, and never each other's answer.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use tidegate_cache::lines::Lines;
use tidegate_proto::{
    compiled::caches::{KeyParameterV1, MethodCacheV1, StageCacheV1},
    limits::CACHE_KEY_BYTES_MAX,
};

use super::Rule;

/// What of a request's first line is in its key.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'r> {
    /// The path after the stage, as it came.
    pub rest: &'r str,
    /// The query without the question mark, as it came.
    pub query: Option<&'r str>,
}

impl Rule {
    /// Appends the key of a request; `false` when it would be too long, and `out` is then of no use.
    #[inline]
    pub fn write_key(&self, parts: KeyParts<'_>, headers: &(impl Lines + ?Sized), out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.prefix);
        push(parts.rest.as_bytes(), out);
        if self.is_http() {
            // No query and an empty one are two addresses.
            out.push(u8::from(parts.query.is_some()));
            push(parts.query.unwrap_or_default().as_bytes(), out);
        } else {
            for parameter in &self.parameters {
                push_parameter(parameter, parts.query, headers, out);
            }
        }
        out.len() <= CACHE_KEY_BYTES_MAX
    }
}

/// Appends all values of a parameter, and how many they are.
fn push_parameter(
    parameter: &KeyParameterV1,
    query: Option<&str>,
    headers: &(impl Lines + ?Sized),
    out: &mut Vec<u8>,
) {
    let mut count = 0_u32;
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    match parameter {
        KeyParameterV1::Query(wanted) => {
            for pair in query.unwrap_or_default().split('&') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if decoded(name).as_ref() == wanted.as_bytes() {
                    push(value.as_bytes(), out);
                    count += 1;
                }
            }
        }
        KeyParameterV1::Header(name) => {
            for value in headers.lines(name) {
                push(value, out);
                count += 1;
            }
        }
    }
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&count.to_le_bytes());
    }
}

/// The name of a parameter, as mappings read it.
fn decoded(name: &str) -> Cow<'_, [u8]> {
    match name.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        false => Cow::Borrowed(name.as_bytes()),
        true => percent_decode(name.replace('+', " ").as_bytes()).collect::<Vec<u8>>().into(),
    }
}

/// What makes the cache of a stage another cache.
pub(super) fn scope(own: &StageCacheV1, deployment: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [&own.api, &own.stage, deployment] {
        push(part.as_bytes(), &mut out);
    }
    out.extend_from_slice(&own.epoch.to_le_bytes());
    out
}

/// The API and the stage that a key names.
pub(super) fn named(key: &[u8]) -> Option<(&str, &str)> {
    let part = |bytes| {
        let (length, rest): (&[u8; 4], &[u8]) = <[u8]>::split_first_chunk(bytes)?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some((std::str::from_utf8(part).ok()?, rest))
    };
    let (api, rest) = part(key)?;
    let (stage, _) = part(rest)?;
    Some((api, stage))
}

/// What every key of a method begins with.
pub(super) fn prefix(scope: &[u8], method: &MethodCacheV1, verb: &str) -> Box<[u8]> {
    let mut out = scope.to_vec();
    out.push(method.mode as u8);
    push(method.namespace.as_bytes(), &mut out);
    push(verb.as_bytes(), &mut out);
    out.into()
}

fn push(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(part.len() as u32).to_le_bytes());
    out.extend_from_slice(part);
}
