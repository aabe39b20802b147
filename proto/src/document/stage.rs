//! Stages and access keys.

use serde::{Deserialize, Serialize};

use super::{CacheGeneration, Document, Map, MethodSetting, Other, RolledBack, StageRollout};

/// A named pointer to a deployment. AWS: `Stage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stage {
    /// First path segment of calls.
    pub stage_name: String,
    /// The deployment that is served.
    pub deployment_id: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Stage variables.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String>,
    /// Settings of methods, named as the client wrote them; [`super::MethodPath`] reads the names.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub method_settings: Map<MethodSetting>,
    /// Whether there is a cache cluster.
    pub cache_cluster_enabled: bool,
    /// Its size in GB, one of [`super::cache::CACHE_SIZES`]; kept while it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_cluster_size: Option<String>,
    /// What was taken out of the cache; clients do not see it.
    #[serde(skip_serializing_if = "is_untouched")]
    pub tidegate_cache: CacheGeneration,
    /// How far its newest version has come, while it goes from availability zone to availability zone; clients do not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tidegate_rollout: Option<StageRollout>,
    /// The newest version that was taken back; clients do not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tidegate_rolled_back: Option<RolledBack>,
    /// Tags; [`super::LimitPolicy`], [`super::StageLimits`], [`super::CachePolicy`] and [`super::RolloutPolicy`] read some of them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String>,
    /// Seconds since the Unix epoch.
    pub created_date: i64,
    /// Seconds since the Unix epoch.
    pub last_updated_date: i64,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Stage {
    const NOUN: &'static str = "Stage";
}

fn is_untouched(generation: &CacheGeneration) -> bool {
    *generation == CacheGeneration::default()
}

/// An access key and what it may sign as.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credential {
    /// `AKIA` plus 16 upper-case alphanumerics.
    pub access_key_id: String,
    /// The shared secret; every node needs it to verify signatures.
    pub secret_access_key: String,
    /// 12-digit account.
    pub account_id: String,
    /// ARN of the principal.
    pub arn: String,
    /// Unique id of the principal.
    pub user_id: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Credential {
    const NOUN: &'static str = "Credential";
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
