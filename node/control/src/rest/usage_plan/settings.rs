//! Throttles, quotas and stages of usage plans, as requests bring them. Owns their ranges; must never read a plan.

use tidegate_proto::document::{ApiStage, Map, MethodPath, QuotaPeriod, QuotaSettings, ThrottleSettings};

use crate::{
    error::ApiError,
    input::{Input, enumeration},
    rest::unsupported::Shape,
};

/// Last day of a week that an offset may name (*AWS*).
const WEEK_OFFSET_MAX: u64 = 6;
/// Last day of a month that an offset may name (*AWS*).
const MONTH_OFFSET_MAX: u64 = 27;

/// Reads `apiStages`.
pub(super) fn read_stages(input: &mut Input) -> Result<Vec<ApiStage>, ApiError> {
    let mut stages = Vec::new();
    for mut inner in input.objects("apiStages")? {
        let api_id = inner.string("apiId")?.unwrap_or_default();
        let stage = inner.string("stage")?.unwrap_or_default();
        if api_id.is_empty() || stage.is_empty() {
            return Err(invalid_stage());
        }
        let mut throttle = Map::new();
        for (name, mut limits) in inner.object_map("throttle")? {
            let settings = read_limits(&mut limits)?;
            input.absorb(limits, Shape::UsagePlan)?;
            if throttle.insert(method_name(&name)?, settings).is_some() {
                return Err(ApiError::bad_request(format!("The method {name} is limited twice")));
            }
        }
        input.absorb(inner, Shape::UsagePlan)?;
        stages.push(ApiStage { api_id, stage, throttle, ..ApiStage::default() });
    }
    Ok(stages)
}

/// Reads `throttle`; an empty one is none.
pub(super) fn read_throttle(input: &mut Input) -> Result<Option<ThrottleSettings>, ApiError> {
    let Some(mut inner) = input.object("throttle")? else { return Ok(None) };
    let settings = read_limits(&mut inner)?;
    input.absorb(inner, Shape::UsagePlan)?;
    Ok(Some(settings).filter(|settings| *settings != ThrottleSettings::default()))
}

/// Reads `quota`; an empty one is none.
pub(super) fn read_quota(input: &mut Input) -> Result<Option<QuotaSettings>, ApiError> {
    let Some(mut inner) = input.object("quota")? else { return Ok(None) };
    let (limit, offset) = (inner.integer("limit")?, inner.integer("offset")?);
    let period = inner.string("period")?;
    input.absorb(inner, Shape::UsagePlan)?;
    if let Some(period) = period.as_deref().filter(|name| QuotaPeriod::from_name(name).is_none()) {
        input.violate(period, "quota.period", &enumeration(&QuotaPeriod::ALL.map(|(name, _)| name)));
        return Ok(None);
    }
    let whole = |field: &str, value: Option<i64>| match value {
        None => Ok(None),
        Some(value) => match u64::try_from(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(not_whole(field, &value.to_string())),
        },
    };
    let (limit, offset) = (whole("quota limit", limit)?, whole("quota offset", offset)?);
    let draft = QuotaDraft { limit, offset, period: period.as_deref().and_then(QuotaPeriod::from_name) };
    draft.finish()
}

/// A quota whose parts are set one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QuotaDraft {
    /// Requests in a period.
    pub limit: Option<u64>,
    /// Requests taken off the first period.
    pub offset: Option<u64>,
    /// How long a period is.
    pub period: Option<QuotaPeriod>,
}

impl QuotaDraft {
    /// The parts of a quota.
    pub(super) fn of(quota: Option<QuotaSettings>) -> Self {
        quota.map_or_else(Self::default, |quota| Self {
            limit: Some(quota.limit),
            offset: Some(quota.offset),
            period: Some(quota.period),
        })
    }

    /// The quota, if anything of it is set.
    pub(super) fn finish(self) -> Result<Option<QuotaSettings>, ApiError> {
        match self {
            Self { limit: None, offset: None, period: None } => Ok(None),
            Self { limit: Some(limit), offset, period: Some(period) } => {
                Ok(Some(QuotaSettings { limit, offset: offset.unwrap_or_default(), period }))
            }
            _ => Err(ApiError::bad_request("Usage Plan quota must have a limit and a period")),
        }
    }
}

/// The ranges of offsets, and AWS's texts for what is outside of them.
pub(super) fn check_quota(quota: QuotaSettings) -> Result<(), ApiError> {
    let rule = match quota.period {
        QuotaPeriod::Day if quota.offset != 0 => "zero in the DAY period".to_owned(),
        QuotaPeriod::Week if quota.offset > WEEK_OFFSET_MAX => {
            format!("between 0 and {WEEK_OFFSET_MAX} inclusive in the WEEK period")
        }
        QuotaPeriod::Month if quota.offset > MONTH_OFFSET_MAX => {
            format!("between 0 and {MONTH_OFFSET_MAX} inclusive in the MONTH period")
        }
        QuotaPeriod::Day | QuotaPeriod::Week | QuotaPeriod::Month => return Ok(()),
    };
    Err(ApiError::bad_request(format!("Usage Plan quota offset must be {rule}")))
}

/// The form in which limits per method are kept and printed, out of whatever form a client wrote.
pub(super) fn method_name(name: &str) -> Result<String, ApiError> {
    match MethodPath::parse(name) {
        Some(MethodPath::One { path, verb }) => Ok(format!("{path}/{verb}")),
        Some(MethodPath::All) | None => Err(ApiError::bad_request(format!(
            "Invalid method '{name}' specified for throttling, must be a resource path and a method such as /pets/GET"
        ))),
    }
}

/// A rate out of a patch.
pub(in crate::rest) fn parse_rate(text: &str) -> Result<f64, ApiError> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| not_a_rate(text))
}

/// A burst out of a patch.
pub(in crate::rest) fn parse_burst(text: &str) -> Result<u32, ApiError> {
    text.parse().map_err(|_| not_whole("throttle burst limit", text))
}

/// A number of requests out of a patch.
pub(super) fn parse_whole(field: &str, text: &str) -> Result<u64, ApiError> {
    // AWS's numbers are signed, and clients read them so.
    let number = text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| not_whole(field, text))
}

/// What shall remain of a quota, out of a patch.
pub(in crate::rest) fn read_remaining(text: &str) -> Result<u64, ApiError> {
    parse_whole("remaining", text)
}

/// A stage of a plan that nobody can name.
pub(super) fn invalid_stage() -> ApiError {
    ApiError::bad_request("Invalid API Stage specified")
}

fn read_limits(input: &mut Input) -> Result<ThrottleSettings, ApiError> {
    let burst_limit = match input.integer("burstLimit")? {
        None => None,
        Some(burst) => Some(parse_burst(&burst.to_string())?),
    };
    let rate_limit = match input.number("rateLimit")? {
        None => None,
        Some(rate) if rate >= 0.0 && rate.is_finite() => Some(rate),
        Some(rate) => return Err(not_a_rate(&rate.to_string())),
    };
    Ok(ThrottleSettings { burst_limit, rate_limit })
}

fn not_a_rate(text: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Invalid value '{text}' specified for throttle rate limit, must be a number of at least 0"
    ))
}

fn not_whole(field: &str, text: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Invalid value '{text}' specified for {field}, must be a whole number of at least 0"
    ))
}
