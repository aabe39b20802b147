//! Reads the written document as an import would, and adds what it lost as `x-tidegate-*`.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_proto::document::ApiDefinition;

use super::super::{Format, ImportOptions, Imported, ImportedResource, import, tidegate};
use super::operation;

/// Makes `document` say everything that `definition` holds.
pub(super) fn complete(document: &mut Value, definition: &ApiDefinition, format: Format) {
    // A definition that the import refuses cannot be served either; the document still shows it.
    let Ok(read) = import::read(document, &ImportOptions::default()) else { return };
    methods(document, definition, &read);
    models(document, definition, &read, format);
}

fn methods(document: &mut Value, definition: &ApiDefinition, read: &Imported) {
    let found: BTreeMap<&str, &ImportedResource> =
        read.resources.iter().map(|resource| (resource.path.as_str(), resource)).collect();
    for resource in &definition.resources {
        let found = found.get(resource.path.as_str());
        for (verb, method) in &resource.resource_methods {
            let (Some(found), Some(key)) =
                (found.and_then(|found| found.methods.get(verb)), operation::key(verb))
            else {
                continue;
            };
            if let Some(extra) = tidegate::MethodExtra::between(found, method) {
                let operation =
                    document.get_mut("paths").and_then(|paths| paths.get_mut(&resource.path)?.get_mut(key));
                insert(operation, tidegate::METHOD, &extra);
            }
        }
    }
}

fn models(document: &mut Value, definition: &ApiDefinition, read: &Imported, format: Format) {
    for (name, model) in &definition.models {
        let Some(found) = read.models.get(name) else { continue };
        if let Some(extra) = tidegate::ModelExtra::between(found, model, &definition.api.id) {
            let schemas = match format {
                Format::Swagger => document.get_mut("definitions"),
                Format::Oas30 => {
                    document.get_mut("components").and_then(|components| components.get_mut("schemas"))
                }
            };
            insert(schemas.and_then(|schemas| schemas.get_mut(name)), tidegate::MODEL, &extra);
        }
    }
}

fn insert(holder: Option<&mut Value>, key: &str, extra: &impl serde::Serialize) {
    if let (Some(fields), Ok(extra)) = (holder.and_then(Value::as_object_mut), serde_json::to_value(extra)) {
        fields.insert(key.to_owned(), extra);
    }
}
