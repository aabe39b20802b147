//! Deployments: immutable copies of an API's definition.

use serde::{Deserialize, Serialize};

use super::{Document, Map, Model, Other, Resource, RestApi};

/// An immutable copy of an API. AWS: `Deployment`; the definition is ours and never printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// Unique inside the API.
    pub id: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds since the Unix epoch.
    pub created_date: i64,
    /// The API as it was.
    pub definition: ApiDefinition,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Deployment {
    const NOUN: &'static str = "Deployment";
}

/// Everything that decides how an API answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiDefinition {
    /// The API's own settings.
    pub api: RestApi,
    /// The path tree, root included, in no particular order.
    pub resources: Vec<Resource>,
    /// Models by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub models: Map<Model>,
}
