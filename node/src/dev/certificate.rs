//! The certificate of a development region: made once, stored through the public API, its public half left in `DIR/gateway.pem`
//! for `curl --cacert`. It never leaves the machine and nobody else trusts it.

use http::{Method, StatusCode};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use tidegate_cli::{Client, Error};
use tidegate_proto::status::CertificateStatus;

use super::{DevError, layout::Layout};

/// File with the certificate in the data directory.
pub(crate) const FILE: &str = "gateway.pem";
const PATH: &str = "/_tidegate/certificates/default";

/// Makes sure that the region has a certificate called `default`, and that the file holds it.
pub(crate) async fn ensure(client: &Client, layout: &Layout) -> Result<(), DevError> {
    let found = client.json::<CertificateStatus>(Method::GET, PATH, &Value::Null).await;
    let chain_pem = match found {
        Ok(found) => found.chain_pem.unwrap_or_default(),
        Err(Error::Answer { status: StatusCode::NOT_FOUND, .. }) => {
            let (chain_pem, key_pem) = make(layout).map_err(|error| DevError::Refused(error.to_string()))?;
            let body = json!({ "chain_pem": chain_pem, "key_pem": key_pem });
            client.call(Method::PUT, PATH, body.to_string().into_bytes()).await?;
            chain_pem
        }
        Err(error) => return Err(error.into()),
    };
    let path = layout.data.join(FILE);
    std::fs::write(&path, chain_pem).map_err(|reason| DevError::File { path, reason })
}

fn make(layout: &Layout) -> Result<(String, String), rcgen::Error> {
    let host = |name: &str| format!("*.execute-api.{name}.localhost");
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(layout.regions.iter().map(|region| host(&region.name)));
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Tidegate development region");
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}
