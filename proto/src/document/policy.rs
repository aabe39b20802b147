//! How strictly limits are kept: read from the tags of stages and usage plans. Owns the names of those tags and their values; must
//! never apply a limit.

use super::Map;

/// Tag: whether a limit may never be exceeded.
pub const STRICT: &str = "tidegate:strict";
/// Tag: what a node does while it cannot reach the others.
pub const ISOLATED: &str = "tidegate:isolated";
/// Tag: what counts together.
pub const SCOPE: &str = "tidegate:scope";
/// Tag of stages: whether answers say how much is left.
pub const RATE_LIMIT_HEADERS: &str = "tidegate:rate-limit-headers";
/// Tag of stages: requests per second over all methods together.
pub const STAGE_RATE_LIMIT: &str = "tidegate:stage-rate-limit";
/// Tag of stages: requests at once over all methods together.
pub const STAGE_BURST_LIMIT: &str = "tidegate:stage-burst-limit";

/// How the limits of a stage or a usage plan are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitPolicy {
    /// Whether a limit may never be exceeded, at the price of asking before requests are let through. Implies
    /// [`Isolated::Closed`].
    pub strict: bool,
    /// What a node does while it cannot reach the others.
    pub isolated: Isolated,
    /// What counts together.
    pub scope: Scope,
}

/// What a node does with a limit while it cannot reach the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolated {
    /// It goes on with an even share of the limit.
    #[default]
    Even,
    /// It goes on with the share that it had last.
    Last,
    /// It lets nothing through.
    Closed,
}

/// What counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All nodes of one region; each region has the whole limit.
    #[default]
    Region,
    /// All nodes of all regions.
    Global,
}

/// Limits that only stages have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageLimits {
    /// Whether answers say how much is left.
    pub rate_limit_headers: bool,
    /// One bucket over all methods of the stage; `None`: no such limit.
    pub bucket: Option<StageBucket>,
}

/// A token bucket over all methods of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageBucket {
    /// Requests per second in the long run; above 0 and finite.
    pub rate_limit: f64,
    /// Requests that may come at once; at least 1. Without a tag of its own: the rate of one second, rounded up.
    pub burst_limit: u32,
}

/// A tag with a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value '{value}' of tag {tag}: {rule}")]
pub struct TagError {
    /// Name of the tag.
    pub tag: &'static str,
    /// Its value.
    pub value: String,
    /// What a value must be.
    pub rule: &'static str,
}

impl LimitPolicy {
    /// Reads the policy of a stage or a usage plan; absent tags have their defaults.
    ///
    /// # Errors
    /// A value out of range, or two that contradict each other.
    pub fn from_tags(tags: &Map<String>) -> Result<Self, TagError> {
        let strict = flag(tags, STRICT)?;
        let isolated = choice(
            tags,
            ISOLATED,
            &[("even", Isolated::Even), ("last", Isolated::Last), ("closed", Isolated::Closed)],
            "must be even, last or closed",
        )?;
        let scope = choice(
            tags,
            SCOPE,
            &[("region", Scope::Region), ("global", Scope::Global)],
            "must be region or global",
        )?;
        match isolated {
            Some(Isolated::Even | Isolated::Last) if strict => {
                let rule = "must be closed, or absent, where tidegate:strict is true";
                Err(error(ISOLATED, tags, rule))
            }
            _ => {
                let default = if strict { Isolated::Closed } else { Isolated::default() };
                Ok(Self { strict, isolated: isolated.unwrap_or(default), scope: scope.unwrap_or_default() })
            }
        }
    }
}

impl StageLimits {
    /// Reads the limits of a stage; absent tags have their defaults.
    ///
    /// # Errors
    /// A value out of range, or a burst limit without a rate limit.
    pub fn from_tags(tags: &Map<String>) -> Result<Self, TagError> {
        let rate_limit_headers = flag(tags, RATE_LIMIT_HEADERS)?;
        let rate_limit = match tags.get(STAGE_RATE_LIMIT).map(|text| text.parse::<f64>()) {
            None => None,
            Some(Ok(rate)) if rate > 0.0 && rate.is_finite() => Some(rate),
            Some(_) => return Err(error(STAGE_RATE_LIMIT, tags, "must be a number above 0")),
        };
        let burst_limit = match tags.get(STAGE_BURST_LIMIT).map(|text| text.parse::<u32>()) {
            None => None,
            Some(Ok(burst)) if burst >= 1 => Some(burst),
            Some(_) => return Err(error(STAGE_BURST_LIMIT, tags, "must be a whole number of at least 1")),
        };
        let bucket = match (rate_limit, burst_limit) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(error(
                    STAGE_BURST_LIMIT,
                    tags,
                    "needs the tag tidegate:stage-rate-limit beside it",
                ));
            }
            // A cast of a float saturates, and the rate is above 0.
            (Some(rate_limit), burst) => {
                let burst_limit = burst.unwrap_or(rate_limit.ceil() as u32);
                Some(StageBucket { rate_limit, burst_limit })
            }
        };
        Ok(Self { rate_limit_headers, bucket })
    }
}

pub(super) fn flag(tags: &Map<String>, tag: &'static str) -> Result<bool, TagError> {
    let set = [("true", true), ("false", false)];
    Ok(choice(tags, tag, &set, "must be true or false")?.unwrap_or_default())
}

pub(super) fn choice<T: Copy>(
    tags: &Map<String>,
    tag: &'static str,
    set: &[(&str, T)],
    rule: &'static str,
) -> Result<Option<T>, TagError> {
    let Some(value) = tags.get(tag) else { return Ok(None) };
    let found = set.iter().find(|(name, _)| name == value);
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| error(tag, tags, rule))
}

pub(super) fn error(tag: &'static str, tags: &Map<String>, rule: &'static str) -> TagError {
    TagError { tag, value: tags.get(tag).cloned().unwrap_or_default(), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tags with what they mean, or the refusal.
    type Case<T> = (&'static [(&'static str, &'static str)], Result<T, String>);

    fn tags(pairs: &[(&str, &str)]) -> Map<String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn policies() {
        let policy = |strict, isolated, scope| Ok(LimitPolicy { strict, isolated, scope });
        let wrong = |text: &str| Err(text.to_owned());
        let cases: [Case<LimitPolicy>; 12] = [
            (&[], policy(false, Isolated::Even, Scope::Region)),
            (&[("other", "x")], policy(false, Isolated::Even, Scope::Region)),
            (&[(STRICT, "false")], policy(false, Isolated::Even, Scope::Region)),
            (&[(STRICT, "true")], policy(true, Isolated::Closed, Scope::Region)),
            (&[(STRICT, "true"), (ISOLATED, "closed")], policy(true, Isolated::Closed, Scope::Region)),
            (&[(ISOLATED, "closed"), (SCOPE, "global")], policy(false, Isolated::Closed, Scope::Global)),
            (&[(ISOLATED, "last"), (SCOPE, "region")], policy(false, Isolated::Last, Scope::Region)),
            (
                &[(STRICT, "TRUE")],
                wrong("Invalid value 'TRUE' of tag tidegate:strict: must be true or false"),
            ),
            (
                &[(ISOLATED, "open")],
                wrong("Invalid value 'open' of tag tidegate:isolated: must be even, last or closed"),
            ),
            (&[(SCOPE, "")], wrong("Invalid value '' of tag tidegate:scope: must be region or global")),
            (
                &[(STRICT, "true"), (ISOLATED, "even")],
                wrong(
                    "Invalid value 'even' of tag tidegate:isolated: must be closed, or absent, where tidegate:strict is true",
                ),
            ),
            (
                &[(STRICT, "true"), (ISOLATED, "last")],
                wrong(
                    "Invalid value 'last' of tag tidegate:isolated: must be closed, or absent, where tidegate:strict is true",
                ),
            ),
        ];
        for (given, expect) in cases {
            let found = LimitPolicy::from_tags(&tags(given)).map_err(|error| error.to_string());
            assert_eq!(found, expect, "{given:?}");
        }
    }

    #[test]
    fn stage_limits() {
        let bucket = |rate_limit, burst_limit| {
            Ok(StageLimits {
                rate_limit_headers: false,
                bucket: Some(StageBucket { rate_limit, burst_limit }),
            })
        };
        let wrong = |tag: &str, value: &str, rule: &str| {
            Err(format!("Invalid value '{value}' of tag tidegate:{tag}: {rule}"))
        };
        const RATE: &str = STAGE_RATE_LIMIT;
        const BURST: &str = STAGE_BURST_LIMIT;
        let cases: [Case<StageLimits>; 14] = [
            (&[], Ok(StageLimits::default())),
            (&[(RATE_LIMIT_HEADERS, "true")], Ok(StageLimits { rate_limit_headers: true, bucket: None })),
            (&[(RATE, "2.5")], bucket(2.5, 3)),
            (&[(RATE, "0.1")], bucket(0.1, 1)),
            (&[(RATE, "100"), (BURST, "7")], bucket(100.0, 7)),
            (&[(RATE, "1e300")], bucket(1e300, u32::MAX)),
            (&[(RATE_LIMIT_HEADERS, "1")], wrong("rate-limit-headers", "1", "must be true or false")),
            (&[(RATE, "0")], wrong("stage-rate-limit", "0", "must be a number above 0")),
            (&[(RATE, "-1")], wrong("stage-rate-limit", "-1", "must be a number above 0")),
            (&[(RATE, "inf")], wrong("stage-rate-limit", "inf", "must be a number above 0")),
            (&[(RATE, "NaN")], wrong("stage-rate-limit", "NaN", "must be a number above 0")),
            (
                &[(RATE, "1"), (BURST, "0")],
                wrong("stage-burst-limit", "0", "must be a whole number of at least 1"),
            ),
            (
                &[(RATE, "1"), (BURST, "1.5")],
                wrong("stage-burst-limit", "1.5", "must be a whole number of at least 1"),
            ),
            (
                &[(BURST, "5")],
                wrong("stage-burst-limit", "5", "needs the tag tidegate:stage-rate-limit beside it"),
            ),
        ];
        for (given, expect) in cases {
            let found = StageLimits::from_tags(&tags(given)).map_err(|error| error.to_string());
            assert_eq!(found, expect, "{given:?}");
        }
    }
}
