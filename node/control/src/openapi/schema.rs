//! JSON schemas on their way between models and documents: references and generated names. Never judges a schema.
//!
//! A model refers to another by `https://apigateway.amazonaws.com/restapis/{id}/models/{name}`; a document by
//! `#/components/schemas/{name}` or `#/definitions/{name}`. What follows the name points inside the other schema.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Format;

/// Stands for the id of the API in imported schemas until the caller knows it.
pub const MODEL_API_PLACEHOLDER: &str = "{restapi_id}";

/// Hexadecimal digits in a generated name, as API Gateway has; more only when two schemas collide.
pub(crate) const GENERATED_DIGITS: usize = 6;
/// All digits there are.
pub(crate) const GENERATED_DIGITS_MAX: usize = 64;

const GENERATED_PREFIX: &str = "MODEL";
const MODEL_URL: &str = "https://apigateway.amazonaws.com/restapis/";

/// Puts `rest_api_id` into every model reference of a schema's text.
pub(crate) fn bind(schema: &str, rest_api_id: &str) -> String {
    schema.replace(
        &format!("{MODEL_URL}{MODEL_API_PLACEHOLDER}/models/"),
        &format!("{MODEL_URL}{rest_api_id}/models/"),
    )
}

/// Takes `rest_api_id` out of every model reference of a schema's text.
pub(crate) fn unbind(schema: &str, rest_api_id: &str) -> String {
    match rest_api_id {
        "" => schema.to_owned(),
        id => schema.replace(
            &format!("{MODEL_URL}{id}/models/"),
            &format!("{MODEL_URL}{MODEL_API_PLACEHOLDER}/models/"),
        ),
    }
}

/// The text that a model keeps.
pub(crate) fn text(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).unwrap_or_default()
}

/// Where definitions live in a document.
pub(crate) fn prefix(format: Format) -> &'static str {
    match format {
        Format::Oas30 => "#/components/schemas/",
        Format::Swagger => "#/definitions/",
    }
}

/// The name in a reference that is exactly one definition of a document.
pub(crate) fn definition_name(reference: &str, format: Format) -> Option<&str> {
    reference.strip_prefix(prefix(format)).filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Whether API Gateway takes `name` for a model.
pub(crate) fn is_model_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A name for a schema that the document wrote in place: equal schemas get equal names.
pub(crate) fn generated_name(schema_text: &str, digits: usize) -> String {
    let hash = Sha256::digest(schema_text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{GENERATED_PREFIX}{}", hex.get(..digits).unwrap_or(&hex))
}

/// Whether `name` is one of the names that [`generated_name`] gives.
pub(crate) fn is_generated_name(name: &str, schema_text: &str) -> bool {
    name.len() >= GENERATED_PREFIX.len() + GENERATED_DIGITS
        && name.starts_with(GENERATED_PREFIX)
        && generated_name(schema_text, GENERATED_DIGITS_MAX).starts_with(name)
}

/// A document's schema as a model's: references to `known` definitions become URLs with the placeholder.
///
/// `own` is the definition the schema belongs to. References that lead nowhere are left out, which allows any value
/// there, and handed to `lost`.
pub(crate) fn to_model(
    schema: &Value,
    format: Format,
    own: Option<&str>,
    known: &BTreeSet<String>,
    lost: &mut dyn FnMut(&str),
) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| to_model(item, format, own, known, lost)).collect(),
        Value::Object(fields) => {
            let convert = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                ("$ref", Value::String(reference)) if reference.starts_with('#') => {
                    let target = model_reference(reference, format, own, known);
                    if target.is_none() {
                        lost(reference);
                    }
                    Some((key.clone(), Value::String(target?)))
                }
                _ => Some((key.clone(), to_model(value, format, own, known, lost))),
            };
            Value::Object(fields.iter().filter_map(convert).collect())
        }
        other => other.clone(),
    }
}

fn model_reference(
    reference: &str,
    format: Format,
    own: Option<&str>,
    known: &BTreeSet<String>,
) -> Option<String> {
    let pointer = reference.strip_prefix(prefix(format))?;
    let (name, rest) = match pointer.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (pointer, None),
    };
    if !known.contains(name) {
        return None;
    }
    match rest {
        Some(rest) if own == Some(name) => Some(format!("#/{rest}")),
        Some(rest) => Some(format!("{MODEL_URL}{MODEL_API_PLACEHOLDER}/models/{name}#/{rest}")),
        None => Some(format!("{MODEL_URL}{MODEL_API_PLACEHOLDER}/models/{name}")),
    }
}

/// A model's schema as a document's: the reverse of [`to_model`], without the `$schema` that OpenAPI does not know.
pub(crate) fn to_document(schema: &Value, format: Format, own: &str, rest_api_id: &str) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| to_document(item, format, own, rest_api_id)).collect(),
        Value::Object(fields) => {
            let convert = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                ("$schema", Value::String(_)) => None,
                ("$ref", Value::String(reference)) => {
                    let target = document_reference(reference, format, own, rest_api_id);
                    Some((key.clone(), Value::String(target.unwrap_or_else(|| reference.clone()))))
                }
                _ => Some((key.clone(), to_document(value, format, own, rest_api_id))),
            };
            Value::Object(fields.iter().filter_map(convert).collect())
        }
        other => other.clone(),
    }
}

fn document_reference(reference: &str, format: Format, own: &str, rest_api_id: &str) -> Option<String> {
    if let Some(inside) = reference.strip_prefix('#') {
        return Some(format!("{}{own}{inside}", prefix(format)));
    }
    let (id, name) = reference.strip_prefix(MODEL_URL)?.split_once("/models/")?;
    let ours = id == rest_api_id || id == MODEL_API_PLACEHOLDER;
    ours.then(|| format!("{}{}", prefix(format), name.replacen('#', "", 1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_turn_both_ways() {
        let known: BTreeSet<String> = ["A", "B"].map(String::from).into();
        let cases = [
            ("#/definitions/A", "https://apigateway.amazonaws.com/restapis/{restapi_id}/models/A"),
            ("#/definitions/B/definitions/x", "#/definitions/x"),
            (
                "#/definitions/A/properties/x",
                "https://apigateway.amazonaws.com/restapis/{restapi_id}/models/A#/properties/x",
            ),
            ("https://example.com/schema", "https://example.com/schema"),
        ];
        for (document, model) in cases {
            let mut lost = Vec::new();
            let converted = to_model(
                &json!({ "items": [{ "$ref": document }] }),
                Format::Swagger,
                Some("B"),
                &known,
                &mut |reference| lost.push(reference.to_owned()),
            );
            assert_eq!(converted, json!({ "items": [{ "$ref": model }] }), "{document}");
            assert_eq!(lost, Vec::<String>::new());
            let back = to_document(&converted, Format::Swagger, "B", "abc");
            assert_eq!(back, json!({ "items": [{ "$ref": document }] }), "{document}");
        }
    }

    #[test]
    fn a_reference_to_nothing_is_reported() {
        let mut lost = Vec::new();
        let schema = json!({ "properties": { "$ref": { "$ref": "#/definitions/Gone" } } });
        let converted = to_model(&schema, Format::Swagger, None, &BTreeSet::new(), &mut |reference| {
            lost.push(reference.to_owned());
        });
        assert_eq!(converted, json!({ "properties": { "$ref": {} } }));
        assert_eq!(lost, ["#/definitions/Gone"]);
    }

    #[test]
    fn binding_puts_the_id_in_and_out() {
        let text = format!("{MODEL_URL}{MODEL_API_PLACEHOLDER}/models/Pet");
        let bound = bind(&text, "abc123");
        assert_eq!(bound, "https://apigateway.amazonaws.com/restapis/abc123/models/Pet");
        assert_eq!(unbind(&bound, "abc123"), text);
    }
}
