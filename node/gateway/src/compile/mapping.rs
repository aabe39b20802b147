//! Parses parameter mappings: `integration.request.…` and `method.response.…` keys and their source expressions.

use tidegate_proto::{
    compiled::{MappingV1, PlaceV1, SourceV1},
    document::Map,
};

use super::{CompileError, Site};
use crate::transform::is_json_path;

/// Headers that no request mapping may set; a value for one of them is an internal error at call time.
const FORBIDDEN_HEADERS: [&str; 4] =
    ["content-length", "transfer-encoding", "x-amzn-trace-id", "x-amzn-apigateway-api-id"];

/// Mappings onto the upstream call.
pub(super) fn request(
    site: &Site<'_>,
    mappings: &Map<String>,
    names: &[String],
) -> Result<Vec<MappingV1>, CompileError> {
    let mut out = Vec::with_capacity(mappings.len());
    for (target, expression) in mappings {
        let field = "integration.requestParameters";
        let (place, name) = target
            .strip_prefix("integration.request.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(location, name)| Some((place(location, name)?, name)))
            .filter(|(_, name)| !name.is_empty())
            .ok_or_else(|| invalid(site, field, target))?;
        if place != PlaceV1::Path && is_absent_variable(site, expression) {
            continue;
        }
        let source =
            request_source(site, expression, names).ok_or_else(|| invalid(site, field, expression))?;
        out.push(MappingV1 { place, name: name.to_owned(), source });
    }
    Ok(out)
}

/// Mappings onto the client's response.
pub(super) fn response(site: &Site<'_>, mappings: &Map<String>) -> Result<Vec<MappingV1>, CompileError> {
    let mut out = Vec::with_capacity(mappings.len());
    for (target, expression) in mappings {
        let field = "integrationResponse.responseParameters";
        let name = target
            .strip_prefix("method.response.header.")
            .filter(|name| is_header_name(name))
            .ok_or_else(|| invalid(site, field, target))?;
        if is_absent_variable(site, expression) {
            continue;
        }
        let source = response_source(site, expression).ok_or_else(|| invalid(site, field, expression))?;
        out.push(MappingV1 { place: PlaceV1::Header, name: name.to_ascii_lowercase(), source });
    }
    Ok(out)
}

fn place(location: &str, name: &str) -> Option<PlaceV1> {
    match location {
        "path" => Some(PlaceV1::Path),
        "querystring" => Some(PlaceV1::Query),
        "header" if !is_header_name(name) => None,
        "header" if FORBIDDEN_HEADERS.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) => {
            Some(PlaceV1::ForbiddenHeader)
        }
        "header" => Some(PlaceV1::Header),
        _ => None,
    }
}

fn request_source(site: &Site<'_>, expression: &str, names: &[String]) -> Option<SourceV1> {
    let Some(rest) = expression.strip_prefix("method.request.") else {
        return shared_source(site, expression);
    };
    if let Some(body) = body_source(rest) {
        return Some(body);
    }
    let (location, name) = rest.split_once('.').filter(|(_, name)| !name.is_empty())?;
    match location {
        "path" => names.iter().position(|known| known == name).map(|index| SourceV1::Path(index as u32)),
        "querystring" => Some(SourceV1::Query(name.to_owned())),
        "multivaluequerystring" => Some(SourceV1::MultiQuery(name.to_owned())),
        "header" if is_header_name(name) => Some(SourceV1::Header(name.to_ascii_lowercase())),
        "multivalueheader" if is_header_name(name) => Some(SourceV1::MultiHeader(name.to_ascii_lowercase())),
        _ => None,
    }
}

fn response_source(site: &Site<'_>, expression: &str) -> Option<SourceV1> {
    let Some(rest) = expression.strip_prefix("integration.response.") else {
        return shared_source(site, expression);
    };
    if let Some(body) = body_source(rest) {
        return Some(body);
    }
    let (location, name) = rest.split_once('.').filter(|(_, name)| is_header_name(name))?;
    match location {
        "header" => Some(SourceV1::Header(name.to_ascii_lowercase())),
        "multivalueheader" => Some(SourceV1::MultiHeader(name.to_ascii_lowercase())),
        _ => None,
    }
}

fn body_source(rest: &str) -> Option<SourceV1> {
    if rest == "body" {
        return Some(SourceV1::Body);
    }
    let path = rest
        .strip_prefix("body.")
        .or_else(|| rest.strip_prefix("body").filter(|rest| rest.starts_with('[')))?;
    let path = match path.chars().next()? {
        '$' => path.to_owned(),
        '[' => format!("${path}"),
        _ => format!("$.{path}"),
    };
    is_json_path(&path).then_some(SourceV1::BodyPath(path))
}

fn shared_source(site: &Site<'_>, expression: &str) -> Option<SourceV1> {
    if let Some(text) = expression.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(SourceV1::Constant(text.to_owned()));
    }
    if let Some(name) = expression.strip_prefix("stageVariables.").filter(|name| !name.is_empty()) {
        return Some(SourceV1::Constant(site.variables.get(name).cloned().unwrap_or_default()));
    }
    let name = expression.strip_prefix("context.").filter(|name| !name.is_empty())?;
    Some(SourceV1::Variable(name.to_owned()))
}

/// A mapping from a stage variable that does not exist sets nothing.
fn is_absent_variable(site: &Site<'_>, expression: &str) -> bool {
    expression
        .strip_prefix("stageVariables.")
        .is_some_and(|name| !name.is_empty() && !site.variables.contains_key(name))
}

fn is_header_name(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn invalid(site: &Site<'_>, field: &str, expression: &str) -> CompileError {
    let rule = format!(
        "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: {expression}]"
    );
    site.error(field, Some(expression), rule)
}
