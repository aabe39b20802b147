//! A document being read: its flavour, its references and the notes taken. Knows no part of OpenAPI by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use tidegate_proto::document::{CacheMode, Map, Model};

use super::super::Format;
use super::super::limits::{EXPANDED_BYTES_MAX, NOTES_MAX, QUOTE_CHARS_MAX, REFERENCE_HOPS_MAX};

/// The fields of a JSON object, in document order.
pub(crate) type Fields = serde_json::Map<String, Value>;

/// A document and what was found in it so far.
pub(crate) struct Reading<'d> {
    document: &'d Value,
    expanded_bytes: usize,
    /// Sizes of what references lead to, by address.
    sizes: HashMap<*const Value, usize>,
    /// The document's top-level fields.
    pub(crate) root: &'d Fields,
    /// Flavour.
    pub(crate) format: Format,
    /// By which rules the answers of operations are cached that do not say it themselves.
    pub(crate) cache: Option<CacheMode>,
    /// Warnings and errors.
    pub(crate) notes: Notes,
    /// Models read or made so far.
    pub(crate) models: Map<Model>,
    /// Names of the models made for schemas that stand in place, by schema text.
    pub(crate) generated_models: HashMap<String, String>,
    /// Definitions that are models, known before their schemas are read.
    pub(crate) model_names: BTreeSet<String>,
    /// Security schemes that some operation names and nobody enforces: reason and number of operations.
    pub(crate) unenforced: BTreeMap<String, (String, usize)>,
}

impl<'d> Reading<'d> {
    /// Looks at the version; the error says why the document cannot be read, or nothing when it is none.
    pub(crate) fn new(document: &'d Value) -> Result<Self, String> {
        let root = document.as_object().ok_or_else(String::new)?;
        let format = match (scalar(root.get("swagger")), scalar(root.get("openapi"))) {
            (Some(version), None) if version == "2.0" || version == "2" => Format::Swagger,
            (None, Some(version)) if version == "3.0" || version.starts_with("3.0.") => Format::Oas30,
            (None, None) => return Err("neither swagger nor openapi names a version".into()),
            (Some(version), _) => return Err(format!("swagger {} is not 2.0", quote(&version))),
            (_, Some(version)) => {
                return Err(format!(
                    "OpenAPI {} is not supported, only 3.0 and Swagger 2.0",
                    quote(&version)
                ));
            }
        };
        Ok(Self {
            document,
            expanded_bytes: 0,
            sizes: HashMap::new(),
            root,
            format,
            cache: None,
            notes: Notes::default(),
            models: Map::new(),
            generated_models: HashMap::new(),
            model_names: BTreeSet::new(),
            unenforced: BTreeMap::new(),
        })
    }

    /// Follows `$ref`s inside the document to an object; anything else is noted as an error at `place`.
    pub(crate) fn resolve(&mut self, value: &'d Value, place: &str) -> Option<&'d Fields> {
        let mut value = value;
        for hop in 0..REFERENCE_HOPS_MAX {
            let Some(fields) = value.as_object() else {
                self.notes.error(format!("Parse issue: attribute {place} is not of type object"));
                return None;
            };
            let Some(Value::String(reference)) = fields.get("$ref") else {
                let bytes = if hop == 0 { 0 } else { self.size(value) };
                return self.charge(bytes).then_some(fields);
            };
            let Some(target) = self.target(reference) else {
                self.notes.error(format!("Unable to resolve reference {} at {place}", quote(reference)));
                return None;
            };
            value = target;
        }
        self.notes.error(format!("References lead in a circle at {place}"));
        None
    }

    /// Counts what is read more than once; false when a small document has become a large one.
    pub(crate) fn charge(&mut self, bytes: usize) -> bool {
        let before = self.expanded_bytes;
        self.expanded_bytes = before.saturating_add(bytes);
        if before <= EXPANDED_BYTES_MAX && self.expanded_bytes > EXPANDED_BYTES_MAX {
            self.notes.error(format!(
                "The document comes to more than {EXPANDED_BYTES_MAX} bytes with its references"
            ));
        }
        self.expanded_bytes <= EXPANDED_BYTES_MAX
    }

    fn size(&mut self, value: &'d Value) -> usize {
        *self.sizes.entry(std::ptr::from_ref(value)).or_insert_with(|| size(value))
    }

    fn target(&self, reference: &str) -> Option<&'d Value> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        self.document.pointer(&pointer)
    }

    /// The object at `fields[name]`, if any; another type is an error.
    pub(crate) fn object(&mut self, fields: &'d Fields, name: &str, place: &str) -> Option<&'d Fields> {
        self.typed(fields, name, place, "object", Value::as_object)
    }

    /// The list at `fields[name]`, if any; another type is an error.
    pub(crate) fn array(&mut self, fields: &'d Fields, name: &str, place: &str) -> &'d [Value] {
        self.typed(fields, name, place, "array", Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The text at `fields[name]`, if any; numbers count as text, another type is an error.
    pub(crate) fn text(&mut self, fields: &'d Fields, name: &str, place: &str) -> Option<String> {
        let value = fields.get(name).filter(|value| !value.is_null())?;
        let text = scalar(Some(value));
        if text.is_none() {
            self.wrong_type(name, place, "string");
        }
        text
    }

    /// The flag at `fields[name]`, if any; another type is an error.
    pub(crate) fn flag(&mut self, fields: &'d Fields, name: &str, place: &str) -> Option<bool> {
        self.typed(fields, name, place, "boolean", |value| match value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
        .copied()
    }

    fn typed<T: ?Sized>(
        &mut self,
        fields: &'d Fields,
        name: &str,
        place: &str,
        kind: &str,
        cast: impl FnOnce(&'d Value) -> Option<&'d T>,
    ) -> Option<&'d T> {
        let value = fields.get(name).filter(|value| !value.is_null())?;
        let cast = cast(value);
        if cast.is_none() {
            self.wrong_type(name, place, kind);
        }
        cast
    }

    fn wrong_type(&mut self, name: &str, place: &str, kind: &str) {
        self.notes.error(format!("Parse issue: attribute {place}.{name} is not of type {kind}"));
    }

    /// Warns of fields that are neither `known` nor free extensions.
    pub(crate) fn check_fields(&mut self, fields: &Fields, known: &[&str], place: &str) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            if let Some(reason) = unsupported_extension(name) {
                self.notes.warn(format!("{} at {place} is not supported: {reason}", quote(name)));
            } else if !name.starts_with("x-") {
                self.notes.warn(format!("Parse issue: attribute {place}.{} is unexpected", quote(name)));
            }
        }
    }
}

/// About the memory that a value takes when it is read.
fn size(value: &Value) -> usize {
    const VALUE_BYTES: usize = 32;
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + size(value)).sum(),
        }
}

/// Why an extension of API Gateway has no effect here; `None` for the extensions of others.
fn unsupported_extension(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("x-amazon-apigateway-")?;
    Some(match name {
        "policy" => "this version does not enforce resource policies, calls are NOT restricted by it",
        "authorizer" | "authtype" | "authorizers" => "this version has no authorizers",
        "auth" => "authentication belongs to an operation",
        "request-validator" | "request-validators" => "this version does not validate requests",
        "gateway-responses" => "this version answers errors with the default responses",
        "documentation" => "this version keeps no documentation parts",
        "minimum-compression-size" => "this version does not compress responses",
        "cors" => "only HTTP APIs have it; add an OPTIONS method",
        "security-policy" | "endpoint-access-mode" => "TLS is set by the listener of the node",
        "importexport-version" => "only HTTP APIs have it",
        "integration" | "any-method" => "it does not belong here",
        _ => "the extension is unknown",
    })
}

/// Warnings and errors in the order of the document, bounded.
#[derive(Default)]
pub(crate) struct Notes {
    warnings: Bounded,
    errors: Bounded,
}

#[derive(Default)]
struct Bounded {
    lines: Vec<String>,
    omitted: usize,
}

impl Notes {
    /// Something is not taken over, or differently than it reads.
    pub(crate) fn warn(&mut self, line: String) {
        self.warnings.push(line);
    }

    /// The document cannot be imported.
    pub(crate) fn error(&mut self, line: String) {
        self.errors.push(line);
    }

    /// Warnings and errors.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.finish("warnings"), self.errors.finish("errors"))
    }
}

impl Bounded {
    fn push(&mut self, line: String) {
        if self.lines.len() < NOTES_MAX {
            self.lines.push(line);
        } else {
            self.omitted += 1;
        }
    }

    fn finish(mut self, noun: &str) -> Vec<String> {
        if self.omitted > 0 {
            self.lines.push(format!("… and {} more {noun}", self.omitted));
        }
        self.lines
    }
}

/// A string, number or boolean as text.
pub(crate) fn scalar(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Text of the document inside a message: bounded, on one line.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String =
        text.chars().take(QUOTE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("'{shown}'")
}
