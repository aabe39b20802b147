//! `x-tidegate-*`: what a definition holds and OpenAPI cannot say, so that export and import lose nothing.
//!
//! The exporter writes these only where reading its own document would give something else, and [`CACHE`] where a method has one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_proto::document::{IntegrationResponse, Map, Method, MethodResponse, Model};

use super::schema;

/// Extension of an operation.
pub(crate) const METHOD: &str = "x-tidegate-method";
/// Extension of an operation, and of a document for all its operations: by which rules answers are cached.
pub(crate) const CACHE: &str = "x-tidegate-cache";
/// Extension of a schema.
pub(crate) const MODEL: &str = "x-tidegate-model";
/// Extension of a path parameter that the method itself does not declare.
pub(crate) const IMPLIED: &str = "x-tidegate-implied";
/// Extension of `info` whose version is only the date of the export.
pub(crate) const UNVERSIONED: &str = "x-tidegate-unversioned";

/// The parts of a method that its operation does not say.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct MethodExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_parameters: Option<Map<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_models: Option<Map<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method_responses: Option<Map<MethodResponse>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_responses: Option<Map<IntegrationResponse>>,
}

impl MethodExtra {
    /// What `read` lacks to equal `wanted`.
    pub(crate) fn between(read: &Method, wanted: &Method) -> Option<Self> {
        fn differs<T: Clone + PartialEq>(read: &T, wanted: &T) -> Option<T> {
            (read != wanted).then(|| wanted.clone())
        }
        let responses = |method: &Method| {
            method.method_integration.as_ref().map(|integration| integration.integration_responses.clone())
        };
        let extra = Self {
            request_parameters: differs(&read.request_parameters, &wanted.request_parameters),
            request_models: differs(&read.request_models, &wanted.request_models),
            method_responses: differs(&read.method_responses, &wanted.method_responses),
            integration_responses: differs(&responses(read), &responses(wanted)).flatten(),
        };
        (extra != Self::default()).then_some(extra)
    }

    /// Completes `method`.
    pub(crate) fn apply(self, method: &mut Method) {
        if let Some(parameters) = self.request_parameters {
            method.request_parameters = parameters;
        }
        if let Some(models) = self.request_models {
            method.request_models = models;
        }
        if let Some(responses) = self.method_responses {
            method.method_responses = responses;
        }
        if let (Some(responses), Some(integration)) =
            (self.integration_responses, &mut method.method_integration)
        {
            integration.integration_responses = responses;
        }
    }
}

/// The parts of a model that its schema does not say.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct ModelExtra {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    schema: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<bool>,
}

/// Tells `null`, which is a value here, from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ModelExtra {
    /// What `read` lacks to equal `wanted`, whose references carry `rest_api_id`.
    pub(crate) fn between(read: &Model, wanted: &Model, rest_api_id: &str) -> Option<Self> {
        let schema = wanted.schema.as_deref().map(|text| schema::unbind(text, rest_api_id));
        let extra = Self {
            schema: (!same_schema(read.schema.as_deref(), schema.as_deref())).then_some(schema),
            description: (read.description != wanted.description).then(|| wanted.description.clone()),
            content_type: (read.content_type != wanted.content_type).then(|| wanted.content_type.clone()),
            generated: (read.generated != wanted.generated).then_some(wanted.generated),
        };
        (extra != Self::default()).then_some(extra)
    }

    /// Completes `model`.
    pub(crate) fn apply(self, model: &mut Model) {
        if let Some(schema) = self.schema {
            model.schema = schema;
        }
        if let Some(description) = self.description {
            model.description = description;
        }
        if let Some(content_type) = self.content_type {
            model.content_type = content_type;
        }
        if let Some(generated) = self.generated {
            model.generated = generated;
        }
    }
}

/// Whether two schema texts mean the same; `$schema` is no difference, as every model is draft 4.
pub(crate) fn same_schema(a: Option<&str>, b: Option<&str>) -> bool {
    fn parsed(text: Option<&str>) -> Option<Value> {
        let mut value: Value = serde_json::from_str(text?).ok()?;
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("$schema");
        }
        Some(value)
    }
    a == b || (a.is_some() && b.is_some() && parsed(a).is_some() && parsed(a) == parsed(b))
}
