//! An operation to a method: what clients see of it. The call behind it is read by `integration`.

use serde_json::Value;
use tidegate_proto::document::{CacheMode, Map, Method, MethodResponse, cache::CACHE_MODE_RULE};

use super::super::{Format, tidegate};
use super::reading::{Fields, Reading, quote};
use super::{integration, models, parameters, security};

const OPERATION: &[&str] = &[
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "responses",
    "deprecated",
    "security",
    security::AUTH,
    integration::INTEGRATION,
];
const OPERATION_SWAGGER: &[&str] = &["consumes", "produces", "schemes"];
const OPERATION_OAS30: &[&str] = &["requestBody", "callbacks", "servers"];
const RESPONSE: &[&str] = &["description", "headers", "schema", "examples", "content", "links"];

/// About the memory that a media type and its model take.
const MEDIA_TYPE_BYTES: usize = 64;

/// Which operation is read, for messages.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    /// Path as the document has it.
    pub(super) path: &'a str,
    /// Path of the resource.
    pub(super) full: &'a str,
    /// Key inside the path item.
    pub(super) key: &'a str,
    /// Verb of the method.
    pub(super) verb: &'static str,
}

impl Site<'_> {
    /// Place of an attribute below the operation; `below` starts with a dot or is empty.
    pub(super) fn place(&self, below: &str) -> String {
        format!("paths.'{}'({}){below}", self.path, self.key)
    }

    /// The method cannot be had.
    pub(super) fn refuse_method(&self, reading: &mut Reading<'_>, reason: &str) {
        let Self { full, verb, .. } = self;
        reading.notes.error(format!("Unable to put method '{verb}' on resource at path '{full}': {reason}"));
    }

    /// The integration cannot be had.
    pub(super) fn refuse_integration(&self, reading: &mut Reading<'_>, reason: &str) {
        let Self { full, verb, .. } = self;
        reading
            .notes
            .error(format!("Unable to put integration on '{verb}' for resource at path '{full}': {reason}"));
    }
}

/// Reads an operation with the parameters of its path item.
pub(super) fn read<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    shared: &'d [Value],
    operation: &'d Fields,
) -> Method {
    let place = site.place("");
    let flavour = match reading.format {
        Format::Swagger => OPERATION_SWAGGER,
        Format::Oas30 => OPERATION_OAS30,
    };
    let known: Vec<&str> = OPERATION.iter().chain(flavour).copied().collect();
    reading.check_fields(operation, &known, &place);
    for (name, effect) in
        [("callbacks", "they are not called"), ("servers", "the server is that of the document")]
    {
        if operation.contains_key(name) {
            reading.notes.warn(format!("{place}.{name} is not supported: {effect}"));
        }
    }
    let mut method = Method {
        http_method: site.verb.to_owned(),
        authorization_type: "NONE".into(),
        api_key_required: security::read(reading, site, operation),
        operation_name: reading.text(operation, "operationId", &place),
        tidegate_cache: cache_mode(reading, site, operation),
        ..Method::default()
    };
    parameters::read(reading, site, shared, operation, &mut method);
    request_body(reading, site, operation, &mut method);
    method.method_responses = responses(reading, site, operation);
    method.method_integration = integration::read(reading, site, operation, &method);
    if let Some(extra) = operation.get(tidegate::METHOD) {
        match serde_json::from_value::<tidegate::MethodExtra>(extra.clone()) {
            Ok(extra) => {
                extra.apply(&mut method);
                integration::check_responses(reading, site, &method);
            }
            Err(error) => reading.notes.error(format!(
                "Parse issue: attribute {place}.{}: {}",
                tidegate::METHOD,
                quote(&error.to_string())
            )),
        }
    }
    method
}

fn cache_mode<'d>(reading: &mut Reading<'d>, site: &Site<'_>, operation: &'d Fields) -> Option<CacheMode> {
    let Some(text) = reading.text(operation, tidegate::CACHE, &site.place("")) else { return reading.cache };
    let mode = CacheMode::parse(&text);
    if mode.is_none() {
        site.refuse_method(reading, &format!("{} {} {CACHE_MODE_RULE}", tidegate::CACHE, quote(&text)));
    }
    mode
}

fn request_body<'d>(reading: &mut Reading<'d>, site: &Site<'_>, operation: &'d Fields, method: &mut Method) {
    let place = site.place(".requestBody");
    if reading.format == Format::Oas30
        && let Some(body) = operation.get("requestBody")
        && let Some(body) = reading.resolve(body, &place)
    {
        reading.check_fields(body, &["description", "content", "required"], &place);
        method.request_models = content(reading, body, &place);
    }
}

fn responses<'d>(reading: &mut Reading<'d>, site: &Site<'_>, operation: &'d Fields) -> Map<MethodResponse> {
    let mut found = Map::new();
    let Some(responses) = reading.object(operation, "responses", &site.place("")) else {
        if !operation.contains_key("responses") && site.verb != "ANY" {
            reading.notes.warn(format!("Parse issue: attribute {} is missing", site.place(".responses")));
        }
        return found;
    };
    for (status, response) in responses {
        let place = site.place(&format!(".responses.{}", quote(status)));
        if status.starts_with("x-") || response.get(tidegate::IMPLIED) == Some(&Value::Bool(true)) {
            continue;
        }
        if !is_status(status) {
            reading
                .notes
                .warn(format!("{place} is not a status code; a method response needs one. Ignoring."));
            continue;
        }
        let Some(response) = reading.resolve(response, &place) else { continue };
        reading.check_fields(response, RESPONSE, &place);
        if response.contains_key("links") {
            reading.notes.warn(format!("{place}.links is not supported: it is not kept"));
        }
        found.insert(
            status.clone(),
            MethodResponse {
                status_code: status.clone(),
                response_parameters: headers(reading, response, &place),
                response_models: match reading.format {
                    Format::Oas30 => content(reading, response, &place),
                    Format::Swagger => schema(reading, operation, response, &place),
                },
                ..MethodResponse::default()
            },
        );
    }
    found
}

/// Whether `text` is a status code that a method response may have.
pub(super) fn is_status(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}

fn headers<'d>(reading: &mut Reading<'d>, response: &'d Fields, place: &str) -> Map<bool> {
    let place = format!("{place}.headers");
    let mut found = Map::new();
    for (name, header) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let Some(header) = reading.resolve(header, &place) else { continue };
        let required = reading.flag(header, "required", &place).unwrap_or(false);
        found.insert(format!("method.response.header.{name}"), required);
    }
    found
}

/// OpenAPI 3.0: media types to models.
fn content<'d>(reading: &mut Reading<'d>, holder: &'d Fields, place: &str) -> Map<String> {
    let mut found = Map::new();
    for (media_type, body) in reading.object(holder, "content", place).into_iter().flatten() {
        let place = format!("{place}.content.{}", quote(media_type));
        let Some(body) = body.as_object() else {
            reading.notes.error(format!("Parse issue: attribute {place} is not of type object"));
            continue;
        };
        reading.check_fields(body, &["schema", "example", "examples", "encoding"], &place);
        if let Some(schema) = body.get("schema")
            && let Some(model) = models::for_body(reading, schema, &place)
        {
            found.insert(media_type.clone(), model);
        }
    }
    found
}

/// Swagger 2.0: one schema for all media types that the operation produces.
fn schema<'d>(
    reading: &mut Reading<'d>,
    operation: &'d Fields,
    response: &'d Fields,
    place: &str,
) -> Map<String> {
    let Some(schema) = response.get("schema") else { return Map::new() };
    let Some(model) = models::for_body(reading, schema, place) else { return Map::new() };
    media_types(reading, operation, "produces").into_iter().map(|kind| (kind, model.clone())).collect()
}

/// Swagger 2.0: `consumes` or `produces` of the operation, else of the document, else JSON.
pub(super) fn media_types<'d>(reading: &mut Reading<'d>, operation: &'d Fields, name: &str) -> Vec<String> {
    let root = reading.root;
    let own = reading.array(operation, name, "operation");
    let listed = if own.is_empty() { reading.array(root, name, "document") } else { own };
    // A list of the document is read again for every body.
    if !reading
        .charge(listed.iter().filter_map(Value::as_str).map(|kind| kind.len() + MEDIA_TYPE_BYTES).sum())
    {
        return Vec::new();
    }
    let types: Vec<String> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if types.is_empty() { vec!["application/json".into()] } else { types }
}
