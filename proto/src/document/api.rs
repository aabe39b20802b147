//! REST APIs, their resources and models.

use serde::{Deserialize, Serialize};

use super::{Document, Map, Method, Other, is_false};

/// A REST API. AWS: `RestApi` of the `apigateway` service, 2015-07-09.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestApi {
    /// 10 lower-case alphanumeric characters, or pinned by tag.
    pub id: String,
    /// Display name; need not be unique.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds since the Unix epoch.
    pub created_date: i64,
    /// Version label from the OpenAPI document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Warnings of the last import that did not fail on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Media types handled as bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binary_media_types: Vec<String>,
    /// Where the API key of a request is read from.
    pub api_key_source: ApiKeySource,
    /// Endpoint types.
    pub endpoint_configuration: EndpointConfiguration,
    /// Tags.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String>,
    /// Refuses calls on the generated host name.
    pub disable_execute_api_endpoint: bool,
    /// Id of the resource `/`.
    pub root_resource_id: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for RestApi {
    const NOUN: &'static str = "RestApi";
}

/// AWS: `ApiKeySourceType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ApiKeySource {
    /// The `x-api-key` header.
    #[default]
    Header,
    /// `usageIdentifierKey` of the authorizer.
    Authorizer,
}

/// AWS: `EndpointConfiguration`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointConfiguration {
    /// `EDGE`, `REGIONAL` or `PRIVATE`.
    pub types: Vec<String>,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: String,
    /// VPC endpoints of a private API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vpc_endpoint_ids: Vec<String>,
}

impl Default for EndpointConfiguration {
    fn default() -> Self {
        Self { types: vec!["EDGE".into()], ip_address_type: "ipv4".into(), vpc_endpoint_ids: Vec::new() }
    }
}

/// A node of the path tree with its methods, as `GetResources?embed=methods` prints it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Unique inside the API.
    pub id: String,
    /// Absent on the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Last segment; absent on the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_part: Option<String>,
    /// Full path from the root, starting with `/`.
    pub path: String,
    /// Methods by verb, `ANY` included.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub resource_methods: Map<Method>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Resource {
    const NOUN: &'static str = "Resource";
}

/// A schema for request or response bodies. AWS: `Model`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Model {
    /// Unique inside the API.
    pub id: String,
    /// Alphanumeric name, the key inside the API.
    pub name: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema, draft 4, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Media type, usually `application/json`.
    pub content_type: String,
    /// Whether the import or the user made it; the two built-in models are `false` as well.
    #[serde(skip_serializing_if = "is_false")]
    pub generated: bool,
}

impl Document for Model {
    const NOUN: &'static str = "Model";
}
