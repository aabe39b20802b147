//! API keys in usage plans. Owns the rule that one key meets one stage in one plan only; must never change a key or a plan.

use serde_json::{Value, json};
use tidegate_proto::{
    document::{ApiKey, ApiStage, UsagePlan, UsagePlanKey},
    key,
    limits::USAGE_PLANS_PER_KEY_MAX,
    transaction::TransactionV1,
};
use tidegate_state::table::Versioned;

use super::{
    api_key::{self, Wanted, no_key, value::Vault},
    unsupported::Shape,
    usage_plan,
};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::{self, Page},
};

/// `CreateUsagePlanKey`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createUsagePlanKeyInput", call.body)?;
    let (key_id, key_type) = (input.required("keyId")?, input.required("keyType")?);
    input.finish(Shape::UsagePlan)?;
    let plan = usage_plan::find(call)?;
    if key_type != "API_KEY" {
        return Err(ApiError::bad_request(format!(
            "Invalid keyType '{key_type}' specified. Must be one of: [API_KEY]"
        )));
    }
    let key = api_key::find(call, &key_id)?;
    let others = call.view.usage_plans_of(&key_id)?;
    if others.iter().any(|other| other.document.id == plan.document.id) {
        return Err(ApiError::conflict(format!(
            "API Key {key_id} is in Usage Plan {} already",
            plan.document.id
        )));
    }
    clash(&key_id, &plan.document, others.iter().map(|other| &other.document))?;
    let mut transaction = TransactionV1::default();
    for Versioned { revision, document } in others.iter().chain([&plan]) {
        transaction.compare(key::usage_plan(&document.id), *revision);
    }
    // The key is written again as it is: two writers that put one key into two plans conflict, and so does one that deletes it.
    let record = key::api_key(&key_id);
    transaction.compare(record.clone(), key.revision).put(record, &key.document);
    insert(&mut transaction, &plan.document.id, &key_id);
    let value = Vault::open(call.view)?.value(&key.document);
    Ok((transaction, Answer::created(printed(&key.document, value))))
}

/// `GetUsagePlanKey`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let key = find(call)?.document;
    let value = Vault::open(call.view)?.value(&key);
    read(Answer::ok(printed(&key, value)))
}

/// `GetUsagePlanKeys`, by id of the key.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let plan = usage_plan::find(call)?.document;
    let wanted = Wanted { name: call.query.get("name").filter(|name| !name.is_empty()), customer_id: None };
    let is_wanted =
        |id: &String| call.view.get(&key::api_key(id)).is_some_and(|record| wanted.is(&record.bytes));
    let page = Page::read(call.query)?;
    let members = member_ids(call, &plan.id, page.after()).filter(is_wanted);
    let rows = members.map(|id| {
        let key = api_key::find(call, &id)?.document;
        Ok((id, key))
    });
    let rows = page.take(rows)?;
    let vault = Vault::open(call.view)?;
    let print = |key: ApiKey| {
        let value = vault.value(&key);
        printed(&key, value)
    };
    read(Answer::ok(page::printed(rows, print)))
}

/// `DeleteUsagePlanKey`.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let key = find(call)?.document;
    let record = key::usage_plan_key(call.param("usageplanId"), &key.id);
    let mut transaction = TransactionV1::default();
    transaction.compare(record.clone(), call.view.revision_of(&record)).delete(record);
    Ok((transaction, Answer::accepted()))
}

/// The key of the path, which must be in the plan of the path.
pub(super) fn find(call: &Call<'_>) -> Result<Versioned<ApiKey>, ApiError> {
    let plan = usage_plan::find(call)?.document;
    let member = call.view.usage_plan_key(&plan.id, call.param("keyId"))?.ok_or_else(no_key)?;
    api_key::find(call, &member.document.key_id)
}

/// The ids of the keys in a plan behind one of them, in order.
pub(super) fn member_ids<'c>(
    call: &Call<'c>,
    plan: &str,
    after: Option<&str>,
) -> impl Iterator<Item = String> + use<'c> {
    let prefix = key::usage_plan_key_prefix(plan);
    let mut last = after.map(|id| key::usage_plan_key(plan, id)).unwrap_or_default();
    let view = call.view;
    std::iter::from_fn(move || {
        let next = view.after(&prefix, &last).next().map(|(key, _)| key.to_owned())?;
        let id = next.strip_prefix(&prefix).unwrap_or_default().to_owned();
        last = next;
        Some(id)
    })
}

/// Writes a membership that is not there yet.
pub(super) fn insert(transaction: &mut TransactionV1, plan: &str, key: &str) {
    let document = UsagePlanKey { key_id: key.into(), plan_id: plan.into(), ..UsagePlanKey::default() };
    let record = key::usage_plan_key(plan, key);
    transaction.compare(record.clone(), 0).put(record, &document);
}

/// Requires that a key can join a plan beside those it is in: no stage may be in two of them, as it would have two limits.
pub(super) fn clash<'p>(
    key: &str,
    plan: &UsagePlan,
    others: impl Iterator<Item = &'p UsagePlan>,
) -> Result<(), ApiError> {
    let mut count = 0;
    for other in others {
        count += 1;
        if let Some(both) = plan.api_stages.iter().find(|one| other.admits(&one.api_id, &one.stage)) {
            return Err(two_plans(key, &plan.id, &other.id, both));
        }
    }
    match count >= USAGE_PLANS_PER_KEY_MAX {
        true => Err(ApiError::limit_exceeded(format!(
            "Maximum number of usage plans for API Key {key} has been reached: {USAGE_PLANS_PER_KEY_MAX}"
        ))),
        false => Ok(()),
    }
}

/// Requires that a stage can join a plan: no key of the plan may meet it in another one. A key that joins one of the two plans at this
/// very moment is not seen, as joins write no plan and so never wait for each other; whoever finds a key in two plans of one stage
/// takes the plan whose id is first.
pub(super) fn check_stage(call: &Call<'_>, plan: &UsagePlan, one: &ApiStage) -> Result<(), ApiError> {
    for other in call.view.usage_plans()? {
        let other = other.document;
        if other.id == plan.id || !other.admits(&one.api_id, &one.stage) {
            continue;
        }
        let is_member = |id: &String| call.view.get(&key::usage_plan_key(&plan.id, id)).is_some();
        if let Some(key) = member_ids(call, &other.id, None).find(is_member) {
            return Err(two_plans(&key, &plan.id, &other.id, one));
        }
    }
    Ok(())
}

fn two_plans(key: &str, plan: &str, other: &str, one: &ApiStage) -> ApiError {
    let ApiStage { api_id, stage, .. } = one;
    ApiError::conflict(format!(
        "API Key {key} cannot be in Usage Plans {plan} and {other}: both have API Stage {{api: {api_id}, stage: {stage}}}"
    ))
}

fn printed(key: &ApiKey, value: Option<String>) -> Value {
    let mut form = json!({ "id": key.id, "type": "API_KEY" });
    if let Some(value) = value {
        form["value"] = json!(value);
    }
    if let Some(name) = &key.name {
        form["name"] = json!(name);
    }
    form
}
