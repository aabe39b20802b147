//! API keys: who calls, without the value that proves it.

use serde::{Deserialize, Serialize};

use super::{Document, Map, Other};

/// A key that a caller shows. AWS: `ApiKey`. The value itself is in no record: its hash finds the key, and the sealed form is
/// for those who may read it back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiKey {
    /// 10 lower-case alphanumeric characters.
    pub id: String,
    /// Display name; need not be unique, may be absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether callers may use it.
    pub enabled: bool,
    /// A customer of a marketplace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Stages as `{api}/{stage}`, from before there were usage plans; they admit nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_keys: Vec<String>,
    /// Labels, which AWS takes and never prints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String>,
    /// Seconds since the Unix epoch.
    pub created_date: i64,
    /// Seconds since the Unix epoch.
    pub last_updated_date: i64,
    /// SHA-256 of the value, in 64 lower-case hexadecimal digits: what a request is looked up by.
    pub value_sha256: String,
    /// The value under the seal of the cluster, base64.
    pub sealed_value: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for ApiKey {
    const NOUN: &'static str = "ApiKey";
}

/// Which key has a value; its record is named by the SHA-256 of the value, so that values are unique and found without a scan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiKeyValue {
    /// Id of the key.
    pub key_id: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for ApiKeyValue {
    const NOUN: &'static str = "ApiKeyValue";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_newer_version_are_kept() {
        let text = br#"{"id":"a","enabled":true,"valueSha256":"00","rotation":"later"}"#;
        let document = ApiKey::decode(text).unwrap();
        assert_eq!((document.id.as_str(), document.enabled, document.name.as_ref()), ("a", true, None));
        assert!(String::from_utf8(document.encode()).unwrap().contains(r#""rotation":"later""#));
    }
}
