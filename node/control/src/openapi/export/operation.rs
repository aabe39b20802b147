//! A method to an operation: what clients see of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_proto::document::{ApiDefinition, Map, Method, Resource};

use super::super::{ExportOptions, Format, schema, tidegate};
use super::{Fields, integration};

/// Name of the security scheme that stands for API keys.
pub(super) const API_KEY: &str = "api_key";

/// The key of a verb inside a path item.
pub(super) fn key(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "GET" => "get",
        "PUT" => "put",
        "POST" => "post",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        "HEAD" => "head",
        "PATCH" => "patch",
        "ANY" => "x-amazon-apigateway-any-method",
        _ => return None,
    })
}

/// Writes a method.
pub(super) fn write(
    definition: &ApiDefinition,
    resource: &Resource,
    method: &Method,
    options: &ExportOptions,
) -> Value {
    let mut operation = Fields::new();
    if let Some(name) = &method.operation_name {
        operation.insert("operationId".into(), name.as_str().into());
    }
    if options.format == Format::Swagger {
        let (consumes, produces) = media_types(method);
        operation.extend(list("consumes", consumes));
        operation.extend(list("produces", produces));
    }
    let mut parameters = parameters(resource, method, options);
    if options.format == Format::Swagger {
        parameters.extend(body_parameter(definition, method));
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), Value::Array(parameters));
    }
    if options.format == Format::Oas30 {
        let content = content(definition, &method.request_models);
        if !content.is_empty() {
            operation.insert("requestBody".into(), json!({ "content": content, "required": true }));
        }
    }
    operation.insert("responses".into(), responses(definition, method, options));
    if method.api_key_required {
        operation.insert("security".into(), json!([{ API_KEY: [] }]));
    }
    let extensions = options.extensions;
    if extensions.apigateway && !["", "NONE"].contains(&method.authorization_type.as_str()) {
        operation.insert("x-amazon-apigateway-auth".into(), json!({ "type": method.authorization_type }));
    }
    if extensions.apigateway {
        operation.extend(method.tidegate_cache.map(|mode| (tidegate::CACHE.to_owned(), mode.name().into())));
    }
    if extensions.apigateway || extensions.integrations {
        operation.extend(method.method_integration.as_ref().map(|found| {
            (integration::KEY.to_owned(), integration::write(found, &resource.id, options.format))
        }));
    }
    Value::Object(operation)
}

fn list(key: &str, values: BTreeSet<&str>) -> Option<(String, Value)> {
    (!values.is_empty()).then(|| (key.to_owned(), json!(values)))
}

/// Swagger 2.0: what the method takes and gives, by its models and templates.
fn media_types(method: &Method) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let mut consumes: BTreeSet<&str> = method.request_models.keys().map(String::as_str).collect();
    let mut produces: BTreeSet<&str> = method
        .method_responses
        .values()
        .flat_map(|response| response.response_models.keys())
        .map(String::as_str)
        .collect();
    if let Some(integration) = &method.method_integration {
        // Models decide when there are any: on import each media type gets the model.
        if consumes.is_empty() {
            consumes.extend(integration.request_templates.keys().map(String::as_str));
        }
        if produces.is_empty() {
            let responses = integration.integration_responses.values();
            produces.extend(
                responses.flat_map(|response| response.response_templates.keys()).map(String::as_str),
            );
        }
    }
    (consumes, produces)
}

/// Declared parameters, and those of the path that OpenAPI demands although the method does not declare them.
fn parameters(resource: &Resource, method: &Method, options: &ExportOptions) -> Vec<Value> {
    let mut printed = Vec::new();
    for (source, required) in &method.request_parameters {
        let Some((location, name)) =
            source.strip_prefix("method.request.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let place = match location {
            "path" if path_variables(&resource.path).any(|variable| variable == name) => "path",
            "querystring" => "query",
            "header" => "header",
            _ => continue,
        };
        printed.push(parameter(name, place, *required || place == "path", options.format));
    }
    for name in path_variables(&resource.path) {
        if !method.request_parameters.contains_key(&format!("method.request.path.{name}")) {
            let mut implied = parameter(name, "path", true, options.format);
            if let (true, Some(fields)) = (options.extensions.apigateway, implied.as_object_mut()) {
                fields.insert(tidegate::IMPLIED.into(), true.into());
            }
            printed.push(implied);
        }
    }
    printed
}

fn path_variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.strip_suffix('+').unwrap_or(name))
}

fn parameter(name: &str, place: &str, required: bool, format: Format) -> Value {
    match format {
        Format::Swagger => json!({ "name": name, "in": place, "required": required, "type": "string" }),
        Format::Oas30 if required => {
            json!({ "name": name, "in": place, "required": true, "schema": { "type": "string" } })
        }
        Format::Oas30 => json!({ "name": name, "in": place, "schema": { "type": "string" } }),
    }
}

/// Swagger 2.0: the one body, with the model for JSON if there is one.
fn body_parameter(definition: &ApiDefinition, method: &Method) -> Option<Value> {
    let models = &method.request_models;
    let model = models.get("application/json").or_else(|| models.values().next())?;
    let schema = reference(definition, model, Format::Swagger)?;
    Some(json!({ "in": "body", "name": model, "required": true, "schema": schema }))
}

fn responses(definition: &ApiDefinition, method: &Method, options: &ExportOptions) -> Value {
    let mut printed = Fields::new();
    for (status, response) in &method.method_responses {
        let mut fields = Fields::new();
        fields.insert("description".into(), format!("{status} response").into());
        let models = &response.response_models;
        if options.format == Format::Swagger {
            let model = models.get("application/json").or_else(|| models.values().next());
            let schema = model.and_then(|model| reference(definition, model, Format::Swagger));
            fields.extend(schema.map(|schema| ("schema".to_owned(), schema)));
        }
        let headers = headers(&response.response_parameters, options.format);
        if !headers.is_empty() {
            fields.insert("headers".into(), Value::Object(headers));
        }
        if options.format == Format::Oas30 {
            fields.insert("content".into(), Value::Object(content(definition, models)));
        }
        printed.insert(status.clone(), Value::Object(fields));
    }
    // OpenAPI demands a response; API Gateway does not.
    if printed.is_empty() && method.http_method != "ANY" {
        let mut fields = Fields::from_iter([("description".to_owned(), Value::from("Default response"))]);
        if options.extensions.apigateway {
            fields.insert(tidegate::IMPLIED.into(), true.into());
        }
        printed.insert("default".into(), Value::Object(fields));
    }
    Value::Object(printed)
}

fn headers(parameters: &Map<bool>, format: Format) -> Fields {
    let header = |required: bool| match format {
        Format::Swagger => json!({ "type": "string" }),
        Format::Oas30 if required => json!({ "required": true, "schema": { "type": "string" } }),
        Format::Oas30 => json!({ "schema": { "type": "string" } }),
    };
    parameters
        .iter()
        .filter_map(|(name, required)| {
            Some((name.strip_prefix("method.response.header.")?.to_owned(), header(*required)))
        })
        .collect()
}

fn content(definition: &ApiDefinition, models: &Map<String>) -> Fields {
    models
        .iter()
        .filter_map(|(media_type, model)| {
            let schema = reference(definition, model, Format::Oas30)?;
            Some((media_type.clone(), json!({ "schema": schema })))
        })
        .collect()
}

fn reference(definition: &ApiDefinition, model: &str, format: Format) -> Option<Value> {
    let known = definition.models.contains_key(model);
    known.then(|| json!({ "$ref": format!("{}{model}", schema::prefix(format)) }))
}
