//! `UpdateUsagePlan`. Owns the patch paths of plans, in which a stage is one part and a method is the rest, slashes and all; must never
//! check what a plan may be as a whole.

use tidegate_proto::{
    document::{ApiStage, QuotaPeriod, ThrottleSettings, UsagePlan},
    key,
    transaction::TransactionV1,
};
use tidegate_state::table::Versioned;

use super::{
    already_there, check, find, hold_stage, is_same, no_stage, printed,
    settings::{QuotaDraft, invalid_stage, method_name, parse_burst, parse_rate, parse_whole},
};
use crate::{
    answer::Answer,
    call::{Call, Outcome},
    error::ApiError,
    patch::{self, Op, Patch},
    rest::usage_plan_key,
};

const ADD_PATHS: &str = "[/apiStages, /productCode, /quota/limit, /quota/offset, /quota/period, /throttle/burstLimit, /throttle/rateLimit, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>/burstLimit, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>/rateLimit]";
const REPLACE_PATHS: &str = "[/name, /description, /productCode, /quota/limit, /quota/offset, /quota/period, /throttle/burstLimit, /throttle/rateLimit, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>/burstLimit, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>/rateLimit]";
/// In the order, and with the spelling, of AWS.
const REMOVE_PATHS: &str = "[/apiStages, /quota, /throttle, /productCode, /apiStages/<apidId:stageName>/throttle/<resourcePath>/<httpMethod>, /apiStages/<apidId:stageName>/throttle]";

/// `UpdateUsagePlan`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateUsagePlanInput", call.body, &[])?;
    let Versioned { revision, document: before } = find(call)?;
    let mut plan = before.clone();
    let mut quota = QuotaDraft::of(plan.quota);
    for patch in &patches {
        apply(&mut plan, &mut quota, patch)?;
    }
    plan.quota = quota.finish()?;
    let period = |plan: &UsagePlan| plan.quota.map(|quota| quota.period);
    if period(&plan) != period(&before) {
        plan.quota_since_s = plan.quota.map(|_| call.stamps.now_s);
    }
    check(&plan)?;
    let mut transaction = TransactionV1::default();
    let is_new = |one: &&ApiStage| !before.api_stages.iter().any(|other| is_same(one, other));
    for one in plan.api_stages.iter().filter(is_new) {
        hold_stage(call, &mut transaction, one, &plan.id)?;
        usage_plan_key::check_stage(call, &plan, one)?;
    }
    transaction.compare(key::usage_plan(&plan.id), revision).put(key::usage_plan(&plan.id), &plan);
    Ok((transaction, Answer::ok(printed(&plan, true))))
}

/// What a patch path names.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Name,
    Description,
    ProductCode,
    ApiStages,
    Throttle,
    ThrottleLimit(Limit),
    Quota,
    QuotaLimit,
    QuotaOffset,
    QuotaPeriod,
    /// All limits per method of a stage.
    Methods(&'a str),
    /// The limits of a method of a stage.
    Method(&'a str, &'a str),
    /// One of them.
    MethodLimit(&'a str, &'a str, Limit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Rate,
    Burst,
}

fn apply(plan: &mut UsagePlan, quota: &mut QuotaDraft, patch: &Patch) -> Result<(), ApiError> {
    use Op::{Add, Remove, Replace};
    let value = patch.value.as_deref().unwrap_or_default();
    let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
    let place = place(&patch.path).ok_or_else(|| wrong_path(patch))?;
    match (patch.op, place) {
        (Replace, Place::Name) => plan.name = value.to_owned(),
        (Replace, Place::Description) => plan.description = text(),
        (Add | Replace, Place::ProductCode) => plan.product_code = text(),
        (Remove, Place::ProductCode) => plan.product_code = None,
        (Add, Place::ApiStages) => {
            let one = read_stage(value)?;
            if plan.api_stages.iter().any(|other| is_same(&one, other)) {
                return Err(already_there(&one, &plan.id));
            }
            plan.api_stages.push(one);
        }
        (Remove, Place::ApiStages) => {
            let one = read_stage(value)?;
            let count = plan.api_stages.len();
            plan.api_stages.retain(|other| !is_same(&one, other));
            if plan.api_stages.len() == count {
                return Err(no_stage(&one, &plan.id));
            }
        }
        (Remove, Place::Throttle) => plan.throttle = None,
        (Add | Replace, Place::ThrottleLimit(limit)) => {
            set(plan.throttle.get_or_insert_default(), limit, value)?
        }
        (Remove, Place::Quota) => *quota = QuotaDraft::default(),
        (Add | Replace, Place::QuotaLimit) => quota.limit = Some(parse_whole("quota limit", value)?),
        (Add | Replace, Place::QuotaOffset) => quota.offset = Some(parse_whole("quota offset", value)?),
        (Add | Replace, Place::QuotaPeriod) => quota.period = Some(parse_period(value)?),
        (Remove, Place::Methods(stage)) => stage_of(plan, stage)?.throttle.clear(),
        (Remove, Place::Method(stage, method)) => {
            let name = method_name(method)?;
            let gone = stage_of(plan, stage)?.throttle.remove(&name);
            gone.ok_or_else(|| ApiError::not_found(format!("Nothing to remove at {}", patch.path)))?;
        }
        (Add | Replace, Place::MethodLimit(stage, method, limit)) => {
            let name = method_name(method)?;
            set(stage_of(plan, stage)?.throttle.entry(name).or_default(), limit, value)?;
        }
        _ => return Err(wrong_path(patch)),
    }
    Ok(())
}

/// Reads a path. A method comes as `~1pets/GET`, `pets/GET` or, from clients that escape nothing, `/pets/GET`.
fn place(path: &str) -> Option<Place<'_>> {
    Some(match path {
        "/name" => Place::Name,
        "/description" => Place::Description,
        "/productCode" => Place::ProductCode,
        "/apiStages" => Place::ApiStages,
        "/throttle" => Place::Throttle,
        "/throttle/rateLimit" => Place::ThrottleLimit(Limit::Rate),
        "/throttle/burstLimit" => Place::ThrottleLimit(Limit::Burst),
        "/quota" => Place::Quota,
        "/quota/limit" => Place::QuotaLimit,
        "/quota/offset" => Place::QuotaOffset,
        "/quota/period" => Place::QuotaPeriod,
        _ => {
            let (stage, rest) = path.strip_prefix("/apiStages/")?.split_once('/')?;
            if rest == "throttle" {
                return Some(Place::Methods(stage));
            }
            let method = rest.strip_prefix("throttle/")?;
            if let Some(method) = method.strip_suffix("/rateLimit") {
                Place::MethodLimit(stage, method, Limit::Rate)
            } else if let Some(method) = method.strip_suffix("/burstLimit") {
                Place::MethodLimit(stage, method, Limit::Burst)
            } else {
                Place::Method(stage, method)
            }
        }
    })
}

fn set(settings: &mut ThrottleSettings, limit: Limit, value: &str) -> Result<(), ApiError> {
    match limit {
        Limit::Rate => settings.rate_limit = Some(parse_rate(value)?),
        Limit::Burst => settings.burst_limit = Some(parse_burst(value)?),
    }
    Ok(())
}

fn parse_period(text: &str) -> Result<QuotaPeriod, ApiError> {
    QuotaPeriod::from_name(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid value '{text}' specified for quota period, must be one of: [DAY, WEEK, MONTH]"
        ))
    })
}

/// Reads `api:stage`.
fn read_stage(value: &str) -> Result<ApiStage, ApiError> {
    let parts = value.split_once(':').filter(|(api, stage)| !api.is_empty() && !stage.is_empty());
    let (api_id, stage) = parts.ok_or_else(invalid_stage)?;
    if stage.contains(':') {
        return Err(invalid_stage());
    }
    Ok(ApiStage { api_id: api_id.into(), stage: stage.into(), ..ApiStage::default() })
}

fn stage_of<'p>(plan: &'p mut UsagePlan, name: &str) -> Result<&'p mut ApiStage, ApiError> {
    let one = read_stage(name)?;
    let absent = no_stage(&one, &plan.id);
    plan.api_stages.iter_mut().find(|other| is_same(&one, other)).ok_or(absent)
}

fn wrong_path(patch: &Patch) -> ApiError {
    let (path, op) = (&patch.path, patch::name(patch.op));
    let paths = match patch.op {
        Op::Add => ADD_PATHS,
        Op::Replace => REPLACE_PATHS,
        Op::Remove => REMOVE_PATHS,
        Op::Move | Op::Copy | Op::Test => {
            return ApiError::bad_request(format!(
                "Invalid patch path  '{path}' specified for op '{op}'. Please choose supported operations"
            ));
        }
    };
    ApiError::bad_request(format!(
        "Invalid patch path  '{path}' specified for op '{op}'. Must be one of: {paths}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_clients_write_them() {
        let cases = [
            ("/name", Some(Place::Name)),
            ("/quota/period", Some(Place::QuotaPeriod)),
            ("/apiStages", Some(Place::ApiStages)),
            ("/apiStages/a:s/throttle", Some(Place::Methods("a:s"))),
            ("/apiStages/a:s/throttle/~1pets/GET", Some(Place::Method("a:s", "~1pets/GET"))),
            ("/apiStages/a:s/throttle/pets/{id}/GET", Some(Place::Method("a:s", "pets/{id}/GET"))),
            (
                "/apiStages/a:s/throttle//pets/GET/rateLimit",
                Some(Place::MethodLimit("a:s", "/pets/GET", Limit::Rate)),
            ),
            (
                "/apiStages/a:s/throttle/~1/GET/burstLimit",
                Some(Place::MethodLimit("a:s", "~1/GET", Limit::Burst)),
            ),
            ("/apiStages/a:s", None),
            ("/apiStages/a:s/quota", None),
            ("/throttle/other", None),
            ("", None),
            ("/", None),
        ];
        for (path, expect) in cases {
            assert_eq!(place(path), expect, "{path}");
        }
    }
}
