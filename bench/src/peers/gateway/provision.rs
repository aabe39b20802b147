//! Sets Tidegate up through its control plane, signed as any AWS client signs.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::{Client, Endpoint};

use crate::peers::{
    gateway::{Door, Route, tidegate},
    limits::{POLL, PROVISION},
};

/// What to set up.
pub(crate) struct Provision {
    /// Data plane.
    pub(crate) gateway: SocketAddr,
    /// Data plane over TLS.
    pub(crate) tls: SocketAddr,
    /// Certificate of the data plane.
    pub(crate) chain_pem: String,
    /// Its private key.
    pub(crate) key_pem: String,
    /// Control plane.
    pub(crate) endpoint: Endpoint,
    /// The API as OpenAPI.
    pub(crate) document: Value,
    /// Stage to deploy to.
    pub(crate) stage: &'static str,
    /// Settings of the stage: patch paths with their values.
    pub(crate) settings: Vec<(String, &'static str)>,
    /// Routes that the API has.
    pub(crate) routes: &'static [Route],
}

/// Why the API is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// The runtime for the client.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    /// The control plane refused, or never answered.
    #[error("{what}: {reason}")]
    Control {
        /// What was asked.
        what: &'static str,
        /// The answer.
        reason: tidegate_cli::Error,
    },
    /// An answer without what is needed.
    #[error("{0}: the answer has no id")]
    NoId(&'static str),
}

/// Imports the API and deploys it; the ways in.
pub(crate) fn carry_out(provision: &Provision) -> Result<Vec<Door>, ProvisionError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ProvisionError::Runtime)?;
    let api = runtime.block_on(deploy(provision))?;
    Ok(tidegate::doors(provision, &api))
}

async fn deploy(provision: &Provision) -> Result<String, ProvisionError> {
    let client = Client::new(provision.endpoint.clone());
    let deadline = Instant::now() + PROVISION;
    // A node that has just started founds its cluster first, and refuses calls until it knows its access key.
    let created: Value = loop {
        let call = client.json(Method::POST, "/restapis?mode=import", &provision.document);
        match call.await {
            Ok(created) => break created,
            Err(reason) if Instant::now() > deadline => {
                return Err(ProvisionError::Control { what: "ImportRestApi", reason });
            }
            Err(_) => tokio::time::sleep(POLL.max(Duration::from_millis(100))).await,
        }
    };
    let api = created["id"].as_str().ok_or(ProvisionError::NoId("ImportRestApi"))?.to_owned();
    // Named so, it answers clients whatever host they ask for.
    let (path, pair) = ("/_tidegate/certificates/default", (&provision.chain_pem, &provision.key_pem));
    let stored: Result<Value, _> =
        client.json(Method::PUT, path, &json!({ "chain_pem": pair.0, "key_pem": pair.1 })).await;
    stored.map_err(|reason| ProvisionError::Control { what: "storing the certificate", reason })?;
    let path = format!("/restapis/{api}/deployments");
    let deployed: Result<Value, _> =
        client.json(Method::POST, &path, &json!({ "stageName": provision.stage })).await;
    deployed.map_err(|reason| ProvisionError::Control { what: "CreateDeployment", reason })?;
    let operation = |(path, value): &(String, &str)| json!({ "op": "replace", "path": path, "value": value });
    let operations: Vec<Value> = provision.settings.iter().map(operation).collect();
    let path = format!("/restapis/{api}/stages/{}", provision.stage);
    let patched: Result<Value, _> =
        client.json(Method::PATCH, &path, &json!({ "patchOperations": operations })).await;
    patched.map_err(|reason| ProvisionError::Control { what: "UpdateStage", reason })?;
    Ok(api)
}
