//! Parameter names and mapping expressions of methods and integrations. Owns their grammar and AWS's texts; must never evaluate one.

use tidegate_proto::{
    document::{Map, Method, MethodResponse},
    limits::TEMPLATE_BYTES_MAX,
};

use crate::error::ApiError;

const REQUEST_SOURCES: [&str; 5] =
    ["path", "querystring", "header", "multivaluequerystring", "multivalueheader"];
const RESPONSE_SOURCES: [&str; 2] = ["header", "multivalueheader"];
const LOCATIONS: [&str; 3] = ["path", "querystring", "header"];

/// Declared request parameters: known locations, and names that differ across them.
pub(crate) fn check_request_parameters(declared: &Map<bool>) -> Result<(), ApiError> {
    let mut names: Vec<&str> = Vec::with_capacity(declared.len());
    for parameter in declared.keys() {
        let Some((location, name)) = split(parameter, "method.request.") else {
            return Err(invalid(parameter));
        };
        if !LOCATIONS.contains(&location) {
            return Err(invalid(parameter));
        }
        names.push(name);
    }
    names.sort_unstable();
    match names.windows(2).any(|pair| pair[0] == pair[1]) {
        true => {
            Err(ApiError::bad_request("Parameter names must be unique across querystring, header and path"))
        }
        false => Ok(()),
    }
}

/// Declared response parameters: only headers can be set.
pub(crate) fn check_response_parameters(declared: &Map<bool>) -> Result<(), ApiError> {
    let is_header = |name: &&String| split(name, "method.response.").is_none_or(|(at, _)| at != "header");
    declared.keys().find(is_header).map_or(Ok(()), |name| Err(invalid(name)))
}

/// Request mappings of an integration; what they read from the request must be declared by the method.
pub(crate) fn check_request_mappings(mappings: &Map<String>, method: &Method) -> Result<(), ApiError> {
    for (target, source) in mappings {
        if split(target, "integration.request.").is_none_or(|(at, _)| !LOCATIONS.contains(&at)) {
            return Err(invalid(target));
        }
        if is_neutral_source(source) || is_body(source, "method.request.body") {
            continue;
        }
        let Some((location, name)) = split(source, "method.request.") else { return Err(invalid(source)) };
        if !REQUEST_SOURCES.contains(&location) {
            return Err(invalid(source));
        }
        let location = location.strip_prefix("multivalue").unwrap_or(location);
        if !method.request_parameters.contains_key(&format!("method.request.{location}.{name}")) {
            return Err(undeclared(source));
        }
    }
    Ok(())
}

/// Response mappings of an integration; what they set must be declared by the method response.
pub(crate) fn check_response_mappings(
    mappings: &Map<String>,
    response: Option<&MethodResponse>,
) -> Result<(), ApiError> {
    if mappings.is_empty() {
        return Ok(());
    }
    let response = response.ok_or_else(|| ApiError::not_found("No method response exists for method."))?;
    for (target, source) in mappings {
        if split(target, "method.response.").is_none_or(|(at, _)| at != "header") {
            return Err(invalid(target));
        }
        if !response.response_parameters.contains_key(target) {
            return Err(undeclared(target));
        }
        let header =
            split(source, "integration.response.").is_some_and(|(at, _)| RESPONSE_SOURCES.contains(&at));
        if !header && !is_neutral_source(source) && !is_body(source, "integration.response.body") {
            return Err(invalid(source));
        }
    }
    Ok(())
}

/// Content types and sizes of mapping templates; their syntax is checked when the API is deployed.
pub(crate) fn check_templates<'a>(
    templates: impl Iterator<Item = (&'a String, Option<&'a str>)>,
) -> Result<(), ApiError> {
    for (content_type, template) in templates {
        if !is_content_type(content_type) {
            return Err(ApiError::bad_request(format!(
                "Validation Result: warnings : [], errors : [Invalid content type specified: {content_type}]"
            )));
        }
        let bytes = template.map_or(0, str::len);
        if bytes > TEMPLATE_BYTES_MAX {
            return Err(ApiError::bad_request(format!(
                "The mapping template for {content_type} has {bytes} bytes, the limit is {TEMPLATE_BYTES_MAX}"
            )));
        }
    }
    Ok(())
}

/// `type/subtype` (RFC 9110, section 8.3.1), or AWS's `$default`.
pub(crate) fn is_content_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-*".contains(&b))
    };
    text == "$default" || essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// `{prefix}{location}.{name}` → location and name.
fn split<'a>(expression: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (location, name) = expression.strip_prefix(prefix)?.split_once('.')?;
    let printable = |b: u8| b.is_ascii_graphic();
    (!name.is_empty() && name.bytes().all(printable)).then_some((location, name))
}

/// Sources that need no declaration: `'static'`, stage variables and context variables.
fn is_neutral_source(source: &str) -> bool {
    let quoted = source.len() >= 2 && source.starts_with('\'') && source.ends_with('\'');
    let named = ["stageVariables.", "context."];
    quoted || named.iter().any(|prefix| source.strip_prefix(prefix).is_some_and(|name| !name.is_empty()))
}

fn is_body(source: &str, prefix: &str) -> bool {
    source.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn invalid(expression: &str) -> ApiError {
    report(&format!("Invalid mapping expression specified: {expression}"))
}

fn undeclared(expression: &str) -> ApiError {
    report(&format!("Invalid mapping expression parameter specified: {expression}"))
}

fn report(error: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : [{error}]"
    ))
}
