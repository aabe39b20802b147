//! The options of logs and traces and their rules.

use http::Uri;
use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal only.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings of logs and traces.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What is logged, such as `info` or `info,tidegate_edge=debug`.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where spans go, such as `http://127.0.0.1:4318`; nothing is exported without it. Plain HTTP only.
    pub otlp_endpoint: Option<String>,
    /// Which spans are exported, in the language of `log_filter`.
    pub otlp_filter: String,
    /// Share of traces begun here that are exported, 0 to 1; the decision of a caller is followed.
    pub sample_ratio: f64,
    /// `service.version`.
    pub service_version: String,
    /// `service.instance.id`: the node.
    pub service_instance: String,
    /// `cloud.region`.
    pub region: String,
    /// `cloud.availability_zone`.
    pub az: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_filter: "info".to_owned(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            otlp_filter: "info,hyper=off,h2=off,opentelemetry=off".to_owned(),
            sample_ratio: 1.0,
            service_version: String::new(),
            service_instance: String::new(),
            region: String::new(),
            az: String::new(),
        }
    }
}

/// Why logs or traces cannot start.
#[derive(Debug, ThisError)]
pub enum Error {
    /// An option breaks its rule.
    #[error("option {field} is {value:?}, must be {rule}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// The thread that sends spans cannot start.
    #[error("cannot start the span exporter: {0}")]
    Start(#[from] std::io::Error),
    /// The exporter refuses its settings.
    #[error("cannot build the span exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Somebody else has already set the subscriber of this process.
    #[error("logs are already set up in this process")]
    AlreadySet,
    /// The subscriber whose filter should change no longer exists.
    #[error("logs have ended")]
    Gone,
}

impl Options {
    /// Checks every field that has a rule, except filters, which are checked when parsed.
    ///
    /// # Errors
    /// [`Error::Option`] names the first field that breaks its rule.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let value = self.sample_ratio.to_string();
            return Err(Error::Option { field: "sample_ratio", value, rule: "from 0 to 1" });
        }
        self.traces_endpoint().map(drop)
    }

    /// The full URL spans are posted to.
    pub(super) fn traces_endpoint(&self) -> Result<Option<String>, Error> {
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        let broken = || Error::Option {
            field: "otlp_endpoint",
            value: endpoint.clone(),
            rule: "an http:// address, https is not supported",
        };
        let uri: Uri = endpoint.parse().map_err(|_| broken())?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(broken());
        }
        let base = endpoint.trim_end_matches('/');
        Ok(Some(if uri.path() == "/" { format!("{base}/v1/traces") } else { base.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_path_gets_the_usual_one() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("http://collector/custom", "http://collector/custom"),
        ] {
            let options = Options { otlp_endpoint: Some(endpoint.to_owned()), ..Options::default() };
            assert_eq!(options.traces_endpoint().unwrap().as_deref(), Some(expected));
        }
    }

    #[test]
    fn broken_rules_name_the_field() {
        for endpoint in ["https://collector:4318", "collector:4318", "", "http://"] {
            let options = Options { otlp_endpoint: Some(endpoint.to_owned()), ..Options::default() };
            let text = options.check().unwrap_err().to_string();
            assert!(text.contains("otlp_endpoint"), "{endpoint}: {text}");
        }
        let options = Options { sample_ratio: 2.0, ..Options::default() };
        assert!(options.check().unwrap_err().to_string().contains("sample_ratio"));
    }
}
