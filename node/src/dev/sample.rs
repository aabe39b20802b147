//! The sample API: imported from OpenAPI, deployed, pointed at the sample upstream.

use std::net::SocketAddr;

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::{Client, Error};
use tidegate_proto::dev::DevSample;

const DOCUMENT: &str = include_str!("sample.yaml");
const STAGE: &str = "dev";

/// Imports and deploys the sample; returns where it answers behind `gateway`.
pub(crate) async fn import(client: &Client, gateway: &str, upstream: SocketAddr) -> Result<DevSample, Error> {
    let body =
        client.call(Method::POST, "/restapis?mode=import&failonwarnings=true", DOCUMENT.into()).await?;
    let api: Value = serde_json::from_slice(&body).map_err(|e| Error::Unexpected(e.to_string()))?;
    let id =
        api["id"].as_str().ok_or_else(|| Error::Unexpected("an import without an id".into()))?.to_owned();
    let deployment = json!({ "stageName": STAGE, "variables": { "upstream": upstream.to_string() } });
    let _: Value = client.json(Method::POST, &format!("/restapis/{id}/deployments"), &deployment).await?;
    Ok(DevSample {
        url: format!("{gateway}/_aws/execute-api/{id}/{STAGE}/pets"),
        api_id: id,
        stage: STAGE.into(),
    })
}

/// Points the sample at this run's upstream, whose port may differ from the last run's.
pub(crate) async fn repoint(client: &Client, sample: &DevSample, upstream: SocketAddr) -> Result<(), Error> {
    let patch = json!({ "patchOperations": [{ "op": "replace", "path": "/variables/upstream", "value": upstream.to_string() }] });
    let path = format!("/restapis/{}/stages/{}", sample.api_id, sample.stage);
    client.json::<Value>(Method::PATCH, &path, &patch).await.map(|_| ())
}
