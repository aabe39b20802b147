//! Tags of REST APIs and stages. Owns their rules and ARNs; must never give a tag another meaning than pinning an id.

use serde_json::json;
use tidegate_proto::{document::Map, id::is_pinnable, key, limits::TAGS_MAX};

use super::{draft::Draft, stage::no_stage, unsupported::Shape};
use crate::{
    answer::Answer,
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    operation::Params,
};

/// Tags that pin the id of a new REST API.
const PINS: [&str; 2] = ["tidegate:id", "_custom_id_"];
/// Longest tag key (*AWS*: 128).
const KEY_CHARS_MAX: usize = 128;
/// Longest tag value (*AWS*: 256).
const VALUE_CHARS_MAX: usize = 256;

/// `GetTags`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let (api, stage) = target(call)?;
    let found = call.view.rest_api(&api)?.ok_or_else(|| ApiError::no_api(&call.site.account, &api))?;
    let tags = match stage {
        None => found.document.tags,
        Some(stage) => call.view.stage(&api, &stage)?.ok_or_else(no_stage)?.document.tags,
    };
    read(Answer::ok(json!({ "tags": tags })))
}

/// `TagResource`: adds and overwrites.
pub(crate) fn tag(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("tagResourceInput", call.body)?;
    let added = input.string_map("tags")?;
    input.finish(Shape::Tags)?;
    change(call, |tags| tags.extend(added))
}

/// `UntagResource`: keys that are not there are skipped, as AWS does.
pub(crate) fn untag(call: &Call<'_>) -> Outcome {
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

fn change(call: &Call<'_>, edit: impl FnOnce(&mut Map<String>)) -> Outcome {
    let (api, stage) = target(call)?;
    let params = Params::of_api(&api);
    let mut draft = Draft::open(&Call { params: &params, ..*call })?;
    match stage {
        None => {
            edit(&mut draft.api.tags);
            check(&draft.api.tags)?;
            if pinned_id(&draft.api.tags)?.is_some_and(|id| id != api) {
                return Err(ApiError::bad_request(format!(
                    "An id is pinned when an API is created; this API is '{api}' already"
                )));
            }
        }
        Some(name) => {
            let mut stage = call.view.stage(&api, &name)?.ok_or_else(no_stage)?.document;
            edit(&mut stage.tags);
            check(&stage.tags)?;
            draft.transaction().put(key::stage(&api, &name), &stage);
        }
    }
    draft.commit(Answer::no_content())
}

/// `arn:{partition}:apigateway:{region}::/restapis/{api}[/stages/{stage}]`.
fn target(call: &Call<'_>) -> Result<(String, Option<String>), ApiError> {
    let arn = call.param("resource_arn");
    let invalid = || ApiError::bad_request(format!("Invalid ARN specified in the request: {arn}"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "apigateway", _, "", resource] = parts.as_slice() else { return Err(invalid()) };
    let parts: Vec<&str> = resource.split('/').collect();
    match parts.as_slice() {
        ["", "restapis", api] if !api.is_empty() => Ok(((*api).to_owned(), None)),
        ["", "restapis", api, "stages", stage] if !api.is_empty() && !stage.is_empty() => {
            Ok(((*api).to_owned(), Some((*stage).to_owned())))
        }
        _ => Err(invalid()),
    }
}
