//! Settings of methods, and the names by which settings find their methods.

use serde::{Deserialize, Serialize};

use super::Other;

/// The burst limit that AWS prints where none was set, in requests.
pub const BURST_LIMIT_DEFAULT: u32 = 5_000;
/// The rate limit that AWS prints where none was set, in requests per second.
pub const RATE_LIMIT_DEFAULT: f64 = 10_000.0;

/// Settings of one method of a stage, or of all of them. AWS: `MethodSetting`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MethodSetting {
    /// Whether metrics are kept per method.
    pub metrics_enabled: bool,
    /// `OFF`, `ERROR` or `INFO`; absent until it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging_level: Option<String>,
    /// Whether whole requests are logged.
    pub data_trace_enabled: bool,
    /// Requests that may come at once; -1: any number.
    pub throttling_burst_limit: i64,
    /// Requests per second in the long run; -1: any number. Always finite.
    pub throttling_rate_limit: f64,
    /// Whether answers are cached.
    pub caching_enabled: bool,
    /// Life of a cached answer, in seconds.
    pub cache_ttl_in_seconds: i64,
    /// Whether cached answers are encrypted.
    pub cache_data_encrypted: bool,
    /// Whether a caller needs a permission to bypass the cache.
    pub require_authorization_for_cache_control: bool,
    /// What a caller without it gets.
    pub unauthorized_cache_control_header_strategy: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Default for MethodSetting {
    /// What AWS fills in as soon as one value of a setting is set.
    fn default() -> Self {
        Self {
            metrics_enabled: false,
            logging_level: None,
            data_trace_enabled: false,
            throttling_burst_limit: i64::from(BURST_LIMIT_DEFAULT),
            throttling_rate_limit: RATE_LIMIT_DEFAULT,
            caching_enabled: false,
            cache_ttl_in_seconds: 300,
            cache_data_encrypted: false,
            require_authorization_for_cache_control: true,
            unauthorized_cache_control_header_strategy: "SUCCEED_WITH_RESPONSE_HEADER".into(),
            other: Other::new(),
        }
    }
}

/// Which methods a setting is for. Names are `*/*` or `{path}/{VERB}`; clients write paths with and without the leading slash,
/// and slashes as they are or as `~1` (RFC 6901), and AWS keeps what they wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MethodPath {
    /// Every method.
    All,
    /// One method.
    One {
        /// Path of the resource with its leading slash, such as `/pets/{id}`.
        path: String,
        /// The verb, or `ANY` for the method of that name.
        verb: String,
    },
}

impl MethodPath {
    /// Reads a name such as `~1pets~1{id}/GET`, `pets/GET`, `/pets/GET`, `~1/GET` or `*/*`. `None` when it names no verb that a
    /// method can have, or an asterisk stands for only one half.
    pub fn parse(name: &str) -> Option<Self> {
        const VERBS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"];
        let (path, verb) = name.rsplit_once('/')?;
        let path = path.replace("~1", "/").replace("~0", "~");
        if verb == "*" {
            return matches!(path.as_str(), "*" | "/*").then_some(Self::All);
        }
        if path.is_empty() || path.ends_with('*') || !VERBS.contains(&verb) {
            return None;
        }
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        Some(Self::One { path, verb: verb.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_clients_write_them() {
        let one = |path: &str, verb: &str| Some(MethodPath::One { path: path.into(), verb: verb.into() });
        let cases = [
            ("*/*", Some(MethodPath::All)),
            ("/*/*", Some(MethodPath::All)),
            ("~1*/*", Some(MethodPath::All)),
            ("pets/GET", one("/pets", "GET")),
            ("/pets/GET", one("/pets", "GET")),
            ("~1pets/GET", one("/pets", "GET")),
            ("~1pets~1{id}/GET", one("/pets/{id}", "GET")),
            ("pets/{id}/ANY", one("/pets/{id}", "ANY")),
            ("~1/GET", one("/", "GET")),
            ("//GET", one("/", "GET")),
            ("~1{proxy+}/ANY", one("/{proxy+}", "ANY")),
            ("a~01b/PUT", one("/a~1b", "PUT")),
            ("/GET", None),
            ("GET", None),
            ("", None),
            ("pets/get", None),
            ("pets/", None),
            ("pets/*", None),
            ("*/GET", None),
            ("/*/GET", None),
        ];
        for (name, expect) in cases {
            assert_eq!(MethodPath::parse(name), expect, "{name}");
        }
    }

    #[test]
    fn a_setting_is_printed_as_aws_prints_it() {
        let printed = serde_json::to_value(MethodSetting::default()).unwrap();
        let expect = serde_json::json!({
            "metricsEnabled": false, "dataTraceEnabled": false, "throttlingBurstLimit": 5000,
            "throttlingRateLimit": 10000.0, "cachingEnabled": false, "cacheTtlInSeconds": 300,
            "cacheDataEncrypted": false, "requireAuthorizationForCacheControl": true,
            "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
        });
        assert_eq!(printed, expect);
    }
}
