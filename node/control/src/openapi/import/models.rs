//! Definitions to models, and the choice of a model for a body. Schemas are carried over, never judged.

use serde_json::Value;
use tidegate_proto::document::Model;
use tidegate_proto::limits::MODELS_PER_API_MAX;

use super::super::{Format, schema, tidegate};
use super::reading::{Fields, Reading, quote};

/// Reads all definitions.
pub(super) fn read(reading: &mut Reading<'_>) {
    let Some(definitions) = definitions(reading) else { return };
    for name in definitions.keys() {
        if schema::is_model_name(name) {
            reading.model_names.insert(name.clone());
        } else {
            reading.notes.warn(format!("Model name must be alphanumeric: {}. Ignoring.", quote(name)));
        }
    }
    if reading.model_names.len() > MODELS_PER_API_MAX {
        reading.notes.error(format!("The document has more than {MODELS_PER_API_MAX} models"));
        return;
    }
    for (name, definition) in definitions.iter().filter(|(name, _)| schema::is_model_name(name)) {
        let model = model(reading, name, definition);
        if let (true, Some(text)) = (model.generated, &model.schema) {
            reading.generated_models.insert(text.clone(), name.clone());
        }
        reading.models.insert(name.clone(), model);
    }
}

/// The model for a schema that a body or response names or holds; `None` when there is none to be had.
pub(super) fn for_body<'d>(reading: &mut Reading<'d>, found: &'d Value, place: &str) -> Option<String> {
    let Some(fields) = found.as_object() else {
        reading.notes.error(format!("Parse issue: attribute {place} is not of type object"));
        return None;
    };
    if let Some(Value::String(reference)) = fields.get("$ref")
        && let Some(name) = schema::definition_name(reference, reading.format)
    {
        if reading.model_names.contains(name) {
            return Some(name.to_owned());
        }
        lost(reading, name, place);
        return None;
    }
    if reading.format == Format::Swagger && fields.get("type").and_then(Value::as_str) == Some("file") {
        reading.notes.warn(format!("A file has no model at {place}. Ignoring."));
        return None;
    }
    if fields.is_empty() {
        return None;
    }
    generated(reading, found, place)
}

fn generated(reading: &mut Reading<'_>, found: &Value, place: &str) -> Option<String> {
    let converted = converted(reading, found, None, place);
    let text = schema::text(&converted);
    if let Some(known) = reading.generated_models.get(&text) {
        return Some(known.clone());
    }
    if reading.models.len() >= MODELS_PER_API_MAX {
        reading.notes.error(format!("The document has more than {MODELS_PER_API_MAX} models"));
        return None;
    }
    let name = (schema::GENERATED_DIGITS..=schema::GENERATED_DIGITS_MAX)
        .map(|digits| schema::generated_name(&text, digits))
        .find(|name| !reading.model_names.contains(name))?;
    let model = Model {
        name: name.clone(),
        description: description(&converted),
        schema: Some(text),
        content_type: "application/json".into(),
        generated: true,
        ..Model::default()
    };
    if let Some(text) = &model.schema {
        reading.generated_models.insert(text.clone(), name.clone());
    }
    reading.model_names.insert(name.clone());
    reading.models.insert(name.clone(), model);
    Some(name)
}

fn model(reading: &mut Reading<'_>, name: &str, definition: &Value) -> Model {
    let place = format!("{}{name}", schema::prefix(reading.format));
    let mut converted = converted(reading, definition, Some(name), &place);
    let extra = converted.as_object_mut().and_then(|fields| fields.shift_remove(tidegate::MODEL));
    let mut model = Model {
        name: name.to_owned(),
        description: description(&converted),
        schema: Some(schema::text(&converted)),
        content_type: "application/json".into(),
        ..Model::default()
    };
    model.generated = model.schema.as_ref().is_some_and(|text| schema::is_generated_name(name, text));
    if let Some(extra) = extra {
        match serde_json::from_value::<tidegate::ModelExtra>(extra) {
            Ok(extra) => extra.apply(&mut model),
            Err(error) => {
                reading.notes.error(format!(
                    "Parse issue: attribute {place}.{}: {}",
                    tidegate::MODEL,
                    quote(&error.to_string())
                ));
            }
        }
    }
    model
}

fn converted(reading: &mut Reading<'_>, found: &Value, own: Option<&str>, place: &str) -> Value {
    let mut missing = Vec::new();
    let converted = schema::to_model(found, reading.format, own, &reading.model_names, &mut |reference| {
        missing.push(reference.to_owned());
    });
    for reference in missing {
        let name = reference.strip_prefix(schema::prefix(reading.format)).unwrap_or(&reference);
        lost(reading, name, place);
    }
    converted
}

fn lost(reading: &mut Reading<'_>, name: &str, place: &str) {
    reading.notes.warn(format!(
        "Reference to model {} not found at {}. Ignoring.",
        quote(name),
        quote(place)
    ));
}

fn description(schema: &Value) -> Option<String> {
    schema.get("description").and_then(Value::as_str).map(str::to_owned)
}

fn definitions<'d>(reading: &mut Reading<'d>) -> Option<&'d Fields> {
    let root = reading.root;
    match reading.format {
        Format::Swagger => reading.object(root, "definitions", "document"),
        Format::Oas30 => {
            let components = reading.object(root, "components", "document")?;
            reading.object(components, "schemas", "components")
        }
    }
}
