//! A control plane over a store in memory, with faults on demand, and the helper that all tables go through.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tidegate_iam::sigv4::{Credential as Key, RequestView, SignOptions, payload_sha256_hex, sign};
use tidegate_proto::{
    document::Credential,
    key,
    status::{CacheLook, CacheTop, ClusterStatus, JoinTokenIssued, LeaderTransferred},
    transaction::{OutcomeV1, PutV1, TransactionV1},
};
use tidegate_state::State;

use crate::{
    BoxFuture, CacheQuestion, CacheRequest, Caches, Cluster, ClusterError, Core, Freshness, KeyUsage,
    Options, StillServed, Store, StoreError, Usage, UsageError,
};

pub(crate) const NOW_S: i64 = 1_700_000_000;
pub(crate) const ACCOUNT: &str = "123456789012";
const KEY: Key<'static> =
    Key { access_key_id: "AKIAROOT", secret_access_key: "root-secret", session_token: None };

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) state: Mutex<State>,
    /// What the view shows until `barrier` is asked: the state of a leader that another one has replaced.
    pub(crate) past: Mutex<Option<State>>,
    /// What `barrier` answers instead of success.
    pub(crate) barrier_fault: Mutex<Option<StoreError>>,
    /// What `commit` answers instead of an outcome.
    pub(crate) commit_fault: Mutex<Option<StoreError>>,
    /// Records that another writer writes, one before each commit.
    pub(crate) rivals: Mutex<Vec<PutV1>>,
    /// What another writer commits before the next commit.
    intruder: Mutex<Option<TransactionV1>>,
    /// The last transaction that was committed.
    last: Mutex<TransactionV1>,
}

impl Store for Memory {
    fn view(&self) -> State {
        let past = self.past.lock().unwrap().clone();
        past.unwrap_or_else(|| self.state.lock().unwrap().clone())
    }

    fn approach(&self) -> BoxFuture<'_, Result<Freshness, StoreError>> {
        if self.past.lock().unwrap().is_some() {
            return Box::pin(async { Ok(Freshness::Recent) });
        }
        let barrier = self.barrier();
        Box::pin(async move { barrier.await.map(|()| Freshness::Confirmed) })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        *self.past.lock().unwrap() = None;
        let fault = self.barrier_fault.lock().unwrap().clone();
        Box::pin(async move { fault.map_or(Ok(()), Err) })
    }

    fn commit(&self, transaction: TransactionV1) -> BoxFuture<'_, Result<OutcomeV1, StoreError>> {
        let fault = self.commit_fault.lock().unwrap().clone();
        let rival = self.rivals.lock().unwrap().pop();
        let mut state = self.state.lock().unwrap();
        if let Some(put) = rival {
            state.apply(TransactionV1 { puts: vec![put], ..TransactionV1::default() });
        }
        if let Some(intruder) = self.intruder.lock().unwrap().take() {
            assert!(matches!(state.apply(intruder), OutcomeV1::Committed { .. }));
        }
        let bytes = transaction.encode().unwrap();
        let outcome = fault.map_or_else(|| Ok(state.apply_bytes(&bytes)), Err);
        *self.last.lock().unwrap() = transaction;
        Box::pin(async move { outcome })
    }
}

/// A cluster that notes what it is asked.
#[derive(Default)]
pub(crate) struct Noted(pub(crate) Mutex<Vec<String>>);

impl Noted {
    fn note<T>(&self, text: String, answer: Result<T, ClusterError>) -> BoxFuture<'_, Result<T, ClusterError>>
    where
        T: Send + 'static,
    {
        self.0.lock().unwrap().push(text);
        Box::pin(async move { answer })
    }
}

impl Cluster for Noted {
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, ClusterError>> {
        self.note("status".into(), Ok(ClusterStatus { cluster: "test".into(), ..Default::default() }))
    }

    fn issue_token(&self) -> BoxFuture<'_, Result<JoinTokenIssued, ClusterError>> {
        self.note("token".into(), Ok(JoinTokenIssued { token: "t".into(), expires_in_s: 60 }))
    }

    fn remove(&self, node: u64, force: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        let answer = match node {
            9 => Err(ClusterError::NoSuchNode { node }),
            8 => Err(ClusterError::Refused("it would cost the quorum".into())),
            7 => Err(ClusterError::Store(StoreError::NoQuorum)),
            6 => Err(ClusterError::Store(StoreError::Uncertain)),
            _ => Ok(()),
        };
        self.note(format!("remove {node} {force}"), answer)
    }

    fn drain(&self, node: u64, draining: bool) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.note(format!("drain {node} {draining}"), Ok(()))
    }

    fn transfer(&self, to: Option<u64>) -> BoxFuture<'_, Result<LeaderTransferred, ClusterError>> {
        self.note(format!("transfer {to:?}"), Ok(LeaderTransferred { leader: to.unwrap_or(1) }))
    }
}

/// Counters that answer what they were told to and note what they are asked.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) usage: Mutex<Vec<KeyUsage>>,
    /// What every call answers instead.
    pub(crate) fault: Mutex<Option<UsageError>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Counted {
    fn note<T>(&self, text: String, answer: T) -> BoxFuture<'_, Result<T, UsageError>>
    where
        T: Send + 'static,
    {
        self.asked.lock().unwrap().push(text);
        let result = self.fault.lock().unwrap().map_or(Ok(answer), Err);
        Box::pin(async move { result })
    }
}

impl Usage for Counted {
    fn usage(
        &self,
        plan: &str,
        keys: Vec<String>,
        first_day: i32,
        last_day: i32,
    ) -> BoxFuture<'_, Result<Vec<KeyUsage>, UsageError>> {
        let found =
            self.usage.lock().unwrap().iter().filter(|one| keys.contains(&one.key)).cloned().collect();
        self.note(format!("usage {plan} {} {first_day}..={last_day}", keys.join(",")), found)
    }

    fn set_remaining(&self, plan: &str, key: &str, remaining: u64) -> BoxFuture<'_, Result<(), UsageError>> {
        self.note(format!("remaining {plan} {key} {remaining}"), ())
    }
}

/// Caches that answer what they were told to and note what they are asked.
#[derive(Default)]
pub(crate) struct Held {
    /// Nodes that do not follow.
    pub(crate) behind: Mutex<Vec<u64>>,
    pub(crate) top: Mutex<CacheTop>,
    pub(crate) look: Mutex<CacheLook>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Caches for Held {
    fn settled(&self, revision: u64) -> BoxFuture<'_, Result<(), StillServed>> {
        self.asked.lock().unwrap().push(format!("settled {revision}"));
        let nodes = self.behind.lock().unwrap().clone();
        Box::pin(async move { if nodes.is_empty() { Ok(()) } else { Err(StillServed { nodes }) } })
    }

    fn top(&self, question: CacheQuestion) -> BoxFuture<'_, CacheTop> {
        self.asked.lock().unwrap().push(format!("{question:?}"));
        Box::pin(async move { self.top.lock().unwrap().clone() })
    }

    fn look(&self, request: CacheRequest) -> BoxFuture<'_, CacheLook> {
        self.asked.lock().unwrap().push(format!("{request:?}"));
        Box::pin(async move { self.look.lock().unwrap().clone() })
    }
}

/// A control plane under test.
pub(crate) struct Rig {
    pub(crate) store: Arc<Memory>,
    pub(crate) cluster: Arc<Noted>,
    pub(crate) usage: Arc<Counted>,
    pub(crate) caches: Arc<Held>,
    core: Core,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let (store, cluster) = (Arc::new(Memory::default()), Arc::new(Noted::default()));
        let (usage, caches) = (Arc::new(Counted::default()), Arc::new(Held::default()));
        found(&store);
        let options = Options { account_id: ACCOUNT.into(), region: "eu-west-1".into(), ..options };
        let core = Core::new(options, store.clone(), cluster.clone(), usage.clone(), || NOW_S);
        let core = core.with_caches(caches.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { store, cluster, usage, caches, core, runtime }
    }

    /// Lets another writer carry out a call between the next decision and its commit.
    pub(crate) fn meanwhile(&self, status: u16, method: &str, target: &str, body: Value) -> Value {
        let other = Self::new();
        *other.store.state.lock().unwrap() = self.store.view();
        let answer = other.expect(status, method, target, body);
        *self.store.intruder.lock().unwrap() = Some(other.store.last.lock().unwrap().clone());
        answer
    }

    /// Sends a request as it is.
    pub(crate) fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.runtime.block_on(self.core.handle(request))
    }

    /// Sends a signed request.
    pub(crate) fn signed(&self, method: &str, target: &str, body: Vec<u8>) -> Response<Bytes> {
        self.send(request("apigateway", KEY, NOW_S, method, target, body))
    }

    /// Sends a signed JSON request; an answer without a body reads as `null`.
    pub(crate) fn call(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let response = self.signed(method, target, body);
        assert!(response.headers().contains_key("x-amzn-requestid"), "{method} {target}");
        let status = response.status().as_u16();
        let json = match response.body().is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(response.body()).unwrap(),
        };
        if status >= 400 && !target.starts_with("/_tidegate") {
            assert!(response.headers().contains_key("x-amzn-errortype"), "{method} {target}");
        }
        (status, json)
    }

    /// As [`Rig::call`], for an answer that must have this status.
    pub(crate) fn expect(&self, status: u16, method: &str, target: &str, body: Value) -> Value {
        let (found, answer) = self.call(method, target, body);
        assert_eq!(found, status, "{method} {target}: {answer}");
        answer
    }

    /// Requires a refusal with this status and message; `message` may end in `…` for "starts with".
    pub(crate) fn refused(&self, method: &str, target: &str, body: Value, status: u16, message: &str) {
        let shown = body.to_string();
        let (found, answer) = self.call(method, target, body);
        let text = answer["message"].as_str().unwrap_or_default();
        let fits = match message.strip_suffix('…') {
            Some(start) => text.starts_with(start),
            None => text == message,
        };
        assert!(
            fits && found == status,
            "{method} {target} {shown}\n  expected {status} {message}\n  found    {found} {answer}"
        );
    }

    /// A stage of a fresh API with one method: the ids.
    pub(crate) fn stage(&self, name: &str) -> (String, String) {
        let (api, root) = self.api();
        self.mock(&api, &root, "pets");
        let path = format!("/restapis/{api}/deployments");
        let deployment = text(&self.expect(201, "POST", &path, json!({ "stageName": name }))["id"]);
        (api, deployment)
    }

    /// A fresh API key: its id.
    pub(crate) fn key(&self, name: &str) -> String {
        text(&self.expect(201, "POST", "/apikeys", json!({ "name": name, "enabled": true }))["id"])
    }

    /// A fresh usage plan for some stages: its id.
    pub(crate) fn plan(&self, name: &str, stages: &[(&str, &str)]) -> String {
        let stages: Vec<Value> =
            stages.iter().map(|(api, stage)| json!({ "apiId": api, "stage": stage })).collect();
        let body = json!({ "name": name, "apiStages": stages });
        text(&self.expect(201, "POST", "/usageplans", body)["id"])
    }

    /// Puts a key into a plan.
    pub(crate) fn join(&self, plan: &str, key: &str) {
        let body = json!({ "keyId": key, "keyType": "API_KEY" });
        self.expect(201, "POST", &format!("/usageplans/{plan}/keys"), body);
    }

    /// A fresh API: its id and the id of its root.
    pub(crate) fn api(&self) -> (String, String) {
        let api = self.expect(201, "POST", "/restapis", json!({ "name": "pets" }));
        (text(&api["id"]), text(&api["rootResourceId"]))
    }

    /// A resource with a GET method over MOCK; answers its id.
    pub(crate) fn mock(&self, api: &str, parent: &str, part: &str) -> String {
        let resource = self.expect(
            201,
            "POST",
            &format!("/restapis/{api}/resources/{parent}"),
            json!({ "pathPart": part }),
        );
        let id = text(&resource["id"]);
        self.mock_method(api, &id, "GET");
        id
    }

    /// A method over MOCK on a resource.
    pub(crate) fn mock_method(&self, api: &str, resource: &str, verb: &str) {
        let method = format!("/restapis/{api}/resources/{resource}/methods/{verb}");
        self.expect(201, "PUT", &method, json!({ "authorizationType": "NONE" }));
        self.expect(201, "PUT", &format!("{method}/integration"), json!({ "type": "MOCK" }));
    }
}

/// Puts the root key into a new store.
pub(crate) fn found(store: &Memory) {
    let root = Credential {
        access_key_id: KEY.access_key_id.into(),
        secret_access_key: KEY.secret_access_key.into(),
        account_id: ACCOUNT.into(),
        arn: format!("arn:aws:iam::{ACCOUNT}:root"),
        user_id: ACCOUNT.into(),
        ..Credential::default()
    };
    let mut first = TransactionV1::default();
    first.put(key::credential(KEY.access_key_id), &root);
    store.state.lock().unwrap().apply(first);
}

/// A request signed by a key.
pub(crate) fn request(
    service: &str,
    credential: Key<'_>,
    now_s: i64,
    method: &str,
    target: &str,
    body: Vec<u8>,
) -> Request<Bytes> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let hash = payload_sha256_hex(&body);
    let headers: [(&str, &[u8]); 2] = [("host", b"control.test"), ("accept", b"application/json")];
    let view = RequestView { method, path, query, headers: &headers };
    let added = sign(&view, &credential, &SignOptions::new("eu-west-1", service, now_s, &hash));
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in added {
        request = request.header(name, value);
    }
    request.body(body.into()).unwrap()
}

/// The root key, for requests that are signed by hand.
pub(crate) fn root() -> Key<'static> {
    KEY
}

/// A JSON string.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A PATCH body of one replacement.
pub(crate) fn replace(path: &str, value: &str) -> Value {
    json!({ "patchOperations": [{ "op": "replace", "path": path, "value": value }] })
}

/// A PATCH body of one operation.
pub(crate) fn patch(op: &str, path: &str, value: Value) -> Value {
    json!({ "patchOperations": [{ "op": op, "path": path, "value": value }] })
}
