//! Which cluster to talk to, and as whom: flags, then the AWS environment variables, then a development region's `dev.json`.

use std::path::PathBuf;

use tidegate_proto::dev::DevRegion;

use crate::Error;

/// Flags every client verb takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectionArgs {
    /// URL of a control listener, as for the AWS CLI
    #[arg(long, global = true, env = "AWS_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Region that signatures name
    #[arg(long, global = true, env = "AWS_REGION", value_name = "REGION")]
    pub region: Option<String>,
    /// Access key; the secret is read from AWS_SECRET_ACCESS_KEY
    #[arg(long, global = true, env = "AWS_ACCESS_KEY_ID", value_name = "ID")]
    pub access_key_id: Option<String>,
    /// Secret of the access key
    #[arg(long, global = true, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true, hide = true)]
    pub secret_access_key: Option<String>,
    /// Data directory of a development region, used where the flags above are absent
    #[arg(long, global = true, value_name = "DIR", default_value = "./.tidegate-dev")]
    pub data: PathBuf,
}

/// A resolved connection.
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    /// `http://host:port`, no trailing slash.
    pub url: String,
    /// Region that signatures name.
    pub region: String,
    /// Access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

impl ConnectionArgs {
    /// Fills what the flags and the environment leave open from `dev.json`, or says what is missing and how to give it.
    pub fn resolve(&self) -> Result<Endpoint, Error> {
        let path = self.data.join("dev.json");
        let dev: Option<DevRegion> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let pick = |given: &Option<String>, dev_value: fn(&DevRegion) -> &String, name: &'static str| {
            given
                .clone()
                .or_else(|| dev.as_ref().map(|d| dev_value(d).clone()))
                .ok_or(Error::Unconfigured { name, path: path.clone() })
        };
        Ok(Endpoint {
            url: pick(&self.endpoint_url, |d| &d.control, "AWS_ENDPOINT_URL")?
                .trim_end_matches('/')
                .to_owned(),
            region: pick(&self.region, |d| &d.region, "AWS_REGION")?,
            access_key_id: pick(&self.access_key_id, |d| &d.access_key_id, "AWS_ACCESS_KEY_ID")?,
            secret_access_key: pick(
                &self.secret_access_key,
                |d| &d.secret_access_key,
                "AWS_SECRET_ACCESS_KEY",
            )?,
        })
    }
}

impl Endpoint {
    /// Shell lines for `eval "$(tidegate env)"`.
    pub fn exports(&self) -> String {
        let Self { url, region, access_key_id, secret_access_key } = self;
        [
            ("AWS_ENDPOINT_URL", url),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_ACCESS_KEY_ID", access_key_id),
            ("AWS_SECRET_ACCESS_KEY", secret_access_key),
        ]
        .map(|(name, value)| format!("export {name}={}\n", shell_quoted(value)))
        .concat()
    }
}

fn shell_quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:+=@,".contains(&b);
    match !value.is_empty() && value.bytes().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(data: PathBuf) -> ConnectionArgs {
        ConnectionArgs {
            endpoint_url: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            data,
        }
    }

    #[test]
    fn missing_settings_are_named() {
        let error = args("does-not-exist".into()).resolve().err().unwrap().to_string();
        assert!(error.starts_with("AWS_ENDPOINT_URL is not set"), "{error}");
        assert!(error.contains("does-not-exist/dev.json"), "{error}");
    }

    #[test]
    fn flags_win_over_the_development_region() {
        let given = ConnectionArgs {
            endpoint_url: Some("http://127.0.0.1:9/".into()),
            region: Some("r".into()),
            access_key_id: Some("a".into()),
            secret_access_key: Some("it's".into()),
            ..args("none".into())
        };
        let endpoint = given.resolve().unwrap();
        assert_eq!(endpoint.url, "http://127.0.0.1:9");
        assert!(endpoint.exports().contains("export AWS_SECRET_ACCESS_KEY='it'\\''s'\n"));
    }
}
