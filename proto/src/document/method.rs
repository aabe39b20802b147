//! Methods, integrations and their responses.

use serde::{Deserialize, Serialize};

use super::{CacheMode, Map, Other};

/// A verb on a resource. AWS: `Method`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Method {
    /// `GET`, …, or `ANY`.
    pub http_method: String,
    /// `NONE` or an authorizer kind.
    pub authorization_type: String,
    /// Authorizer, for the kinds that need one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorizer_id: Option<String>,
    /// Whether a call needs an API key.
    pub api_key_required: bool,
    /// Name for SDKs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_name: Option<String>,
    /// Validator of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_validator_id: Option<String>,
    /// `method.request.{location}.{name}` → required.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_parameters: Map<bool>,
    /// Content type → model name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_models: Map<String>,
    /// Scopes an access token must have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_scopes: Vec<String>,
    /// Declared responses by status code.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub method_responses: Map<MethodResponse>,
    /// By which rules answers are cached, where it is not left to the stage. Not AWS's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tidegate_cache: Option<CacheMode>,
    /// What is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method_integration: Option<Integration>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

/// A response a method declares. AWS: `MethodResponse`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MethodResponse {
    /// Three digits.
    pub status_code: String,
    /// `method.response.header.{name}` → required.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub response_parameters: Map<bool>,
    /// Content type → model name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub response_models: Map<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

/// What a method calls. AWS: `Integration`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Integration {
    /// `HTTP`, `HTTP_PROXY` or `MOCK`; the others are refused before they get here.
    #[serde(rename = "type")]
    pub kind: String,
    /// Verb of the upstream call; absent for `MOCK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_method: Option<String>,
    /// Upstream address with `{param}` and `${stageVariables.name}` placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// `INTERNET` or `VPC_LINK`; absent for `MOCK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_type: Option<String>,
    /// Id of a VPC link, or a stage variable that holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// `integration.request.{location}.{name}` → source expression.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_parameters: Map<String>,
    /// Content type → mapping template.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_templates: Map<String>,
    /// `WHEN_NO_MATCH`, `WHEN_NO_TEMPLATES` or `NEVER`.
    pub passthrough_behavior: String,
    /// `CONVERT_TO_BINARY` or `CONVERT_TO_TEXT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_handling: Option<String>,
    /// Total time for the upstream call, in milliseconds.
    pub timeout_in_millis: u32,
    /// Namespace of cache keys; the resource id unless set.
    pub cache_namespace: String,
    /// Parameters that belong to the cache key.
    pub cache_key_parameters: Vec<String>,
    /// Responses by method status code.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub integration_responses: Map<IntegrationResponse>,
    /// TLS to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

/// How one group of upstream answers becomes a method response. AWS: `IntegrationResponse`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntegrationResponse {
    /// Status code of the method response.
    pub status_code: String,
    /// Regular expression over the upstream status; absent on the default response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection_pattern: Option<String>,
    /// `method.response.header.{name}` → source expression.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub response_parameters: Map<String>,
    /// Content type → mapping template; an empty or `null` template passes the body through.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub response_templates: Map<Option<String>>,
    /// `CONVERT_TO_BINARY` or `CONVERT_TO_TEXT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_handling: Option<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

/// AWS: `TlsConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsConfig {
    /// Skips verification of the upstream's certificate.
    pub insecure_skip_verification: bool,
}
