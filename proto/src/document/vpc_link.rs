//! VPC links: the documents, and the targets that their tags name. Owns the names of those tags and their values; must never resolve a
//! name.

mod entry;

use serde::{Deserialize, Serialize};

use super::{Document, Map, Other};
use crate::limits::{
    CHECK_INTERVAL_S_DEFAULT, CHECK_INTERVAL_S_MAX, CHECK_TIMEOUT_S_DEFAULT, CHECK_TIMEOUT_S_MAX,
    INTEGRATION_TIMEOUT_MS_MAX, INTEGRATION_TIMEOUT_MS_MIN, LINK_TARGETS_MAX,
};

pub use entry::TargetEntry;

/// Tag: targets of no availability zone; with a colon and a zone behind it, of that zone.
pub const TARGETS: &str = "tidegate:targets";
/// Tag: the path that health checks ask for; absent, they connect only.
pub const HEALTH_CHECK: &str = "tidegate:health-check";
/// Tag: how that path is asked for.
pub const HEALTH_CHECK_PROTOCOL: &str = "tidegate:health-check-protocol";
/// Tag: seconds between health checks of a target.
pub const HEALTH_CHECK_INTERVAL: &str = "tidegate:health-check-interval";
/// Tag: seconds that a health check may take.
pub const HEALTH_CHECK_TIMEOUT: &str = "tidegate:health-check-timeout";
/// Tag: milliseconds that the first of two tries may take.
pub const TRY_TIMEOUT: &str = "tidegate:try-timeout";

/// A way into a private network. AWS: `VpcLink`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VpcLink {
    /// 6 lower-case alphanumeric characters.
    pub id: String,
    /// Display name; need not be unique.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A load balancer of AWS's; kept, and not looked at.
    pub target_arns: Vec<String>,
    /// Tags; [`LinkTargets`] reads some of them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for VpcLink {
    const NOUN: &'static str = "VpcLink";
}

/// Where a link leads, as its tags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTargets {
    /// The targets, in the order of the tags.
    pub targets: Vec<LinkTarget>,
    /// How their health is checked.
    pub check: LinkCheck,
    /// How long the first of two tries may take, in milliseconds; absent: half of the call's time.
    pub try_timeout_ms: Option<u32>,
}

/// One entry of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTarget {
    /// Availability zone; empty where none is named.
    pub az: String,
    /// What is there.
    pub entry: TargetEntry,
}

/// How the health of a link's targets is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCheck {
    /// What must succeed.
    pub kind: CheckKind,
    /// Time between two checks of a target, in seconds.
    pub interval_s: u32,
    /// Time that a check may take, in seconds.
    pub timeout_s: u32,
}

/// What a health check does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// It connects.
    Tcp,
    /// It asks for a path in the clear; answers of 200 to 399 are good.
    Http(String),
    /// The same over TLS, whatever the certificate says.
    Https(String),
}

/// A tag that says nothing a link can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value '{value}' of tag {tag}: {rule}")]
pub struct LinkTagError {
    /// Name of the tag.
    pub tag: String,
    /// Its value, or the part of it that is wrong.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

impl LinkTargets {
    /// Reads the tags of a link.
    ///
    /// # Errors
    /// A value that names no target, or a setting out of its range.
    pub fn from_tags(tags: &Map<String>) -> Result<Self, LinkTagError> {
        let mut targets: Vec<LinkTarget> = Vec::new();
        for (tag, value) in tags {
            let Some(az) = zone(tag)? else { continue };
            for word in value.split_ascii_whitespace() {
                let entry = word.parse().map_err(|rule: &str| error(tag, word, rule))?;
                let target = LinkTarget { az: az.to_owned(), entry };
                if targets.iter().any(|known| known.entry == target.entry) {
                    return Err(error(tag, word, "must be named once, in one zone"));
                }
                if targets.len() >= LINK_TARGETS_MAX {
                    return Err(error(tag, word, &format!("a link has {LINK_TARGETS_MAX} targets at most")));
                }
                targets.push(target);
            }
        }
        let first_ms = (INTEGRATION_TIMEOUT_MS_MIN, INTEGRATION_TIMEOUT_MS_MAX);
        let try_timeout_ms = number(tags, TRY_TIMEOUT, first_ms.0, first_ms.1)?;
        Ok(Self { targets, check: LinkCheck::from_tags(tags)?, try_timeout_ms })
    }
}

impl LinkCheck {
    fn from_tags(tags: &Map<String>) -> Result<Self, LinkTagError> {
        let path = tags.get(HEALTH_CHECK).map(String::as_str);
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(path) = path.filter(|path| !is_path(path)) {
            return Err(error(HEALTH_CHECK, path, "must be a path that starts with a slash"));
        }
        let protocol = tags.get(HEALTH_CHECK_PROTOCOL).map(String::as_str);
        let kind = match (protocol, path) {
            (None | Some("tcp"), None) => CheckKind::Tcp,
            (None | Some("http"), Some(path)) => CheckKind::Http(path.to_owned()),
            (Some("https"), Some(path)) => CheckKind::Https(path.to_owned()),
            (Some(given @ ("http" | "https")), None) => {
                return Err(error(
                    HEALTH_CHECK_PROTOCOL,
                    given,
                    "needs the tag tidegate:health-check beside it",
                ));
            }
            (Some(given), _) => {
                let rule = "must be http or https where there is a path, else tcp";
                return Err(error(HEALTH_CHECK_PROTOCOL, given, rule));
            }
        };
        let interval_s = number(tags, HEALTH_CHECK_INTERVAL, 1, CHECK_INTERVAL_S_MAX)?;
        let timeout_s = number(tags, HEALTH_CHECK_TIMEOUT, 1, CHECK_TIMEOUT_S_MAX)?;
        Ok(Self {
            kind,
            interval_s: interval_s.unwrap_or(CHECK_INTERVAL_S_DEFAULT),
            timeout_s: timeout_s.unwrap_or(CHECK_TIMEOUT_S_DEFAULT),
        })
    }
}

/// The zone that a tag of targets is about. Several tags can be about one, as the value of a tag is short: what stands behind a second
/// colon only tells them apart.
fn zone(tag: &str) -> Result<Option<&str>, LinkTagError> {
    let Some(rest) = tag.strip_prefix(TARGETS) else { return Ok(None) };
    let Some(rest) = rest.strip_prefix(':') else { return Ok(rest.is_empty().then_some("")) };
    let az = rest.split(':').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if az.len() > 32 || !az.bytes().all(is_plain) {
        return Err(error(tag, az, "the zone must be at most 32 of a-z, 0-9 and -"));
    }
    Ok(Some(az))
}

fn number(tags: &Map<String>, tag: &str, least: u32, most: u32) -> Result<Option<u32>, LinkTagError> {
    let Some(text) = tags.get(tag) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    let rule = || error(tag, text, &format!("must be a whole number from {least} to {most}"));
    number.ok_or_else(rule).map(Some)
}

fn error(tag: &str, value: &str, rule: &str) -> LinkTagError {
    LinkTagError { tag: tag.to_owned(), value: value.to_owned(), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests;
