//! Configures the limits under test through the public control plane, and asks it what was used of a quota.

use std::time::Instant;

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::{Client, Error};
use tidegate_gateway::plan_limit_name;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::plan::{Law, Limit, Place};
use crate::{
    limits::{POLL, SERVED},
    region::{Region, RegionError},
};

/// How a limit is reached.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// Path on every data-plane listener.
    pub(super) path: String,
    /// What a usage plan asks for.
    pub(super) key: Option<PlanKey>,
}

/// A key in a usage plan.
#[derive(Clone, Debug)]
pub(super) struct PlanKey {
    plan: String,
    id: String,
    pub(super) value: String,
}

/// What the control plane says of a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) remaining: u64,
}

impl PlanKey {
    /// The shard of the ledger that keeps its limits.
    pub(super) fn shard(&self) -> usize {
        plan_limit_name(&self.plan, &self.id).shard()
    }
}

/// Makes an API with a stage for each limit, in front of `upstream`, and waits until every node serves all of it.
pub(super) async fn configure(
    region: &Region,
    limits: &[Limit],
    upstream: std::net::SocketAddr,
) -> Result<Vec<Entrance>, RegionError> {
    let client = region.client(&region.dev.control);
    let setup = Setup { client: &client, upstream: upstream.to_string() };
    let failed = |reason| RegionError::Call { what: "configuring the limits under test".into(), reason };
    let (api, deployment) = setup.api().await.map_err(failed)?;
    let mut entrances = Vec::new();
    for limit in limits {
        entrances.push(setup.limit(&api, &deployment, limit).await.map_err(failed)?);
    }
    await_served(region).await?;
    Ok(entrances)
}

/// What was used of a quota since yesterday.
pub(super) async fn usage(region: &Region, key: &PlanKey) -> Result<Usage, Error> {
    let client = region.client(&region.dev.control);
    let today = OffsetDateTime::now_utc().date();
    let first = today.previous_day().unwrap_or(today);
    let path = format!("/usageplans/{}/usage?startDate={first}&endDate={today}&keyId={}", key.plan, key.id);
    let answer: Value = client.json(Method::GET, &path, &Value::Null).await?;
    let days = answer["values"][&key.id].as_array().cloned().unwrap_or_default();
    let figure = |day: &Value, place: usize| day[place].as_u64().unwrap_or(0);
    Ok(Usage {
        used: days.iter().map(|day| figure(day, 0)).sum(),
        remaining: days.last().map_or(u64::MAX, |day| figure(day, 1)),
    })
}

struct Setup<'a> {
    client: &'a Client,
    upstream: String,
}

impl Setup<'_> {
    async fn api(&self) -> Result<(String, String), Error> {
        let integration = json!({
            "type": "http_proxy", "httpMethod": "GET",
            "uri": "http://${stageVariables.upstream}/${stageVariables.limit}",
        });
        let method = |security: Value| {
            let responses = json!({ "200": { "description": "what the upstream answers" } });
            json!({ "get": {
                "responses": responses, "security": security, "x-amazon-apigateway-integration": integration,
            } })
        };
        let document = json!({
            "openapi": "3.0.1",
            "info": { "title": "storm limits", "version": "1" },
            "paths": { "/open": method(json!([])), "/keyed": method(json!([{ "api_key": [] }])) },
            "components": {
                "securitySchemes": { "api_key": { "type": "apiKey", "name": "x-api-key", "in": "header" } },
            },
        });
        let api = self.post("/restapis?mode=import&failonwarnings=true", document).await?;
        let api = text(&api, "id")?;
        let deployment = self.post(&format!("/restapis/{api}/deployments"), json!({})).await?;
        Ok((api, text(&deployment, "id")?))
    }

    async fn limit(&self, api: &str, deployment: &str, limit: &Limit) -> Result<Entrance, Error> {
        let strict = json!({ "tidegate:strict": limit.strict.to_string() });
        let mut stage = json!({
            "stageName": limit.name, "deploymentId": deployment,
            "variables": { "upstream": self.upstream, "limit": limit.name },
        });
        if limit.place == Place::Stage {
            stage["tags"] = strict.clone();
        }
        let _: Value = self.post(&format!("/restapis/{api}/stages"), stage).await?;
        let path = |method| format!("/_aws/execute-api/{api}/{}/{method}", limit.name);
        match (limit.place, limit.law) {
            (Place::Stage, Law::Rate(rate)) => {
                let replace = |name: &str, value: u32| {
                    let path = format!("/*/*/throttling/{name}Limit");
                    json!({ "op": "replace", "path": path, "value": value.to_string() })
                };
                let settings =
                    json!({ "patchOperations": [replace("rate", rate.per_s), replace("burst", rate.burst)] });
                let stage = format!("/restapis/{api}/stages/{}", limit.name);
                let _: Value = self.client.json(Method::PATCH, &stage, &settings).await?;
                Ok(Entrance { path: path("open"), key: None })
            }
            (Place::Plan, law) => {
                let key = self.plan(api, limit, law, strict).await?;
                Ok(Entrance { path: path("keyed"), key: Some(key) })
            }
            (Place::Stage, Law::Quota(_)) => {
                Err(Error::Unexpected(format!("{}: a stage has no quota; plan it elsewhere", limit.name)))
            }
        }
    }

    async fn plan(&self, api: &str, limit: &Limit, law: Law, tags: Value) -> Result<PlanKey, Error> {
        let stages = json!([{ "apiId": api, "stage": limit.name }]);
        let mut plan = json!({ "name": limit.name, "apiStages": stages, "tags": tags });
        match law {
            Law::Rate(rate) => {
                plan["throttle"] = json!({ "rateLimit": rate.per_s, "burstLimit": rate.burst })
            }
            Law::Quota(limit) => plan["quota"] = json!({ "limit": limit, "offset": 0, "period": "MONTH" }),
        }
        let plan = text(&self.post("/usageplans", plan).await?, "id")?;
        let key = self.post("/apikeys", json!({ "name": limit.name, "enabled": true })).await?;
        let (id, value) = (text(&key, "id")?, text(&key, "value")?);
        let member = json!({ "keyId": id, "keyType": "API_KEY" });
        let _: Value = self.post(&format!("/usageplans/{plan}/keys"), member).await?;
        Ok(PlanKey { plan, id, value })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Error> {
        self.client.json(Method::POST, path, &body).await
    }
}

/// Waits until every node serves what is configured now.
async fn await_served(region: &Region) -> Result<(), RegionError> {
    let deadline = Instant::now() + SERVED;
    let mut seen = "no status".to_owned();
    while Instant::now() < deadline {
        if let Some(status) = region.status(None).await {
            let serve = |node: &&tidegate_proto::status::NodeStatus| {
                node.live && node.ready && node.serving_revision >= status.revision
            };
            let serving = status.nodes.iter().filter(serve).count();
            if serving == region.dev.nodes.len() {
                return Ok(());
            }
            seen = format!("{serving} nodes serve it");
        }
        sleep(POLL).await;
    }
    Err(RegionError::Slow { what: "the limits under test".into(), seconds: SERVED.as_secs(), seen })
}

fn text(answer: &Value, field: &str) -> Result<String, Error> {
    let found = answer[field].as_str().map(str::to_owned);
    found.ok_or_else(|| Error::Unexpected(format!("an answer without {field}: {answer}")))
}
