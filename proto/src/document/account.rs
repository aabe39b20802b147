//! Settings of the whole account in this region.

use serde::{Deserialize, Serialize};

use super::{Document, Other, ThrottleSettings};

/// What applies to all APIs together. AWS: `Account`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// One limit over all requests of the region; absent, or a part absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_settings: Option<ThrottleSettings>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Account {
    const NOUN: &'static str = "Account";
}
