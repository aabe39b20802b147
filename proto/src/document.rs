//! The replicated documents: AWS-shaped JSON with tolerant field names.
//!
//! A document written by a newer version keeps its unknown fields in `other`, so a rolling upgrade loses nothing.
//! Absent optional values are absent on the wire too, as API Gateway omits them.

mod account;
mod api;
mod api_key;
pub mod cache;
mod certificate;
mod cluster;
mod deployment;
mod method;
mod method_setting;
pub mod policy;
pub mod rollout;
mod secret;
mod stage;
mod usage;
pub mod vpc_link;

pub use account::Account;
pub use api::{ApiKeySource, EndpointConfiguration, Model, Resource, RestApi};
pub use api_key::{ApiKey, ApiKeyValue};
pub use cache::{CacheGeneration, CacheMode, CachePolicy, CachePurge};
pub use certificate::{Certificate, TicketSecret};
pub use cluster::{Authority, Drain, JoinTokenRecord, LedgerFounder, NodeCounter, ZonalShift};
pub use deployment::{ApiDefinition, Deployment};
pub use method::{Integration, IntegrationResponse, Method, MethodResponse, TlsConfig};
pub use method_setting::{BURST_LIMIT_DEFAULT, MethodPath, MethodSetting, RATE_LIMIT_DEFAULT};
pub use policy::{Isolated, LimitPolicy, Scope, StageBucket, StageLimits, TagError};
pub use rollout::{RolledBack, RolloutPolicy, StageRollout, StageVersion, Zone};
pub use secret::SealSecret;
pub use stage::{Credential, Stage};
pub use usage::{ApiStage, QuotaPeriod, QuotaSettings, ThrottleSettings, UsagePlan, UsagePlanKey};
pub use vpc_link::{CheckKind, LinkCheck, LinkTarget, LinkTargets, TargetEntry, VpcLink};

use serde::{Serialize, de::DeserializeOwned};

/// String-keyed map in key order, as API Gateway prints it.
pub type Map<V> = std::collections::BTreeMap<String, V>;
/// Fields of a newer version, kept as they came.
pub type Other = std::collections::BTreeMap<String, serde_json::Value>;

/// A document that lives in a replicated record.
pub trait Document: Serialize + DeserializeOwned {
    /// The noun that error messages use.
    const NOUN: &'static str;

    /// The bytes of its record.
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the bytes of its record.
    fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
