//! Parameters of path items and operations to request parameters and request models.

use serde_json::Value;
use tidegate_proto::document::Method;

use super::super::{Format, tidegate};
use super::interface::{self, Site};
use super::models;
use super::reading::{Fields, Reading, quote};

/// Reads the parameters of an operation; they win over the path item's with the same name and place.
pub(super) fn read<'d>(
    reading: &mut Reading<'d>,
    site: &Site<'_>,
    shared: &'d [Value],
    operation: &'d Fields,
    method: &mut Method,
) {
    let own = reading.array(operation, "parameters", &site.place(""));
    let mut body_names = 0_usize;
    // Own parameters come last, so that they replace the shared ones.
    for (index, parameter) in shared.iter().chain(own).enumerate() {
        let place = site.place(&format!(".parameters[{index}]"));
        let Some(parameter) = reading.resolve(parameter, &place) else { continue };
        let Some(kind) = reading.text(parameter, "in", &place) else {
            reading.notes.error(format!("Parse issue: attribute {place}.in is missing"));
            continue;
        };
        let swagger = reading.format == Format::Swagger;
        match kind.as_str() {
            "body" if swagger => {
                body_names += 1;
                body(reading, &place, operation, parameter, method);
            }
            "formData" if swagger => {
                reading.notes.warn(format!("{place} is not supported: form data has no request parameter"));
            }
            "path" => named(reading, &place, parameter, "path", true, method),
            "query" => named(reading, &place, parameter, "querystring", false, method),
            "header" => named(reading, &place, parameter, "header", false, method),
            "cookie" if !swagger => {
                reading.notes.warn(format!("{place} is not supported: cookies have no request parameter"));
            }
            _ => reading.notes.error(format!("Parse issue: attribute {place}.in is {}", quote(&kind))),
        }
    }
    if body_names > 1 {
        reading.notes.warn(format!("{} has more than one body; the last is used", site.place(".parameters")));
    }
}

fn named<'d>(
    reading: &mut Reading<'d>,
    place: &str,
    parameter: &'d Fields,
    location: &str,
    required_by_default: bool,
    method: &mut Method,
) {
    if parameter.get(tidegate::IMPLIED) == Some(&Value::Bool(true)) {
        return;
    }
    let Some(name) = reading.text(parameter, "name", place).filter(|name| !name.is_empty()) else {
        reading.notes.error(format!("Parse issue: attribute {place}.name is missing"));
        return;
    };
    let required = reading.flag(parameter, "required", place).unwrap_or(required_by_default);
    method.request_parameters.insert(format!("method.request.{location}.{name}"), required);
}

fn body<'d>(
    reading: &mut Reading<'d>,
    place: &str,
    operation: &'d Fields,
    parameter: &'d Fields,
    method: &mut Method,
) {
    let Some(schema) = parameter.get("schema") else {
        reading.notes.warn(format!("Parse issue: attribute {place}.schema is missing"));
        return;
    };
    if let Some(model) = models::for_body(reading, schema, place) {
        let types = interface::media_types(reading, operation, "consumes");
        method.request_models = types.into_iter().map(|kind| (kind, model.clone())).collect();
    }
}
