//! Methods. Owns their rules and patches; must never look inside integrations.

use tidegate_proto::document::{CacheMode, Method, cache::CACHE_MODE_RULE};

use super::{
    draft::{self, Draft, change_method, no_method},
    expression, model,
    unsupported::{self, Shape},
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    patch::{self, ADD_REMOVE, ADD_REMOVE_REPLACE, Kind, Op, REPLACE, Rule, Style, Table},
};
use serde_json::json;
use tidegate_proto::compiled::VERBS;

/// What AWS answers when a parameter should be there and is not.
pub(crate) const NO_PARAMETER: Option<&str> = Some("Invalid parameter name specified");
/// What AWS answers when a content type should be there and is not.
pub(crate) const NO_CONTENT_TYPE: Option<&str> = Some("Content-Type specified was not found");

const PATCHES: Table = Table {
    style: Style::Plain,
    rules: &[
        Rule {
            path: "/authorizationType",
            ops: REPLACE,
            kind: Kind::Later(Shape::Method, "authorizationType"),
        },
        Rule { path: "/authorizerId", ops: REPLACE, kind: Kind::Later(Shape::Method, "authorizerId") },
        Rule { path: "/apiKeyRequired", ops: REPLACE, kind: Kind::Flag },
        Rule { path: "/operationName", ops: REPLACE, kind: Kind::Text },
        Rule {
            path: "/requestValidatorId",
            ops: REPLACE,
            kind: Kind::Later(Shape::Method, "requestValidatorId"),
        },
        Rule { path: "/requestParameters/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::FlagEntry(NO_PARAMETER) },
        Rule { path: "/requestModels/{}", ops: ADD_REMOVE_REPLACE, kind: Kind::TextEntry(NO_CONTENT_TYPE) },
        Rule {
            path: "/authorizationScopes",
            ops: ADD_REMOVE,
            kind: Kind::Later(Shape::Method, "authorizationScopes"),
        },
        Rule { path: "/tidegateCache", ops: &[Op::Replace, Op::Remove], kind: Kind::Text },
    ],
};

/// `PutMethod`.
pub(crate) fn put(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("putMethodInput", call.body)?;
    let authorization_type = input.required("authorizationType")?;
    let method = Method {
        http_method: call.param("http_method").to_owned(),
        authorization_type,
        api_key_required: input.boolean("apiKeyRequired")?.unwrap_or_default(),
        operation_name: input.string("operationName")?,
        request_parameters: input.bool_map("requestParameters")?,
        request_models: input.string_map("requestModels")?,
        ..Method::default()
    };
    input.finish(Shape::Method)?;
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let mut resource = draft.resource(call.param("resource_id"))?;
    check_verb(&method.http_method)?;
    unsupported::refuse(Shape::Method, "authorizationType", &json!(method.authorization_type))?;
    check(&method, call)?;
    if resource.resource_methods.contains_key(&method.http_method) {
        return Err(ApiError::conflict("Method already exists for this resource"));
    }
    let answer = Answer::created(print(&method));
    resource.resource_methods.insert(method.http_method.clone(), method);
    draft.put_resource(&resource);
    draft.commit(answer)
}

/// `GetMethod`: with its responses and its integration.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let resource = draft::resource(call)?;
    read(Answer::ok(print(draft::method(&resource, call)?)))
}

/// `UpdateMethod`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateMethodInput", call.body, &[])?;
    change_method(call, Answer::ok, |method, _, _| {
        let mut form = print(method);
        patch::apply(&PATCHES, &mut form, &patches)?;
        check_cache(&form["tidegateCache"])?;
        *method = reread(form)?;
        method.operation_name = method.operation_name.take().filter(|name| !name.is_empty());
        check(method, call)?;
        Ok(print(method))
    })
}

/// `DeleteMethod`.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let mut draft = Draft::open_or(call, ApiError::no_resource())?;
    let mut resource = draft.resource(call.param("resource_id"))?;
    resource.resource_methods.remove(call.param("http_method")).ok_or_else(no_method)?;
    draft.put_resource(&resource);
    draft.commit(Answer::no_content())
}

/// Whether a verb is one of AWS's eight.
pub(crate) fn check_verb(verb: &str) -> Result<(), ApiError> {
    match VERBS.contains(&verb) {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!(
            "Invalid HttpMethod specified. Valid options are {}",
            VERBS.join(",")
        ))),
    }
}

/// The document behind a patched JSON form.
pub(crate) fn reread<T: serde::de::DeserializeOwned>(form: serde_json::Value) -> Result<T, ApiError> {
    serde_json::from_value(form)
        .map_err(|error| ApiError::bad_request(format!("Invalid patch value: {error}")))
}

fn check_cache(mode: &serde_json::Value) -> Result<(), ApiError> {
    match mode.as_str().filter(|mode| CacheMode::parse(mode).is_none()) {
        None => Ok(()),
        Some(wrong) => Err(ApiError::bad_request(format!(
            "Invalid value '{wrong}' specified for tidegateCache, {CACHE_MODE_RULE}"
        ))),
    }
}

fn check(method: &Method, call: &Call<'_>) -> Result<(), ApiError> {
    expression::check_request_parameters(&method.request_parameters)?;
    model::check_names(method.request_models.values(), call)
}
