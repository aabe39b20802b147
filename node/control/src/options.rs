//! The options of the control plane and their rules.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Settings of the control plane of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where to listen; port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// Region that ARNs and host names carry.
    pub region: String,
    /// 12-digit account that messages carry.
    pub account_id: String,
    /// Whether `POST /_tidegate/dev/reset` is there, without a signature.
    pub dev: bool,
    /// The region that signatures must be scoped to; `None` takes any, as clients of a multi-region cluster differ.
    pub signing_region: Option<String>,
    /// Allowed clock difference of REST calls, in seconds (*AWS*: 5 minutes).
    pub rest_skew_s_max: i64,
    /// Allowed clock difference of STS and IAM calls, in seconds (*AWS*: 15 minutes).
    pub query_skew_s_max: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            dev: false,
            signing_region: None,
            rest_skew_s_max: 300,
            query_skew_s_max: 900,
        }
    }
}

/// Why a control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option breaks its rule.
    #[error("option {field} is '{value}', must be {rule}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// The listener cannot start.
    #[error(transparent)]
    Listener(#[from] tidegate_listener::Error),
}

impl Options {
    /// Checks every field against its rule.
    ///
    /// # Errors
    /// [`Error::Option`] names the first field that breaks its rule.
    pub fn check(&self) -> Result<(), Error> {
        let fault = |field, value: &dyn std::fmt::Display, rule| {
            Err(Error::Option { field, value: value.to_string(), rule })
        };
        let is_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.region.is_empty() || !self.region.bytes().all(is_label) {
            return fault("region", &self.region, "lower-case letters, digits and dashes");
        }
        if self.account_id.len() != 12 || !self.account_id.bytes().all(|b| b.is_ascii_digit()) {
            return fault("account_id", &self.account_id, "12 digits");
        }
        let rule = "from 1 to 86400 seconds";
        for (field, value) in
            [("rest_skew_s_max", self.rest_skew_s_max), ("query_skew_s_max", self.query_skew_s_max)]
        {
            if !(1..=86_400).contains(&value) {
                return fault(field, &value, rule);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_rules_are_named() {
        assert!(Options::default().check().is_ok());
        let cases = [
            (Options { region: "EU".into(), ..Options::default() }, "option region is 'EU'"),
            (Options { account_id: "1".into(), ..Options::default() }, "option account_id is '1'"),
            (Options { rest_skew_s_max: 0, ..Options::default() }, "option rest_skew_s_max is '0'"),
        ];
        for (options, expect) in cases {
            assert!(options.check().unwrap_err().to_string().starts_with(expect), "{expect}");
        }
    }
}
