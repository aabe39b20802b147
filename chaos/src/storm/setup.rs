//! What a cluster under test is configured with: founding, joining, and the APIs that clients and writers use.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tidegate_cli::Client;
use tidegate_proto::status::{ClusterStatus, JoinTokenIssued};
use tokio::time::{Instant, sleep, timeout};

use super::{
    error::StormError,
    fleet::{Fleet, Node},
    scenario::Traffic,
    upstream,
    writers::Way,
};
use crate::{
    lab::{
        Lab,
        site::{Site, region_name},
    },
    limits::{CHURN_APIS, FOUNDED, POLL, REQUEST, SETS_PER_REGION},
};

/// Stage of every API of a storm.
pub(crate) const STAGE: &str = "storm";
/// Requests per second of the limited method, and as many at once.
pub(crate) const LIMIT: u32 = 20;

/// Where clients and writers find what they use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apis {
    /// Path that answers with the token.
    pub(crate) echo: String,
    /// Path whose requests are limited.
    pub(crate) limited: String,
    /// Path whose answer is one revision twice.
    pub(crate) churn: String,
    /// APIs whose answers are one revision twice, the first of them behind [`Apis::churn`]. Each is changed one change after the other.
    pub(crate) churn_apis: Vec<String>,
    /// Sets of each region: API and root resource.
    pub(crate) sets: Vec<Vec<(String, String)>>,
    /// Register of each region: API.
    pub(crate) registers: Vec<String>,
    /// Whether requests go to a VPC link with targets in every zone; else to an upstream in the node's own zone.
    pub(crate) linked: bool,
}

/// Control calls from a site of the lab.
pub(crate) struct Caller<'a> {
    lab: &'a Lab,
    site: Site,
    client: Arc<Client>,
}

impl<'a> Caller<'a> {
    /// Calls `client`'s node from `site`.
    pub(crate) fn new(lab: &'a Lab, site: Site, client: Client) -> Self {
        Self { lab, site, client: Arc::new(client) }
    }

    /// Makes a call; a failure names `what`.
    pub(crate) async fn call(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, StormError> {
        let (client, path) = (self.client.clone(), path.to_owned());
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let call = self.lab.space(self.site).spawn(async move { client.call(method, &path, body).await });
        let answered = call.await.map_err(|e| StormError::system(what)(std::io::Error::other(e)))?;
        let answer = answered.map_err(|reason| StormError::Call { what: what.to_owned(), reason })?;
        // Deletions are answered by nothing.
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|e| StormError::system(what)(std::io::Error::other(e)))
    }
}

/// The cluster as a node sees it, asked by the observer.
pub(crate) async fn status(lab: &Lab, fleet: &Fleet, node: &Node) -> Option<ClusterStatus> {
    let client = fleet.client(node);
    let asked = lab.space(Site::Observer).spawn(async move {
        timeout(REQUEST, client.json(Method::GET, "/_tidegate/cluster/status", &Value::Null)).await.ok()?.ok()
    });
    asked.await.ok().flatten()
}

/// Starts all nodes of a new cluster, one after the other, and waits until each is a member and all voters have their seats.
pub(crate) async fn found(lab: &Lab, fleet: &Fleet) -> Result<(), StormError> {
    let nodes = fleet.nodes();
    fleet.found(lab, &nodes[0]).await?;
    wait(lab, fleet, "the founding of the cluster", |status| status.leader.is_some()).await?;
    let caller = Caller::new(lab, Site::Observer, fleet.client(&nodes[0]));
    for node in &nodes[1..] {
        let issued = caller.call("a join token", Method::POST, "/_tidegate/cluster/token", json!({})).await?;
        let issued: JoinTokenIssued = serde_json::from_value(issued).unwrap_or_default();
        fleet.join(lab, node, &issued.token).await?;
        let address = node.cluster().to_string();
        let is_member =
            move |status: &ClusterStatus| status.nodes.iter().any(|node| node.cluster_address == address);
        wait(lab, fleet, &format!("{} to become a member", node.name), is_member).await?;
    }
    let count = nodes.len();
    let voters = if lab.extent.regions >= 3 { 5 } else { count.min(3) };
    wait(lab, fleet, "all nodes to be ready", move |status| {
        let seated = status.nodes.iter().filter(|node| node.role != "learner").count();
        seated >= voters && status.nodes.iter().filter(|node| node.live && node.ready).count() == count
    })
    .await
}

async fn wait(
    lab: &Lab,
    fleet: &Fleet,
    what: &str,
    done: impl Fn(&ClusterStatus) -> bool,
) -> Result<(), StormError> {
    let deadline = Instant::now() + FOUNDED;
    loop {
        for node in fleet.nodes() {
            if let Some(ended) = node.ended() {
                let seen = format!(
                    "{} has ended, {ended}; see {}",
                    node.name,
                    node.folder.join("node.log").display()
                );
                return Err(StormError::Slow { what: what.to_owned(), seconds: 0, seen });
            }
        }
        let seen = status(lab, fleet, &fleet.nodes()[0]).await;
        match seen {
            Some(status) if done(&status) => return Ok(()),
            seen if Instant::now() > deadline => {
                let told = |status: ClusterStatus| {
                    let node = |n: &tidegate_proto::status::NodeStatus| {
                        format!("{} {} ready {}", n.az, n.role, n.ready)
                    };
                    status.nodes.iter().map(node).collect::<Vec<_>>().join(", ")
                };
                let seen = seen.map_or("no answer".into(), told);
                return Err(StormError::Slow { what: what.to_owned(), seconds: FOUNDED.as_secs(), seen });
            }
            _ => sleep(POLL).await,
        }
    }
}

/// Makes the APIs, and waits until every node serves them.
pub(crate) async fn configure(lab: &Lab, fleet: &Fleet, traffic: &Traffic) -> Result<Apis, StormError> {
    let caller = Caller::new(lab, Site::Observer, fleet.client(&fleet.nodes()[0]));
    let mut apis = Apis::default();
    let link = vpc_link(lab, &caller).await;
    apis.linked = link.is_some();
    let (api, root) = create(&caller, "storm-traffic").await?;
    for verb in ["GET", "POST"] {
        method(&caller, &api, &root, verb, proxy(verb, "/", link.as_deref())).await?;
    }
    let path = format!("/restapis/{api}/resources/{root}");
    let made = caller.call("a resource", Method::POST, &path, json!({ "pathPart": "limited" })).await?;
    let limited = made["id"].as_str().unwrap_or_default().to_owned();
    method(&caller, &api, &limited, "GET", proxy("GET", upstream::LIMITED, link.as_deref())).await?;
    deploy(&caller, &api, json!({})).await?;
    if traffic.limited_per_second > 0 {
        let operation = |what: &str| json!({ "op": "replace", "path": format!("/~1limited/GET/throttling/{what}"), "value": LIMIT.to_string() });
        let body = json!({ "patchOperations": [operation("rateLimit"), operation("burstLimit")] });
        caller.call("a limit", Method::PATCH, &format!("/restapis/{api}/stages/{STAGE}"), body).await?;
    }
    apis.echo = format!("/_aws/execute-api/{api}/{STAGE}/");
    apis.limited = format!("/_aws/execute-api/{api}/{STAGE}/limited");
    for number in 0..CHURN_APIS {
        let (churn, root) = create(&caller, &format!("storm-churn-{number}")).await?;
        mock(&caller, &churn, &root, "$stageVariables.one|$stageVariables.other").await?;
        deploy(&caller, &churn, json!({ "variables": { "one": "0", "other": "0" } })).await?;
        apis.churn_apis.push(churn);
    }
    apis.churn = path_of(&apis.churn_apis[0]);
    for region in 0..lab.extent.regions {
        let name = region_name(region);
        let mut sets = Vec::new();
        for number in 0..SETS_PER_REGION {
            sets.push(create(&caller, &format!("storm-set-{name}-{number}")).await?);
        }
        apis.sets.push(sets);
        apis.registers.push(create(&caller, &format!("storm-register-{name}")).await?.0);
    }
    let count = fleet.nodes().len();
    wait(lab, fleet, "all nodes to serve the configuration", move |status| {
        status.nodes.iter().filter(|node| node.serving_revision >= status.revision).count() == count
    })
    .await?;
    Ok(apis)
}

/// Path of an API's root.
pub(crate) fn path_of(api: &str) -> String {
    format!("/_aws/execute-api/{api}/{STAGE}/")
}

/// Control listeners of a region, for its writers.
pub(crate) fn ways(fleet: &Fleet, region: u8) -> Vec<Way> {
    let own = fleet.nodes().iter().filter(|node| node.site.region() == Some(region));
    own.map(|node| Way { site: node.site, client: Arc::new(fleet.client(node)) }).collect()
}

/// A REST API: its id and its root resource.
pub(crate) async fn create(caller: &Caller<'_>, name: &str) -> Result<(String, String), StormError> {
    let made =
        caller.call(&format!("the API {name}"), Method::POST, "/restapis", json!({ "name": name })).await?;
    let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
    Ok((text("id"), text("rootResourceId")))
}

/// A method with its integration.
pub(crate) async fn method(
    caller: &Caller<'_>,
    api: &str,
    resource: &str,
    verb: &str,
    integration: Value,
) -> Result<(), StormError> {
    let path = format!("/restapis/{api}/resources/{resource}/methods/{verb}");
    caller.call("a method", Method::PUT, &path, json!({ "authorizationType": "NONE" })).await?;
    caller.call("an integration", Method::PUT, &format!("{path}/integration"), integration).await.map(|_| ())
}

/// A method that answers with a template.
pub(crate) async fn mock(
    caller: &Caller<'_>,
    api: &str,
    resource: &str,
    template: &str,
) -> Result<(), StormError> {
    let request =
        json!({ "type": "MOCK", "requestTemplates": { "application/json": "{\"statusCode\": 200}" } });
    method(caller, api, resource, "GET", request).await?;
    let path = format!("/restapis/{api}/resources/{resource}/methods/GET");
    let body = json!({ "responseTemplates": { "application/json": template } });
    caller
        .call("an integration response", Method::PUT, &format!("{path}/integration/responses/200"), body)
        .await?;
    caller
        .call("a method response", Method::PUT, &format!("{path}/responses/200"), json!({}))
        .await
        .map(|_| ())
}

/// Deploys an API to the one stage.
pub(crate) async fn deploy(caller: &Caller<'_>, api: &str, with: Value) -> Result<(), StormError> {
    let mut body = json!({ "stageName": STAGE });
    if let (Some(body), Some(with)) = (body.as_object_mut(), with.as_object()) {
        body.extend(with.clone());
    }
    caller.call("a deployment", Method::POST, &format!("/restapis/{api}/deployments"), body).await.map(|_| ())
}

/// A VPC link with a target in every zone, where the product has VPC links with targets.
async fn vpc_link(lab: &Lab, caller: &Caller<'_>) -> Option<String> {
    let target = |site: Site| {
        let address = lab.address(site);
        (format!("tidegate:targets:{site}"), Value::String(format!("{address}:{}", upstream::PORT)))
    };
    let tags: serde_json::Map<String, Value> = lab.extent.azs().map(target).collect();
    let arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/storm/0123456789abcdef";
    let body = json!({ "name": "storm", "targetArns": [arn], "tags": tags });
    let made = caller.call("a VPC link", Method::POST, "/vpclinks", body).await.ok()?;
    made["id"].as_str().map(str::to_owned)
}

fn proxy(verb: &str, path: &str, link: Option<&str>) -> Value {
    match link {
        Some(link) => json!({
            "type": "HTTP_PROXY", "httpMethod": verb, "uri": format!("http://upstream.internal{path}"),
            "connectionType": "VPC_LINK", "connectionId": link,
        }),
        None => {
            json!({ "type": "HTTP_PROXY", "httpMethod": verb, "uri": format!("http://{}{path}", upstream::NEAR) })
        }
    }
}
