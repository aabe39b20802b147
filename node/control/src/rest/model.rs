//! Models: schemas of bodies. Owns their rules and the two that every API starts with; must never validate a body.

use serde_json::{Value, json};
use tidegate_proto::{
    document::{Model, Resource},
    id::short_id,
    key,
    limits::MODELS_PER_API_MAX,
};

use super::{
    draft::{Draft, require_api},
    method::reread,
    unsupported::{self, Shape},
};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    page::page,
    patch::{self, Kind, REPLACE, Rule, Style, Table},
    stamps::Stamps,
};

const PATCHES: Table = Table {
    style: Style::Listed,
    rules: &[
        Rule { path: "/description", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/schema", ops: REPLACE, kind: Kind::Text },
    ],
};

const EMPTY_SCHEMA: &str = r#"{
  "$schema": "http://json-schema.org/draft-04/schema#",
  "title" : "Empty Schema",
  "type" : "object"
}"#;
const ERROR_SCHEMA: &str = r#"{
  "$schema" : "http://json-schema.org/draft-04/schema#",
  "title" : "Error Schema",
  "type" : "object",
  "properties" : {
    "message" : { "type" : "string" }
  }
}"#;

/// `Empty` and `Error`, which AWS puts into every API that is not imported.
pub(crate) fn built_in(stamps: &Stamps) -> Result<Vec<Model>, ApiError> {
    let rows = [
        ("Empty", "This is a default empty schema model", EMPTY_SCHEMA),
        ("Error", "This is a default error schema model", ERROR_SCHEMA),
    ];
    let model = |(name, description, schema): (&str, &str, &str)| {
        Ok(Model {
            id: stamps.id(short_id, |_| false)?,
            name: name.into(),
            description: Some(description.into()),
            schema: Some(schema.into()),
            content_type: "application/json".into(),
            generated: false,
        })
    };
    rows.into_iter().map(model).collect()
}

/// `CreateModel`.
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createModelInput", call.body)?;
    let (name, content_type) = (input.required("name")?, input.required("contentType")?);
    let (description, schema) = (input.string("description")?, input.string("schema")?);
    input.finish(Shape::Model)?;
    let mut draft = Draft::open(call)?;
    check_name(&name)?;
    let models = call.view.models(call.api_id())?;
    if models.iter().any(|found| found.document.name == name) {
        return Err(ApiError::conflict("Model name already exists for this REST API"));
    }
    if models.len() >= MODELS_PER_API_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of models for this API has been reached: {MODELS_PER_API_MAX}"
        )));
    }
    let id = call.stamps.id(short_id, |id| models.iter().any(|found| found.document.id == id))?;
    let model = Model { id, name, description, schema, content_type, generated: false };
    check_schema(&model)?;
    draft.transaction().put(key::model(call.api_id(), &model.name), &model);
    draft.commit(Answer::created(print(&model)))
}

/// `GetModel`.
pub(crate) fn get(call: &Call<'_>) -> Outcome {
    let model = find(call)?;
    let flatten = call.query.get("flatten") == Some("true");
    if flatten && model.schema.as_deref().is_some_and(|schema| schema.contains("\"$ref\"")) {
        return Err(unsupported::refusal("Flattening a schema with references", "flatten", &json!(true)));
    }
    read(Answer::ok(print(&model)))
}

/// `GetModels`, by name.
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    require_api(call)?;
    let found = call.view.models(call.api_id())?.into_iter();
    let rows = found.map(|found| (found.document.name.clone(), found.document)).collect();
    read(Answer::ok(page(rows, call.query, |model| print(&model))?))
}

/// `UpdateModel`.
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateModelInput", call.body, &[])?;
    let mut draft = Draft::open_or(call, no_model(call.param("model_name")))?;
    let mut form = print(&find(call)?);
    patch::apply(&PATCHES, &mut form, &patches)?;
    let mut model: Model = reread(form)?;
    model.description = model.description.take().filter(|text| !text.is_empty());
    check_schema(&model)?;
    draft.transaction().put(key::model(call.api_id(), &model.name), &model);
    draft.commit(Answer::ok(print(&model)))
}

/// `DeleteModel`: refused while a method refers to it.
pub(crate) fn delete(call: &Call<'_>) -> Outcome {
    let name = call.param("model_name");
    let mut draft = Draft::open_or(call, no_model(name))?;
    find(call)?;
    let mut resources: Vec<Resource> =
        call.view.resources(call.api_id())?.into_iter().map(|found| found.document).collect();
    // AWS reports the deepest user first.
    resources.sort_by(|a, b| b.path.cmp(&a.path));
    if let Some(user) = resources.iter().find_map(|resource| user(resource, name)) {
        return Err(ApiError::conflict(format!("Cannot delete model '{name}', is referenced in {user}")));
    }
    draft.transaction().delete(key::model(call.api_id(), name));
    draft.commit(Answer::accepted())
}

/// Requires that every named model exists.
pub(crate) fn check_names<'a>(
    names: impl IntoIterator<Item = &'a String>,
    call: &Call<'_>,
) -> Result<(), ApiError> {
    let missing = |name: &&String| call.view.get(&key::model(call.api_id(), name)).is_none();
    match names.into_iter().find(missing) {
        Some(name) => Err(ApiError::bad_request(format!("Invalid model identifier specified: {name}"))),
        None => Ok(()),
    }
}

fn find(call: &Call<'_>) -> Result<Model, ApiError> {
    let name = call.param("model_name");
    let found = call.view.read::<Model>(&key::model(call.api_id(), name))?;
    found.map(|found| found.document).ok_or_else(|| no_model(name))
}

fn no_model(name: &str) -> ApiError {
    ApiError::not_found(format!("Invalid model name specified: {name}"))
}

fn user(resource: &Resource, model: &str) -> Option<String> {
    for (verb, method) in &resource.resource_methods {
        if method.request_models.values().any(|name| name == model) {
            return Some(format!("method request: {}/{verb}", resource.path));
        }
        for (status, response) in &method.method_responses {
            if response.response_models.values().any(|name| name == model) {
                return Some(format!("method response: {}/{verb}/{status}", resource.path));
            }
        }
    }
    None
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::bad_request("Model name must be non-empty"));
    }
    match name.bytes().all(|b| b.is_ascii_alphanumeric()) && name.len() <= 255 {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!("Model name must be alphanumeric: {name}"))),
    }
}

fn check_schema(model: &Model) -> Result<(), ApiError> {
    let schema = model.schema.as_deref().unwrap_or_default();
    let blank = || ApiError::bad_request("Model schema must have at least 1 property or array items defined");
    if schema.trim().is_empty() {
        return Err(blank());
    }
    if !model.content_type.contains("json") {
        return Ok(());
    }
    match serde_json::from_str(schema) {
        Ok(Value::Object(fields)) if fields.is_empty() => Err(blank()),
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => Err(ApiError::bad_request("Invalid model schema specified. Schema must be a JSON object")),
        Err(error) => Err(ApiError::bad_request(format!("Invalid model schema specified. {error}"))),
    }
}
