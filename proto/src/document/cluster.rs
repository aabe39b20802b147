//! Bookkeeping of the cluster itself: its certificate authority, join tokens, node ids, drained nodes and shifted zones.

use serde::{Deserialize, Serialize};

use super::Document;

/// The certificate authority; every node that answers joins needs its key.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authority {
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// Private key, PEM.
    pub key_pem: String,
}

impl Document for Authority {
    const NOUN: &'static str = "Authority";
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A join token; its key carries the hash of the secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JoinTokenRecord {
    /// Seconds since the Unix epoch after which the token is refused.
    pub expires: i64,
    /// Hash of the certificate request that the token was spent on; empty while it is unused.
    pub holder: String,
    /// Id of the node that was let in, 0 while the token is unused.
    pub node: u64,
}

impl Document for JoinTokenRecord {
    const NOUN: &'static str = "JoinToken";
}

/// The highest node id given out; ids are never reused, as a vote of an old holder could return.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeCounter {
    /// Last id given out.
    pub last: u64,
}

impl Document for NodeCounter {
    const NOUN: &'static str = "NodeCounter";
}

/// The node that starts the ledger groups of a region; written once, never changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerFounder {
    /// The node.
    pub node: u64,
}

impl Document for LedgerFounder {
    const NOUN: &'static str = "LedgerFounder";
}

/// Marks a node as drained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// Seconds since the Unix epoch.
    pub since: i64,
}

impl Document for Drain {
    const NOUN: &'static str = "Drain";
}

/// Marks an availability zone that traffic and leaders are moved away from, until a time. AWS: `StartZonalShift` of the Application
/// Recovery Controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ZonalShift {
    /// Region of the zone.
    pub region: String,
    /// Name of the zone.
    pub az: String,
    /// Seconds since the Unix epoch.
    pub since: i64,
    /// Seconds since the Unix epoch; the shift is over from then on.
    pub expires: i64,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl Document for ZonalShift {
    const NOUN: &'static str = "ZonalShift";
}
