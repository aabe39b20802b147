//! Tags of REST APIs, stages, usage plans, API keys and VPC links. Owns their rules and ARNs, and refuses tags with a meaning that make no sense;
//! must never act on one, except to pin an id.

use serde_json::json;
use tidegate_proto::{
    document::{CachePolicy, LimitPolicy, Map, RestApi, RolloutPolicy, StageLimits, TagError},
    id::is_pinnable,
    key,
    limits::TAGS_MAX,
    transaction::TransactionV1,
};
use tidegate_state::table::Versioned;

use super::{api_key, draft::Draft, stage::no_stage, unsupported::Shape, usage_plan, vpc_link};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    operation::{Params, Tags},
};

/// Tags that pin the id of a new REST API.
const PINS: [&str; 2] = ["tidegate:id", "_custom_id_"];
/// Longest tag key (*AWS*: 128).
const KEY_CHARS_MAX: usize = 128;
/// Longest tag value (*AWS*: 256).
const VALUE_CHARS_MAX: usize = 256;

/// Runs an operation on tags.
pub(crate) fn run(operation: Tags, call: &Call<'_>) -> Outcome {
    match operation {
        Tags::Get => get(call),
        Tags::Tag => tag(call),
        Tags::Untag => untag(call),
    }
}

/// `GetTags`.
fn get(call: &Call<'_>) -> Outcome {
    let tags = match target(call)? {
        Target::Api(api) => require_api(call, &api)?.tags,
        Target::Stage(api, stage) => {
            require_api(call, &api)?;
            call.view.stage(&api, &stage)?.ok_or_else(no_stage)?.document.tags
        }
        Target::UsagePlan(plan) => usage_plan::find_by_id(call, &plan)?.document.tags,
        Target::ApiKey(key) => api_key::find(call, &key)?.document.tags,
        Target::VpcLink(link) => vpc_link::find_by_id(call, &link)?.document.tags,
    };
    read(Answer::ok(json!({ "tags": tags })))
}

/// `TagResource`: adds and overwrites.
fn tag(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("tagResourceInput", call.body)?;
    let added = input.string_map("tags")?;
    input.finish(Shape::Tags)?;
    change(call, |tags| tags.extend(added))
}

/// `UntagResource`: keys that are not there are skipped, as AWS does.
fn untag(call: &Call<'_>) -> Outcome {
    let gone: Vec<&str> = call.query.all("tagKeys").collect();
    if gone.is_empty() {
        return Err(ApiError::bad_request("tagKeys must name at least one tag"));
    }
    change(call, |tags| tags.retain(|name, _| !gone.contains(&name.as_str())))
}

/// Checks number, alphabet and length of tags.
pub(crate) fn check(tags: &Map<String>) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::bad_request(format!(
            "A resource can have {TAGS_MAX} tags, not {}",
            tags.len()
        )));
    }
    for (name, value) in tags {
        let chars = name.chars().count();
        if chars == 0 || chars > KEY_CHARS_MAX || name.starts_with("aws:") {
            return Err(ApiError::bad_request(format!(
                "Invalid tag key '{name}': use 1 to {KEY_CHARS_MAX} characters that do not start with aws:"
            )));
        }
        if value.chars().count() > VALUE_CHARS_MAX {
            return Err(ApiError::bad_request(format!(
                "Invalid value of tag '{name}': use at most {VALUE_CHARS_MAX} characters"
            )));
        }
    }
    Ok(())
}

/// The id that tags pin for a new REST API.
pub(crate) fn pinned_id(tags: &Map<String>) -> Result<Option<&str>, ApiError> {
    let mut pins = PINS.iter().filter_map(|pin| Some((*pin, tags.get(*pin)?)));
    let Some((tag, id)) = pins.next() else { return Ok(None) };
    if let Some((other, different)) = pins.find(|(_, other)| *other != id) {
        return Err(ApiError::bad_request(format!(
            "Tags {tag} and {other} pin different ids: '{id}' and '{different}'"
        )));
    }
    match is_pinnable(id) {
        true => Ok(Some(id)),
        false => Err(ApiError::bad_request(format!(
            "Invalid id '{id}' in tag {tag}: use 1 to 63 of a-z 0-9 - _, starting with a letter or a digit"
        ))),
    }
}

/// Checks the tags of a stage, and what they say about its limits and its cache.
pub(crate) fn check_stage(tags: &Map<String>) -> Result<(), ApiError> {
    check(tags)?;
    check_policy(tags)?;
    CachePolicy::from_tags(tags).map_err(refusal)?;
    RolloutPolicy::from_tags(tags).map_err(refusal)?;
    StageLimits::from_tags(tags).map(drop).map_err(refusal)
}

/// Checks what tags say about how limits are kept.
pub(crate) fn check_policy(tags: &Map<String>) -> Result<(), ApiError> {
    LimitPolicy::from_tags(tags).map(drop).map_err(refusal)
}

fn refusal(error: TagError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

fn change(call: &Call<'_>, edit: impl FnOnce(&mut Map<String>)) -> Outcome {
    let mut transaction = TransactionV1::default();
    match target(call)? {
        Target::Api(api) => {
            let params = Params::of_api(&api);
            let mut draft = Draft::open(&Call { params: &params, ..*call })?;
            edit(&mut draft.api.tags);
            check(&draft.api.tags)?;
            if pinned_id(&draft.api.tags)?.is_some_and(|id| id != api) {
                return Err(ApiError::bad_request(format!(
                    "An id is pinned when an API is created; this API is '{api}' already"
                )));
            }
            return draft.commit(Answer::no_content());
        }
        Target::Stage(api, name) => {
            let params = Params::of_api(&api);
            let mut draft = Draft::open(&Call { params: &params, ..*call })?;
            let mut stage = call.view.stage(&api, &name)?.ok_or_else(no_stage)?.document;
            edit(&mut stage.tags);
            check_stage(&stage.tags)?;
            draft.put_stage(&stage);
            return draft.commit(Answer::no_content());
        }
        Target::UsagePlan(id) => {
            let Versioned { revision, document: mut plan } = usage_plan::find_by_id(call, &id)?;
            edit(&mut plan.tags);
            check(&plan.tags)?;
            check_policy(&plan.tags)?;
            transaction.compare(key::usage_plan(&id), revision).put(key::usage_plan(&id), &plan);
        }
        Target::ApiKey(id) => {
            let Versioned { revision, document: mut found } = api_key::find(call, &id)?;
            edit(&mut found.tags);
            check(&found.tags)?;
            transaction.compare(key::api_key(&id), revision).put(key::api_key(&id), &found);
        }
        Target::VpcLink(id) => {
            let Versioned { revision, document: mut link } = vpc_link::find_by_id(call, &id)?;
            edit(&mut link.tags);
            vpc_link::check_tags(&link.tags)?;
            transaction.compare(key::vpc_link(&id), revision).put(key::vpc_link(&id), &link);
        }
    }
    Ok((transaction, Answer::no_content()))
}

/// What an ARN names.
enum Target {
    Api(String),
    /// API and stage.
    Stage(String, String),
    UsagePlan(String),
    ApiKey(String),
    VpcLink(String),
}

/// `arn:{partition}:apigateway:{region}::` and `/restapis/{api}`, `/restapis/{api}/stages/{stage}`, `/usageplans/{plan}`,
/// `/apikeys/{key}` or `/vpclinks/{link}`.
fn target(call: &Call<'_>) -> Result<Target, ApiError> {
    let arn = call.param("resource_arn");
    let invalid = || ApiError::bad_request(format!("Invalid ARN specified in the request: {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "apigateway", _, "", resource] = parts.as_slice() else { return Err(invalid()) };
    let parts: Vec<&str> = resource.split('/').collect();
    if parts.iter().skip(1).any(|part| part.is_empty()) {
        return Err(invalid());
    }
    match parts.as_slice() {
        ["", "restapis", api] => Ok(Target::Api((*api).to_owned())),
        ["", "restapis", api, "stages", stage] => Ok(Target::Stage((*api).to_owned(), (*stage).to_owned())),
        ["", "usageplans", plan] => Ok(Target::UsagePlan((*plan).to_owned())),
        ["", "vpclinks", link] => Ok(Target::VpcLink((*link).to_owned())),
        ["", "apikeys", key] => Ok(Target::ApiKey((*key).to_owned())),
        _ => Err(invalid()),
    }
}

fn require_api(call: &Call<'_>, api: &str) -> Result<RestApi, ApiError> {
    let found = call.view.rest_api(api)?.ok_or_else(|| ApiError::no_api(&call.site.account, api))?;
    Ok(found.document)
}
