//! `x-amazon-apigateway-integration` to an integration with its responses, with the defaults that PutIntegration gives.

use serde_json::Value;
use tidegate_proto::document::{Integration, IntegrationResponse, Map, Method, TlsConfig};
use tidegate_proto::limits::{INTEGRATION_TIMEOUT_MS_MAX, INTEGRATION_TIMEOUT_MS_MIN, TEMPLATE_BYTES_MAX};

use super::interface::{Site, is_status};
use super::reading::{Fields, Reading, quote, scalar};

/// Extension of an operation.
pub(super) const INTEGRATION: &str = "x-amazon-apigateway-integration";

const VERBS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];
const LATER_TYPES: [&str; 2] = ["AWS", "AWS_PROXY"];
const PASSTHROUGH: [&str; 3] = ["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"];
const CONTENT_HANDLING: [&str; 2] = ["CONVERT_TO_BINARY", "CONVERT_TO_TEXT"];
const KNOWN: &[&str] = &[
    "type",
    "httpMethod",
    "uri",
    "requestParameters",
    "requestTemplates",
    "passthroughBehavior",
    "responses",
    "timeoutInMillis",
    "connectionType",
    "connectionId",
    "cacheNamespace",
    "cacheKeyParameters",
    "tlsConfig",
    "contentHandling",
];
/// Attributes that are read but have no effect here, with the reason.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    ("credentials", "only AWS integrations use credentials"),
    ("integrationTarget", "a VPC link leads to the targets that its tags name"),
    ("integrationSubtype", "only HTTP APIs have it"),
    ("payloadFormatVersion", "only HTTP APIs have it"),
    ("description", "it is not kept"),
];

/// Reads the integration of an operation; refusals are noted and give `None`, as does its absence.
pub(super) fn read<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    operation: &'d Fields,
    method: &Method,
) -> Option<Integration> {
    let found = operation.get(INTEGRATION)?;
    let malformed = || {
        format!("Unable to parse API definition because of a malformed integration at path {}.", site.path)
    };
    if !found.is_object() {
        reading.notes.error(malformed());
        return None;
    }
    let place = site.place(&format!(".{INTEGRATION}"));
    let found = reading.resolve(found, &place)?;
    let Some(kind) = reading.text(found, "type", &place) else {
        reading.notes.error(malformed());
        return None;
    };
    let kind = match kind.to_ascii_uppercase().as_str() {
        kind @ ("HTTP" | "HTTP_PROXY" | "MOCK") => kind.to_owned(),
        kind if LATER_TYPES.contains(&kind) => {
            site.refuse_integration(
                reading,
                &format!("integration type {kind} is not supported by this version"),
            );
            return None;
        }
        _ => {
            site.refuse_integration(reading, &format!("integration type {} is unknown", quote(&kind)));
            return None;
        }
    };
    check_effects(reading, found, &place);
    let mut integration = Integration { kind, ..Integration::default() };
    endpoint(reading, site, found, &place, &mut integration);
    behaviour(reading, site, found, &place, &mut integration);
    integration.request_parameters = texts(reading, site, found, "requestParameters");
    integration.request_templates = texts(reading, site, found, "requestTemplates");
    check_templates(reading, site, integration.request_templates.values().map(String::as_str));
    integration.integration_responses = responses(reading, site, found, &place, method);
    Some(integration)
}

fn check_effects(reading: &mut Reading<'_>, found: &Fields, place: &str) {
    let known: Vec<&str> = KNOWN
        .iter()
        .copied()
        .chain(WITHOUT_EFFECT.iter().map(|(name, _)| *name))
        .chain(["responseTransferMode"])
        .collect();
    reading.check_fields(found, &known, place);
    for (name, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| found.contains_key(*name)) {
        reading.notes.warn(format!("{place}.{name} has no effect: {reason}"));
    }
    if let Some(mode) = scalar(found.get("responseTransferMode")).filter(|mode| mode != "BUFFERED") {
        reading.notes.warn(format!(
            "{place}.responseTransferMode {} is not supported: responses are buffered",
            quote(&mode)
        ));
    }
}

/// Verb, address and connection; `MOCK` has none of them.
fn endpoint<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    found: &'d Fields,
    place: &str,
    integration: &mut Integration,
) {
    let connection = reading.text(found, "connectionType", place).unwrap_or_else(|| "INTERNET".into());
    let link = reading.text(found, "connectionId", place).filter(|link| !link.is_empty());
    match connection.to_ascii_uppercase().as_str() {
        "INTERNET" if link.is_some() => {
            site.refuse_integration(reading, "connectionId can only be specified for connectionType VPC_LINK")
        }
        "INTERNET" => {}
        "VPC_LINK" if integration.kind == "MOCK" => {
            site.refuse_integration(reading, "Integrations of type MOCK cannot have connectionType VPC_LINK");
        }
        "VPC_LINK" if link.is_none() => {
            site.refuse_integration(reading, "connectionId must be specified for connectionType VPC_LINK");
        }
        "VPC_LINK" => {}
        _ => site.refuse_integration(reading, &format!("connection type {} is unknown", quote(&connection))),
    }
    if integration.kind == "MOCK" {
        return;
    }
    integration.connection_type = Some(connection.to_ascii_uppercase());
    integration.connection_id = link;
    match reading.text(found, "httpMethod", place).map(|verb| verb.to_ascii_uppercase()) {
        Some(verb) if VERBS.contains(&verb.as_str()) => integration.http_method = Some(verb),
        Some(verb) if !verb.is_empty() => site.refuse_integration(
            reading,
            &format!("Invalid HttpMethod specified. Valid options are {}", VERBS.join(",")),
        ),
        _ => site.refuse_integration(reading, "Enumeration value for HttpMethod must be non-empty"),
    }
    match reading.text(found, "uri", place).filter(|uri| is_http(uri)) {
        Some(uri) => integration.uri = Some(uri),
        None => site.refuse_integration(reading, "Invalid HTTP endpoint specified for URI"),
    }
}

/// Whether `uri` can be an HTTP address once its stage variables are known.
fn is_http(uri: &str) -> bool {
    let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty()) || uri.starts_with("${stageVariables.")
}

fn behaviour<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    found: &'d Fields,
    place: &str,
    integration: &mut Integration,
) {
    integration.passthrough_behavior = choice(reading, site, found, "passthroughBehavior", &PASSTHROUGH)
        .unwrap_or_else(|| "WHEN_NO_MATCH".into());
    integration.content_handling = choice(reading, site, found, "contentHandling", &CONTENT_HANDLING);
    integration.timeout_in_millis = INTEGRATION_TIMEOUT_MS_MAX;
    if let Some(timeout) = reading.text(found, "timeoutInMillis", place) {
        match timeout.parse() {
            Ok(ms) if (INTEGRATION_TIMEOUT_MS_MIN..=INTEGRATION_TIMEOUT_MS_MAX).contains(&ms) => {
                integration.timeout_in_millis = ms;
            }
            _ => site.refuse_integration(
                reading,
                &format!(
                    "Timeout should be between {INTEGRATION_TIMEOUT_MS_MIN} ms and {INTEGRATION_TIMEOUT_MS_MAX} ms"
                ),
            ),
        }
    }
    integration.cache_namespace = reading.text(found, "cacheNamespace", place).unwrap_or_default();
    let keys = reading.array(found, "cacheKeyParameters", place);
    integration.cache_key_parameters = keys.iter().filter_map(|key| scalar(Some(key))).collect();
    if let Some(tls) = reading.object(found, "tlsConfig", place) {
        let place = format!("{place}.tlsConfig");
        reading.check_fields(tls, &["insecureSkipVerification"], &place);
        let insecure_skip_verification =
            reading.flag(tls, "insecureSkipVerification", &place).unwrap_or(false);
        integration.tls_config = Some(TlsConfig { insecure_skip_verification });
    }
}

/// One of `values`, in any case.
fn choice<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    found: &'d Fields,
    name: &str,
    values: &[&str],
) -> Option<String> {
    let text = reading.text(found, name, &site.place(&format!(".{INTEGRATION}")))?;
    let known = values.iter().find(|value| value.eq_ignore_ascii_case(&text));
    if known.is_none() {
        site.refuse_integration(
            reading,
            &format!("{name} {} is none of {}", quote(&text), values.join(", ")),
        );
    }
    known.map(|value| (*value).to_owned())
}

/// A map of texts; values of other types are left out with API Gateway's warning.
fn texts<'d>(reading: &mut Reading<'d>, site: &Site<'_>, found: &'d Fields, name: &str) -> Map<String> {
    let mut texts = Map::new();
    let place = site.place(&format!(".{INTEGRATION}"));
    for (key, value) in reading.object(found, name, &place).into_iter().flatten() {
        match value {
            Value::String(text) => drop(texts.insert(key.clone(), text.clone())),
            other => not_text(reading, site, name, key, other),
        }
    }
    texts
}

fn not_text(reading: &mut Reading<'_>, site: &Site<'_>, name: &str, key: &str, value: &Value) {
    let value = scalar(Some(value)).unwrap_or_else(|| kind(value).to_owned());
    reading.notes.warn(format!(
        "Invalid format for '{name}'. Expected type string for property {} of resource '{}' and method '{}' but got {}",
        quote(key),
        site.full,
        site.verb,
        quote(&value),
    ));
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "scalar",
    }
}

/// Checks the templates of responses that were not read from the integration itself.
pub(super) fn check_responses(reading: &mut Reading<'_>, site: &Site<'_>, method: &Method) {
    for response in method.method_integration.iter().flat_map(|found| found.integration_responses.values()) {
        check_templates(reading, site, response.response_templates.values().flatten().map(String::as_str));
    }
}

fn check_templates<'a>(reading: &mut Reading<'_>, site: &Site<'_>, templates: impl Iterator<Item = &'a str>) {
    for _ in templates.filter(|template| template.len() > TEMPLATE_BYTES_MAX) {
        site.refuse_integration(
            reading,
            &format!("a mapping template is larger than {TEMPLATE_BYTES_MAX} bytes"),
        );
    }
}

fn responses<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    found: &'d Fields,
    place: &str,
    method: &Method,
) -> Map<IntegrationResponse> {
    let mut kept: Map<IntegrationResponse> = Map::new();
    let Some(responses) = reading.object(found, "responses", place) else { return kept };
    for (pattern, response) in responses {
        let place = format!("{place}.responses.{}", quote(pattern));
        let Some(response) = reading.resolve(response, &place) else { continue };
        let Some(mut read) = response_at(reading, site, response, &place) else { continue };
        let is_default = pattern == "default" || pattern.is_empty();
        read.selection_pattern = (!is_default).then(|| pattern.clone());
        let status = read.status_code.clone();
        if !method.method_responses.contains_key(&status) {
            reading.notes.warn(format!(
                "{place} maps to the status code {status}, for which there is no method response"
            ));
        }
        if let Some(first) = kept.get(&status) {
            let names = |response: &IntegrationResponse| {
                quote(response.selection_pattern.as_deref().unwrap_or("default"))
            };
            let (wins, loses) = if is_default { (&read, first) } else { (first, &read) };
            reading.notes.warn(format!(
                "{place}: a status code has one integration response; for {status} it is {}, {} is ignored",
                names(wins),
                names(loses),
            ));
            if !is_default {
                continue;
            }
        }
        kept.insert(status, read);
    }
    kept
}

fn response_at<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    response: &'d Fields,
    place: &str,
) -> Option<IntegrationResponse> {
    reading.check_fields(
        response,
        &["statusCode", "responseParameters", "responseTemplates", "contentHandling"],
        place,
    );
    let Some(status_code) = reading.text(response, "statusCode", place).filter(|text| is_status(text)) else {
        site.refuse_integration(reading, "Invalid status code specified for an integration response");
        return None;
    };
    let mut response_templates = Map::new();
    for (key, value) in reading.object(response, "responseTemplates", place).into_iter().flatten() {
        match value {
            Value::Null => drop(response_templates.insert(key.clone(), None)),
            Value::String(text) => drop(response_templates.insert(key.clone(), Some(text.clone()))),
            other => not_text(reading, site, "responseTemplates", key, other),
        }
    }
    check_templates(reading, site, response_templates.values().flatten().map(String::as_str));
    Some(IntegrationResponse {
        status_code,
        response_parameters: texts(reading, site, response, "responseParameters"),
        response_templates,
        content_handling: choice(reading, site, response, "contentHandling", &CONTENT_HANDLING),
        ..IntegrationResponse::default()
    })
}
