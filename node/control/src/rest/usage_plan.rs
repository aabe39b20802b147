//! Usage plans. Owns their rules; must never count a request.

mod settings;
mod update;

pub(crate) use update::update;

pub(super) use settings::{parse_burst, parse_rate, read_remaining};

use serde_json::{Value, json};
use tidegate_proto::{
    document::{ApiStage, UsagePlan},
    id::short_id,
    key,
    limits::{
        API_KEY_DESCRIPTION_CHARS_MAX, API_KEY_NAME_CHARS_MAX, API_STAGES_PER_PLAN_MAX,
        METHOD_THROTTLES_PER_PLAN_MAX, USAGE_PLANS_MAX,
    },
    transaction::TransactionV1,
};
use tidegate_state::table::Versioned;

use super::{api_key, tags, unsupported::Shape};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::page,
};

/// `CreateUsagePlan`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createUsagePlanInput", call.body)?;
    let (name, description) = (input.required("name")?, input.string("description")?);
    let api_stages = settings::read_stages(&mut input)?;
    let (throttle, quota) = (settings::read_throttle(&mut input)?, settings::read_quota(&mut input)?);
    let tags = input.string_map("tags")?;
    input.finish(Shape::UsagePlan)?;
    if call.view.usage_plan_ids().len() >= USAGE_PLANS_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of usage plans for this cluster has been reached: {USAGE_PLANS_MAX}"
        )));
    }
    let plan = UsagePlan {
        id: call.stamps.id(short_id, |id| call.view.get(&key::usage_plan(id)).is_some())?,
        name,
        description: description.filter(|text| !text.is_empty()),
        quota_since_s: quota.map(|_| call.stamps.now_s),
        api_stages,
        throttle,
        quota,
        tags,
        ..UsagePlan::default()
    };
    check(&plan)?;
    let mut transaction = TransactionV1::default();
    for (at, one) in plan.api_stages.iter().enumerate() {
        if plan.api_stages.iter().take(at).any(|other| is_same(one, other)) {
            return Err(already_there(one, &plan.name));
        }
        hold_stage(call, &mut transaction, one, &plan.name)?;
    }
    transaction.compare(key::usage_plan(&plan.id), 0).put(key::usage_plan(&plan.id), &plan);
    Ok((transaction, Answer::created(printed(&plan, false))))
}

/// `GetUsagePlan`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    read(Answer::ok(printed(&find(call)?.document, true)))
}

/// `GetUsagePlans`, by id: all of them, or those that a key is in.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let plans = match call.query.get("keyId").filter(|id| !id.is_empty()) {
        None => call.view.usage_plans()?,
        Some(id) => {
            api_key::find(call, id)?;
            call.view.usage_plans_of(id)?
        }
    };
    let rows = plans.into_iter().map(|found| (found.document.id.clone(), found.document)).collect();
    read(Answer::ok(page(rows, call.query, |plan| printed(&plan, false))?))
}

/// `DeleteUsagePlan`: refused while it has stages; the keys in it stay.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let Versioned { revision, document: plan } = find(call)?;
    if let Some(one) = plan.api_stages.first() {
        return Err(ApiError::bad_request(format!(
            "Cannot delete Usage Plan {} because there are API Stages associated with it, including {}:{}",
            plan.id, one.api_id, one.stage
        )));
    }
    let mut transaction = TransactionV1::default();
    transaction.compare(key::usage_plan(&plan.id), revision).delete(key::usage_plan(&plan.id));
    transaction.delete_prefix(key::usage_plan_key_prefix(&plan.id));
    Ok((transaction, Answer::accepted()))
}

/// The usage plan of the path.
pub(crate) fn find(call: &Call<'_>) -> Result<Versioned<UsagePlan>, ApiError> {
    find_by_id(call, call.param("usageplanId"))
}

/// A usage plan by id.
pub(super) fn find_by_id(call: &Call<'_>, id: &str) -> Result<Versioned<UsagePlan>, ApiError> {
    let found = call.view.usage_plan(id)?;
    found.ok_or_else(|| ApiError::not_found("Invalid Usage Plan ID specified"))
}

/// Takes stages that are about to be deleted out of every plan, as AWS does, so that a later stage of the same name is in none.
pub(super) fn forget_stages(
    call: &Call<'_>,
    transaction: &mut TransactionV1,
    is_gone: impl Fn(&ApiStage) -> bool,
) -> Result<(), ApiError> {
    for Versioned { revision, document: mut plan } in call.view.usage_plans()? {
        if plan.api_stages.iter().any(&is_gone) {
            plan.api_stages.retain(|one| !is_gone(one));
            transaction.compare(key::usage_plan(&plan.id), revision).put(key::usage_plan(&plan.id), &plan);
        }
    }
    Ok(())
}

/// The rules that hold for every plan, however it became what it is.
fn check(plan: &UsagePlan) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::bad_request(text));
    let chars = |text: &str| text.chars().count();
    if plan.name.is_empty() || chars(&plan.name) > API_KEY_NAME_CHARS_MAX {
        return refuse(format!(
            "Invalid Usage Plan name specified, must be 1 to {API_KEY_NAME_CHARS_MAX} characters"
        ));
    }
    if chars(plan.description.as_deref().unwrap_or_default()) > API_KEY_DESCRIPTION_CHARS_MAX {
        return refuse("Invalid Usage Plan description specified.".into());
    }
    if chars(plan.product_code.as_deref().unwrap_or_default()) > API_KEY_NAME_CHARS_MAX {
        return refuse(format!(
            "Invalid productCode specified, can be at most {API_KEY_NAME_CHARS_MAX} characters"
        ));
    }
    if plan.api_stages.len() > API_STAGES_PER_PLAN_MAX {
        let found = plan.api_stages.len();
        return refuse(format!("A usage plan can have {API_STAGES_PER_PLAN_MAX} API stages, not {found}"));
    }
    let methods: usize = plan.api_stages.iter().map(|one| one.throttle.len()).sum();
    if methods > METHOD_THROTTLES_PER_PLAN_MAX {
        return refuse(format!(
            "A usage plan can limit {METHOD_THROTTLES_PER_PLAN_MAX} methods, not {methods}"
        ));
    }
    plan.quota.map_or(Ok(()), settings::check_quota)?;
    tags::check(&plan.tags)?;
    tags::check_policy(&plan.tags)
}

/// Requires a stage and writes it again as it is: whoever deletes it at the same time must decide anew, and then sees the plan.
fn hold_stage(
    call: &Call<'_>,
    transaction: &mut TransactionV1,
    one: &ApiStage,
    plan: &str,
) -> Result<(), ApiError> {
    let named = !one.api_id.contains('/') && !one.stage.contains('/');
    let found = if named { call.view.stage(&one.api_id, &one.stage)? } else { None };
    let found = found.ok_or_else(|| no_stage(one, plan))?;
    let record = key::stage(&one.api_id, &one.stage);
    transaction.compare(record.clone(), found.revision).put(record, &found.document);
    Ok(())
}

fn no_stage(one: &ApiStage, plan: &str) -> ApiError {
    let ApiStage { api_id, stage, .. } = one;
    ApiError::not_found(format!(
        "Invalid API Stage {{api: {api_id}, stage: {stage}}} specified for usageplan {plan}"
    ))
}

fn already_there(one: &ApiStage, plan: &str) -> ApiError {
    let ApiStage { api_id, stage, .. } = one;
    ApiError::conflict(format!("API Stage {{api: {api_id}, stage: {stage}}} is in usageplan {plan} already"))
}

fn is_same(one: &ApiStage, other: &ApiStage) -> bool {
    one.api_id == other.api_id && one.stage == other.stage
}

/// What AWS prints of a plan; empty tags only where a single plan is read or updated.
fn printed(plan: &UsagePlan, empty_tags: bool) -> Value {
    let mut form = print(plan);
    if let Some(fields) = form.as_object_mut() {
        fields.shift_remove("quotaSinceS");
    }
    if empty_tags {
        form["tags"] = json!(plan.tags);
    }
    form
}
