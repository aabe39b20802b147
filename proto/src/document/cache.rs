//! How answers of a stage are cached: read from its tags, its cache cluster and what was purged. Owns the names of those tags and
//! their values; must never store an answer.

use serde::{Deserialize, Serialize};

use super::{
    Map,
    policy::{TagError, choice, flag},
};
use crate::limits::CACHE_PURGES_MAX;

/// Tag of stages: by which rules answers are cached.
pub const CACHE: &str = "tidegate:cache";
/// Tag of stages: what a node does with stored answers while it cannot reach the others.
pub const CACHE_ISOLATED: &str = "tidegate:cache-isolated";
/// Tag of stages: whether every answer says what the cache did; otherwise those do whose request asks.
pub const CACHE_STATUS: &str = "tidegate:cache-status";
/// Tag of stages: whether answers that set cookies are stored and shared.
pub const CACHE_COOKIES: &str = "tidegate:cache-set-cookie";
/// Tag of stages: headers of requests that no answer depends on, though they are in no key; separated by spaces.
pub const CACHE_UNKEYED: &str = "tidegate:cache-unkeyed-headers";
/// Sizes that a cache cluster can have, in GB. AWS: `CacheClusterSize`.
pub const CACHE_SIZES: [&str; 8] = ["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"];
/// The size that AWS takes where none is given.
pub const CACHE_SIZE_DEFAULT: &str = "0.5";

/// By which rules answers are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// As API Gateway does: for a time that the stage sets, by the parameters that the integration names.
    Aws,
    /// As HTTP defines it (RFC 9111): what requests and answers say.
    Rfc9111,
    /// Not at all.
    Off,
}

/// What the tags of a stage say about its cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// By which rules; `None` leaves it to the stage's cache cluster and its methods.
    pub mode: Option<CacheMode>,
    /// Whether a node that cannot know whether answers were flushed serves them all the same.
    pub serves_isolated: bool,
    /// Whether every answer says what the cache did.
    pub tells_always: bool,
    /// Whether answers that set cookies are shared.
    pub shares_cookies: bool,
    /// Headers of requests that no answer depends on, in lower case.
    pub unkeyed_headers: Vec<String>,
}

/// What was taken out of a stage's cache: answers that were stored before are not served any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheGeneration {
    /// Counts flushes of everything, from the revision at which the stage was made: a stage of the same name that was deleted stays
    /// behind it.
    pub epoch: u64,
    /// Number of the newest purge.
    pub sequence: u64,
    /// Purges of a part, oldest first; a flush of everything takes their place, also when there would be too many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purges: Vec<CachePurge>,
}

/// A part of a stage's cache that was taken out: what fits every given field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CachePurge {
    /// Its number: answers that were stored under a smaller one are concerned.
    pub sequence: u64,
    /// Verb of the method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// Path of the resource, with braces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Start of the path after the stage, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag that the answer had in `Cache-Tag` or `Surrogate-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl CacheGeneration {
    /// Of a stage that is made by the change after this revision.
    pub fn after(revision: u64) -> Self {
        let next = revision.saturating_add(1);
        Self { epoch: next, sequence: next, purges: Vec::new() }
    }

    /// Takes everything out.
    pub fn flush(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        self.sequence = self.sequence.saturating_add(1);
        self.purges.clear();
    }

    /// Takes a part out, or everything where `purge` names no part or there are [`CACHE_PURGES_MAX`] of them already. Says whether
    /// it was a part.
    pub fn purge(&mut self, purge: CachePurge) -> bool {
        let is_part = CachePurge { sequence: 0, ..purge.clone() } != CachePurge::default();
        if !is_part || self.purges.len() >= CACHE_PURGES_MAX {
            self.flush();
            return false;
        }
        self.sequence = self.sequence.saturating_add(1);
        self.purges.push(CachePurge { sequence: self.sequence, ..purge });
        true
    }
}

impl CacheMode {
    /// Its name, as [`CacheMode::parse`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Rfc9111 => "rfc9111",
            Self::Off => "off",
        }
    }

    /// Reads the value of [`CACHE`], or of `x-tidegate-cache` in an OpenAPI document.
    pub fn parse(text: &str) -> Option<Self> {
        MODES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode)
    }
}

/// Names of the modes.
const MODES: [(&str, CacheMode); 3] =
    [("aws", CacheMode::Aws), ("rfc9111", CacheMode::Rfc9111), ("off", CacheMode::Off)];
/// What a mode must be.
pub const CACHE_MODE_RULE: &str = "must be aws, rfc9111 or off";

impl CachePolicy {
    /// Reads the policy of a stage; absent tags have their defaults.
    ///
    /// # Errors
    /// A value out of range.
    pub fn from_tags(tags: &Map<String>) -> Result<Self, TagError> {
        let isolated = [("serve", true), ("bypass", false)];
        let tells = [("always", true), ("request", false)];
        Ok(Self {
            mode: choice(tags, CACHE, &MODES, CACHE_MODE_RULE)?,
            serves_isolated: choice(tags, CACHE_ISOLATED, &isolated, "must be serve or bypass")?
                .unwrap_or_default(),
            tells_always: choice(tags, CACHE_STATUS, &tells, "must be always or request")?
                .unwrap_or_default(),
            shares_cookies: flag(tags, CACHE_COOKIES)?,
            unkeyed_headers: names(tags, CACHE_UNKEYED)?,
        })
    }
}

/// Names of headers in a tag.
fn names(tags: &Map<String>, tag: &'static str) -> Result<Vec<String>, TagError> {
    let Some(value) = tags.get(tag) else { return Ok(Vec::new()) };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let names: Vec<String> = value.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    // Whose they are, answers depend on.
    let is_fit = |name: &String| name.bytes().all(is_letter) && name != "authorization" && name != "cookie";
    if names.is_empty() || !names.iter().all(is_fit) {
        let rule = "must be names of headers other than Authorization and Cookie, separated by spaces";
        return Err(TagError { tag, value: value.clone(), rule });
    }
    Ok(names)
}

/// Bytes of a cache cluster's size; GB are decimal, as AWS prints them.
pub fn cache_bytes(size: &str) -> Option<u64> {
    let gigabytes: f64 = CACHE_SIZES.iter().find(|known| **known == size)?.parse().ok()?;
    Some((gigabytes * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_strictly() {
        let read = |pairs: &[(&str, &str)]| {
            let tags = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            CachePolicy::from_tags(&tags).map_err(|error| error.to_string())
        };
        let none = CachePolicy::default;
        let unkeyed = vec!["x-tenant".to_owned(), "x-a_b".to_owned()];
        for (pairs, expect) in [
            (&[][..], Ok(none())),
            (&[(CACHE, "rfc9111")], Ok(CachePolicy { mode: Some(CacheMode::Rfc9111), ..none() })),
            (&[(CACHE, "off")], Ok(CachePolicy { mode: Some(CacheMode::Off), ..none() })),
            (&[(CACHE_ISOLATED, "serve")], Ok(CachePolicy { serves_isolated: true, ..none() })),
            (&[(CACHE_STATUS, "always")], Ok(CachePolicy { tells_always: true, ..none() })),
            (&[(CACHE_COOKIES, "true")], Ok(CachePolicy { shares_cookies: true, ..none() })),
            (&[(CACHE_UNKEYED, "X-Tenant  x-a_b")], Ok(CachePolicy { unkeyed_headers: unkeyed, ..none() })),
            (
                &[(CACHE, "RFC9111")],
                Err("Invalid value 'RFC9111' of tag tidegate:cache: must be aws, rfc9111 or off".to_owned()),
            ),
        ] {
            assert_eq!(read(pairs), expect, "{pairs:?}");
        }
    }

    #[test]
    fn too_many_purges_are_a_flush() {
        let mut generation = CacheGeneration::after(6);
        let purge = CachePurge { tag: Some("a".into()), ..CachePurge::default() };
        for count in 1..=CACHE_PURGES_MAX as u64 {
            assert!(generation.purge(purge.clone()));
            assert_eq!((generation.epoch, generation.sequence), (7, 7 + count));
        }
        let newest = generation.purges.last().map(|purge| purge.sequence);
        assert_eq!(newest, Some(generation.sequence));
        assert!(!generation.purge(purge.clone()));
        assert_eq!((generation.epoch, generation.purges.len()), (8, 0));
        let before = generation.sequence;
        assert!(generation.purge(purge) && !generation.purge(CachePurge::default()));
        assert_eq!((generation.epoch, generation.sequence, generation.purges.len()), (9, before + 2, 0));
    }

    #[test]
    fn modes_have_names() {
        assert!(
            MODES.iter().all(|(name, mode)| mode.name() == *name && CacheMode::parse(name) == Some(*mode))
        );
    }

    #[test]
    fn sizes_are_those_of_aws() {
        assert_eq!((cache_bytes("0.5"), cache_bytes("237")), (Some(500_000_000), Some(237_000_000_000)));
        assert_eq!((cache_bytes("1"), cache_bytes("")), (None, None));
        assert!(CACHE_SIZES.iter().all(|size| cache_bytes(size).is_some()));
    }
}
