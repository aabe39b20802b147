//! Tidegate's own API below `/_tidegate/`: the cluster, its checkpoints, zonal shifts, rollouts, certificates, busy limits, upstreams,
//! cached answers. Owns those routes; must never know how the cluster works.

mod cache;
mod certificate;
mod checkpoint;
pub(crate) mod limits;
mod rollout;
mod shift;
pub(crate) mod upstreams;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::RngCore;
use serde_json::{Value, json};
use tidegate_proto::{key::USER_PREFIXES, transaction::TransactionV1};
use tidegate_state::State;

use crate::{
    answer::{Answer, Body, print},
    driver::{Reply, barrier, commit, from_store, retry},
    error::ApiError,
    input::Input,
    query::Query,
    rest::unsupported::Shape,
    store::{BoxFuture, Caches, Cluster, ClusterError, Limits, Store, Upstreams},
};

/// Prefix of every path of this API.
pub(crate) const PREFIX: &str = "/_tidegate/";
/// The one path that is answered without a signature, on development nodes only.
pub(crate) const DEV_RESET: &str = "/_tidegate/dev/reset";
/// The path whose body is a whole configuration.
pub(crate) const CHECKPOINT: &str = "/_tidegate/cluster/checkpoint";

/// How long a cluster verb may take before the caller is told to look for itself.
const VERB_TIMEOUT: Duration = Duration::from_secs(25);

/// What the routes work on.
#[derive(Clone)]
pub(crate) struct Own {
    /// The configuration.
    pub store: Arc<dyn Store>,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// The limits.
    pub limits: Arc<dyn Limits>,
    /// The cached answers.
    pub caches: Arc<dyn Caches>,
    /// The upstreams of this node.
    pub upstreams: Arc<dyn Upstreams>,
    /// Whether this is a development node.
    pub dev: bool,
    /// The wall clock, in seconds since the Unix epoch.
    pub now_s: fn() -> i64,
}

impl Own {
    /// Answers a call; the caller is proven already, except for [`DEV_RESET`].
    pub(crate) async fn run(
        &self,
        verb: &str,
        path: &str,
        query: Option<&str>,
        body: &Bytes,
    ) -> Result<Reply, ApiError> {
        let parts: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
        match (verb, parts.as_slice()) {
            (_, ["cluster", rest @ ..]) => self.run_cluster(verb, rest, path, body).await,
            ("GET", ["limits"]) => {
                Ok(fresh(limits::top(&self.limits, &Query::parse(query.unwrap_or_default())).await?))
            }
            ("GET", ["upstreams"]) => Ok(fresh(print(&self.upstreams.list()))),
            ("POST", ["cache", "purge"]) => cache::purge(&self.store, &*self.caches, body).await,
            ("GET", ["cache", what @ ("top" | "entry")]) => {
                let query = Query::parse(query.unwrap_or_default());
                Ok(fresh(match *what {
                    "top" => cache::top(&*self.caches, &query).await?,
                    _ => cache::look(&*self.caches, &query).await?,
                }))
            }
            ("GET", ["certificates"]) => self.read(certificate::list).await,
            ("GET", ["certificates", name]) => self.read(|view| certificate::get(view, name)).await,
            ("PUT", ["certificates", name]) => self.put_certificate(name, body).await,
            ("DELETE", ["certificates", name]) => {
                barrier(&self.store).await?;
                let decide = || std::future::ready(certificate::delete(&self.store.view(), name));
                Ok(Reply { answer: retry(&self.store, decide).await?, stale: false })
            }
            ("GET", ["zonal-shifts"]) => self.read(|view| shift::list(view, (self.now_s)())).await,
            ("POST", ["zonal-shifts"]) => {
                let cluster = in_time(self.cluster.status()).await?;
                shift::start(&self.store, &cluster, body, (self.now_s)()).await
            }
            ("DELETE", ["zonal-shifts", region, az]) => {
                shift::cancel(&self.store, region, az, (self.now_s)()).await
            }
            ("GET", ["rollouts"]) => self.read(rollout::list).await,
            ("POST", ["rollouts", api, stage, verb @ ("abort" | "finish")]) => {
                Input::parse("rolloutInput", body)?.finish(Shape::Tags)?;
                rollout::end(&self.store, api, stage, *verb == "abort", (self.now_s)()).await
            }
            ("POST", ["dev", "reset"]) if self.dev => {
                barrier(&self.store).await?;
                let view = self.store.view();
                let records = USER_PREFIXES.iter().map(|prefix| view.prefix(prefix).count()).sum();
                let mut transaction = TransactionV1::default();
                for prefix in USER_PREFIXES {
                    transaction.delete_prefix(prefix);
                }
                self.replace(transaction, records).await
            }
            _ => Err(ApiError::unknown_operation(verb, path)),
        }
    }

    /// Answers a call about the cluster itself.
    async fn run_cluster(
        &self,
        verb: &str,
        parts: &[&str],
        path: &str,
        body: &Bytes,
    ) -> Result<Reply, ApiError> {
        match (verb, parts) {
            ("GET", ["status"]) => Ok(fresh(self.status().await?)),
            ("POST", ["token"]) => {
                Input::parse("issueTokenInput", body)?.finish(Shape::Tags)?;
                Ok(fresh(print(&in_time(self.cluster.issue_token()).await?)))
            }
            ("POST", ["nodes", node, verb @ ("remove" | "drain" | "undrain")]) => {
                self.node_verb(node, verb, body).await?;
                Ok(fresh(self.status().await?))
            }
            ("POST", ["transfer"]) => {
                let mut input = Input::parse("transferInput", body)?;
                let to = input.integer("to")?;
                input.finish(Shape::Tags)?;
                let to = to.map(|node| node_id(&node.to_string())).transpose()?;
                Ok(fresh(print(&in_time(self.cluster.transfer(to)).await?)))
            }
            ("GET", ["checkpoint"]) => self.save().await,
            ("PUT", ["checkpoint"]) => {
                barrier(&self.store).await?;
                let (view, bytes) = (self.store.view(), body.clone());
                let work = move || checkpoint::read(&bytes).map(|image| checkpoint::restore(&view, &image));
                let decided = tokio::task::spawn_blocking(work).await;
                let fault = |fault: tokio::task::JoinError| ApiError::internal(fault.to_string());
                let (transaction, records) = decided.map_err(fault)??;
                self.replace(transaction, records).await
            }
            _ => Err(ApiError::unknown_operation(verb, path)),
        }
    }

    async fn read(&self, answer: impl Fn(&State) -> Result<Answer, ApiError>) -> Result<Reply, ApiError> {
        let stale = barrier(&self.store).await.is_err();
        Ok(Reply { answer: answer(&self.store.view())?, stale })
    }

    async fn put_certificate(&self, name: &str, body: &Bytes) -> Result<Reply, ApiError> {
        let (owned, body, now_s) = (name.to_owned(), body.clone(), (self.now_s)());
        // Checking an RSA key takes long enough to be kept off the threads that serve sockets.
        let checked = tokio::task::spawn_blocking(move || certificate::check(&owned, &body, now_s)).await;
        let document = checked.map_err(|fault| ApiError::internal(fault.to_string()))??;
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        barrier(&self.store).await?;
        let decide = || std::future::ready(certificate::put(&self.store.view(), &document, secret));
        Ok(Reply { answer: retry(&self.store, decide).await?, stale: false })
    }

    async fn status(&self) -> Result<Value, ApiError> {
        Ok(print(&in_time(self.cluster.status()).await?))
    }

    async fn node_verb(&self, node: &str, verb: &str, body: &Bytes) -> Result<(), ApiError> {
        let mut input = Input::parse("nodeInput", body)?;
        let force = if verb == "remove" { input.boolean("force")?.unwrap_or_default() } else { false };
        input.finish(Shape::Tags)?;
        let node = node_id(node)?;
        match verb {
            "remove" => in_time(self.cluster.remove(node, force)).await,
            _ => in_time(self.cluster.drain(node, verb == "drain")).await,
        }
    }

    async fn save(&self) -> Result<Reply, ApiError> {
        let stale = barrier(&self.store).await.is_err();
        let view = self.store.view();
        let fault = |error: &dyn std::fmt::Display| ApiError::internal(error.to_string());
        let encoded = tokio::task::spawn_blocking(move || view.encode()).await;
        let bytes = encoded.map_err(|error| fault(&error))?.map_err(|error| fault(&error))?;
        let body = Body::Raw { content_type: "application/octet-stream", bytes };
        Ok(Reply { answer: Answer { body, ..Answer::ok(Value::Null) }, stale })
    }

    /// Commits a change of everything users configured; it compares nothing, as it replaces whatever is there.
    async fn replace(&self, transaction: TransactionV1, records: usize) -> Result<Reply, ApiError> {
        use tidegate_proto::transaction::OutcomeV1;
        match commit(&self.store, transaction).await? {
            OutcomeV1::Committed { revision } => {
                let answer = Answer::ok(json!({ "records": records, "revision": revision }));
                Ok(Reply { answer, stale: false })
            }
            OutcomeV1::Conflict { .. } => Err(ApiError::contended()),
            OutcomeV1::Refused { reason } => Err(ApiError::bad_request(reason)),
        }
    }
}

fn fresh(body: Value) -> Reply {
    Reply { answer: Answer::ok(body), stale: false }
}

async fn in_time<T>(verb: BoxFuture<'_, Result<T, ClusterError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(VERB_TIMEOUT, verb).await {
        Ok(result) => result.map_err(from_cluster),
        Err(_) => Err(ApiError::unavailable(
            "The cluster did not finish in time; the status shows what became of it.",
        )),
    }
}

fn node_id(text: &str) -> Result<u64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request(format!("Invalid node id '{text}', must be a whole number")))
}

fn from_cluster(error: ClusterError) -> ApiError {
    match error {
        ClusterError::NoSuchNode { .. } => ApiError::not_found(error.to_string()),
        ClusterError::Refused(reason) => ApiError::conflict(reason),
        ClusterError::Store(error) => from_store(error),
    }
}
