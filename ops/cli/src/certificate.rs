//! `tidegate certificate …`: the certificates that the data plane proves itself with.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use http::Method;
use serde_json::{Value, json};
use tidegate_proto::status::{CertificateList, CertificateStatus};

use crate::{
    Client, Error, Format,
    output::{json as pretty, percent_encode, table},
};

const ROOT: &str = "/_tidegate/certificates";
const DAY_S: i64 = 86_400;

/// Verbs on certificates of the data plane.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CertificateCommand {
    /// Store a certificate, or replace the one of that name; every node serves it from the next handshake on
    Put {
        /// Name; the certificate called `default` also answers clients that name no known host
        name: String,
        /// PEM file with the chain, leaf first
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
        /// PEM file with the private key, not encrypted
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// List names, host names and how long each is valid
    Ls,
    /// Delete a certificate
    Rm {
        /// Name
        name: String,
    },
}

impl CertificateCommand {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        match self {
            Self::Put { name, chain, key } => {
                let body = json!({ "chain_pem": read(chain)?, "key_pem": read(key)? });
                let stored: CertificateStatus = client.json(Method::PUT, &path(name), &body).await?;
                Ok(printed(format, &stored, || {
                    format!("certificate {} is stored\n{}", stored.name, rows(std::slice::from_ref(&stored)))
                }))
            }
            Self::Ls => {
                let list: CertificateList = client.json(Method::GET, ROOT, &Value::Null).await?;
                Ok(printed(format, &list, || rows(&list.certificates)))
            }
            Self::Rm { name } => {
                client.call(Method::DELETE, &path(name), Vec::new()).await?;
                let removed = json!({ "name": name });
                Ok(printed(format, &removed, || format!("certificate {name} is deleted")))
            }
        }
    }
}

/// Names hold no character that a path would have to escape; one that does is the server's to refuse.
fn path(name: &str) -> String {
    format!("{ROOT}/{}", percent_encode(name))
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|reason| Error::File { path: file.to_owned(), reason })
}

fn printed(format: Format, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> String {
    match format {
        Format::Json => pretty(value),
        Format::Table => text(),
    }
}

fn rows(certificates: &[CertificateStatus]) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let row = |certificate: &CertificateStatus| {
        vec![
            certificate.name.clone(),
            validity(certificate.not_after - now_s),
            certificate.dns_names.join(","),
        ]
    };
    table(&["NAME", "VALID FOR", "DNS NAMES"], certificates.iter().map(row).collect())
}

fn validity(left_s: i64) -> String {
    match left_s {
        ..0 => "expired".into(),
        0..DAY_S => "less than a day".into(),
        DAY_S.. => format!("{} days", left_s / DAY_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_a_table() {
        let certificate = CertificateStatus {
            name: "web".into(),
            dns_names: vec!["a.test".into(), "*.b.test".into()],
            ..Default::default()
        };
        let text = rows(&[certificate]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("NAME") && lines[0].ends_with("DNS NAMES"), "{text}");
        assert!(lines[1].starts_with("web ") && lines[1].ends_with(" a.test,*.b.test"), "{text}");
        assert_eq!([-1, 0, DAY_S * 90 + 7].map(validity), ["expired", "less than a day", "90 days"]);
        assert_eq!(path("a b/é"), "/_tidegate/certificates/a%20b%2F%C3%A9");
    }
}
