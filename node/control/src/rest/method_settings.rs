//! Settings of the methods of a stage. Owns their patch paths, in which the name of a method is everything but the ends; must never
//! apply a setting.

use serde_json::json;
use tidegate_proto::{
    document::{Map, MethodPath, MethodSetting},
    limits::{CACHE_TTL_S_MAX, METHOD_SETTINGS_MAX},
};

use super::unsupported;
use crate::{
    error::ApiError,
    patch::{self, Op, Patch},
};

/// What a patch may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    BurstLimit,
    RateLimit,
    LoggingLevel,
    CachingEnabled,
    CacheTtl,
    CacheEncrypted,
    CacheAuthorization,
    CacheStrategy,
    /// A field of a later version: only the value that every setting begins with is taken.
    Fixed(&'static str),
}

/// The ends of patch paths.
const FIELDS: [(&str, Field); 10] = [
    ("/throttling/burstLimit", Field::BurstLimit),
    ("/throttling/rateLimit", Field::RateLimit),
    ("/logging/loglevel", Field::LoggingLevel),
    ("/logging/dataTrace", Field::Fixed("false")),
    ("/metrics/enabled", Field::Fixed("false")),
    ("/caching/enabled", Field::CachingEnabled),
    ("/caching/ttlInSeconds", Field::CacheTtl),
    ("/caching/dataEncrypted", Field::CacheEncrypted),
    ("/caching/requireAuthorizationForCacheControl", Field::CacheAuthorization),
    ("/caching/unauthorizedCacheControlHeaderStrategy", Field::CacheStrategy),
];

/// What a caller gets who may not have a cached answer replaced.
const STRATEGIES: [&str; 3] =
    ["FAIL_WITH_403", "SUCCEED_WITH_RESPONSE_HEADER", "SUCCEED_WITHOUT_RESPONSE_HEADER"];

/// Carries out a patch if it is one of method settings, and says whether it was. As at AWS, the first value that is set brings the
/// whole setting, and only whole settings are removed.
pub(super) fn apply(settings: &mut Map<MethodSetting>, patch: &Patch) -> Result<bool, ApiError> {
    let Some(name) = patch.path.strip_prefix('/') else { return Ok(false) };
    if patch.op == Op::Remove {
        return Ok(settings.remove(name).is_some());
    }
    let named = FIELDS.iter().find_map(|(end, field)| Some((name.strip_suffix(end)?, *field)));
    let Some((name, field)) = named else { return Ok(false) };
    let Some(methods) = MethodPath::parse(name) else { return Err(wrong_name(name, patch)) };
    if patch.op != Op::Replace {
        let (op, path) = (patch::name(patch.op), &patch.path);
        return Err(ApiError::bad_request(format!("Invalid {op} operation with path: {path}")));
    }
    let is_other = |other: &&String| *other != name && MethodPath::parse(other).as_ref() == Some(&methods);
    if let Some(other) = settings.keys().find(is_other) {
        return Err(ApiError::bad_request(format!(
            "Method setting {name} is there already under the name {other}"
        )));
    }
    if settings.len() >= METHOD_SETTINGS_MAX && !settings.contains_key(name) {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of method settings for this stage has been reached: {METHOD_SETTINGS_MAX}"
        )));
    }
    set(settings.entry(name.to_owned()).or_default(), field, patch)?;
    Ok(true)
}

fn set(setting: &mut MethodSetting, field: Field, patch: &Patch) -> Result<(), ApiError> {
    let value = patch.value.as_deref().unwrap_or_default();
    let flag = |what: &str| match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid(value, what, "true or false")),
    };
    match field {
        Field::BurstLimit => {
            let burst = value.parse::<i64>().ok().filter(|burst| (-1..=i64::from(u32::MAX)).contains(burst));
            let rule = "a whole number of at least 0, or -1 for no limit";
            setting.throttling_burst_limit =
                burst.ok_or_else(|| invalid(value, "throttling burst limit", rule))?;
        }
        Field::RateLimit => {
            let is_rate = |rate: &f64| rate.is_finite() && (*rate >= 0.0 || *rate == -1.0);
            let rule = "a number of at least 0, or -1 for no limit";
            let rate = value.parse::<f64>().ok().filter(is_rate);
            setting.throttling_rate_limit =
                rate.ok_or_else(|| invalid(value, "throttling rate limit", rule))?;
        }
        Field::CachingEnabled => setting.caching_enabled = flag("caching enabled")?,
        Field::CacheTtl => {
            let ttl = value.parse::<i64>().ok().filter(|ttl| (0..=CACHE_TTL_S_MAX).contains(ttl));
            let rule = || format!("a whole number of seconds from 0 to {CACHE_TTL_S_MAX}");
            setting.cache_ttl_in_seconds =
                ttl.ok_or_else(|| invalid(value, "caching ttlInSeconds", &rule()))?;
        }
        Field::CacheEncrypted => setting.cache_data_encrypted = flag("caching dataEncrypted")?,
        Field::CacheAuthorization => {
            setting.require_authorization_for_cache_control =
                flag("caching requireAuthorizationForCacheControl")?;
        }
        Field::CacheStrategy if STRATEGIES.contains(&value) => {
            value.clone_into(&mut setting.unauthorized_cache_control_header_strategy);
        }
        Field::CacheStrategy => {
            let rule = format!("one of [{}]", STRATEGIES.join(", "));
            return Err(invalid(value, "caching unauthorizedCacheControlHeaderStrategy", &rule));
        }
        Field::LoggingLevel if value == "OFF" => setting.logging_level = Some(value.to_owned()),
        Field::Fixed(only) if value.eq_ignore_ascii_case(only) => {}
        Field::LoggingLevel | Field::Fixed(_) => {
            return Err(unsupported::refusal("This setting per method", &patch.path, &json!(value)));
        }
    }
    Ok(())
}

fn invalid(value: &str, what: &str, rule: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value '{value}' specified for {what}, must be {rule}"))
}

fn wrong_name(name: &str, patch: &Patch) -> ApiError {
    let is_half = name.starts_with("*/") || name.starts_with("/*/") || name.ends_with("/*");
    match is_half {
        true => unsupported::refusal("A setting for some of the methods", "methodSettings", &json!(name)),
        false => patch::wrong_setting_path(&patch.path),
    }
}
