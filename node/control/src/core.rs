//! One request in, one answer out: authenticate, dispatch, run, render. Owns that line; must never read a socket.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use tidegate_iam::sigv4::{self, Presented, Refusal, RequestView};
use tidegate_proto::limits::{CONTROL_BODY_BYTES_MAX, FRAME_BYTES_MAX};

use crate::{
    auth::{self, Caller, Clocks},
    cache,
    call::Site,
    driver::{self, Inputs, Reply},
    error::ApiError,
    operation::{Target, dispatch},
    options::Options,
    own::{self, Own},
    query::Query,
    respond,
    store::{Caches, Cluster, Limits, Store, Upstreams, Usage},
    sts, usage,
};

/// The control plane without its sockets.
pub struct Core {
    options: Options,
    site: Site,
    store: Arc<dyn Store>,
    usage: Arc<dyn Usage>,
    own: Own,
    /// One generator for ids and request ids; control calls are far too rare to contend for it.
    random: Mutex<SmallRng>,
    now_s: fn() -> i64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Which protocol a call speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// REST-JSON of API Gateway.
    Rest,
    /// Tidegate's own API.
    Own,
    /// Query protocol with XML answers.
    Query(&'static str),
}

impl Core {
    /// A control plane over a store, a cluster and its counters; `now_s` is the wall clock in seconds since the Unix epoch.
    pub fn new(
        options: Options,
        store: Arc<dyn Store>,
        cluster: Arc<dyn Cluster>,
        usage: Arc<dyn Usage>,
        now_s: fn() -> i64,
    ) -> Self {
        let site = Site { region: options.region.clone(), account: options.account_id.clone() };
        let limits = Arc::new(own::limits::NoLimits);
        let caches = Arc::new(cache::NoCaches);
        let upstreams = Arc::new(own::upstreams::NoUpstreams);
        let (store_of_own, dev) = (Arc::clone(&store), options.dev);
        let own = Own { store: store_of_own, cluster, limits, caches, upstreams, dev, now_s };
        Self { options, site, store, usage, own, random: Mutex::new(SmallRng::from_os_rng()), now_s }
    }

    /// The same control plane over other counters.
    pub(crate) fn with_usage(self, usage: Arc<dyn Usage>) -> Self {
        Self { usage, ..self }
    }

    /// The same control plane with limits to ask about.
    pub(crate) fn with_limits(self, limits: Arc<dyn Limits>) -> Self {
        Self { own: Own { limits, ..self.own }, ..self }
    }

    /// The same control plane with caches to ask about and to wait for.
    pub(crate) fn with_caches(self, caches: Arc<dyn Caches>) -> Self {
        Self { own: Own { caches, ..self.own }, ..self }
    }

    /// The same control plane with upstreams to ask about.
    pub(crate) fn with_upstreams(self, upstreams: Arc<dyn Upstreams>) -> Self {
        Self { own: Own { upstreams, ..self.own }, ..self }
    }

    /// The largest body that a request with this path may have, in bytes.
    pub(crate) fn body_bytes_max(path: &str) -> usize {
        if path == own::CHECKPOINT { FRAME_BYTES_MAX } else { CONTROL_BODY_BYTES_MAX }
    }

    /// Answers one request; every fault is an answer too.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let request_id = self.request_id();
        let path = parts.uri.path();
        let bytes_max = Self::body_bytes_max(path);
        if body.len() > bytes_max {
            return respond::error(&ApiError::too_large(bytes_max), &request_id);
        }
        if self.is_open(&parts) {
            return render(Lane::Own, self.own(&parts, &body).await, &request_id);
        }
        let headers = auth::header_lines(&parts);
        let view = auth::view(&parts, &headers);
        let presented = sigv4::parse(&view);
        let lane = lane(&parts, presented.as_ref().ok().map(|presented| presented.scope.service.as_str()));
        let proven = presented.and_then(|presented| self.prove(&presented, &view, &body, lane));
        match (lane, proven) {
            (lane, Err(refusal)) => refuse(lane, refusal, &request_id),
            (Lane::Query(service), Ok(caller)) => {
                let (status, document) =
                    sts::answer(service, &caller, &parameters(&parts, &body), &request_id);
                respond::xml(status, document, &request_id)
            }
            (lane, Ok(caller)) => {
                let result = match lane {
                    Lane::Own => self.own(&parts, &body).await,
                    _ => self.rest(&parts, body.clone()).await,
                };
                audit(&parts, &caller, &result, &request_id);
                render(lane, result, &request_id)
            }
        }
    }

    /// Whether a request needs no signature: the reset of a development region, unless a web page sends it.
    fn is_open(&self, parts: &Parts) -> bool {
        self.options.dev && parts.uri.path() == own::DEV_RESET && !parts.headers.contains_key(header::ORIGIN)
    }

    /// Judges a request by its head, so that nobody unknown makes this node hold a body; the answer is a refusal.
    pub(crate) fn refuse_early(&self, parts: &Parts) -> Option<Response<Bytes>> {
        if self.is_open(parts) {
            return None;
        }
        let headers = auth::header_lines(parts);
        let view = auth::view(parts, &headers);
        let presented = sigv4::parse(&view);
        let lane = lane(parts, presented.as_ref().ok().map(|presented| presented.scope.service.as_str()));
        let (services, region) = self.scope(lane);
        let admitted = presented.and_then(|presented| {
            auth::admit(&self.store.view(), &presented, &view, services, region, &self.clocks())
        });
        admitted.err().map(|refusal| refuse(lane, refusal, &self.request_id()))
    }

    fn prove(
        &self,
        presented: &Presented<'_>,
        view: &RequestView<'_>,
        body: &[u8],
        lane: Lane,
    ) -> Result<Caller, Refusal> {
        let (services, region) = self.scope(lane);
        auth::prove(&self.store.view(), presented, view, body, services, region, &self.clocks())
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            now_s: (self.now_s)(),
            rest_skew_s: self.options.rest_skew_s_max,
            query_skew_s: self.options.query_skew_s_max,
        }
    }

    /// The services and the region that a signature may be scoped to.
    fn scope(&self, lane: Lane) -> (&'static [&'static str], Option<&str>) {
        match lane {
            Lane::Rest => (auth::REST_SERVICES, self.options.signing_region.as_deref()),
            Lane::Own => (auth::OWN_SERVICES, self.options.signing_region.as_deref()),
            // IAM and the global STS endpoint sign for us-east-1 wherever they are.
            Lane::Query("iam") => (&["iam"], None),
            Lane::Query(_) => (&["sts"], None),
        }
    }

    async fn own(&self, parts: &Parts, body: &Bytes) -> Result<Reply, ApiError> {
        let uri = &parts.uri;
        self.own.run(parts.method.as_str(), uri.path(), uri.query(), body).await
    }

    async fn rest(&self, parts: &Parts, body: Bytes) -> Result<Reply, ApiError> {
        let (verb, path) = (parts.method.as_str(), parts.uri.path());
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let Some((target, params)) = dispatch(verb, path, &query) else {
            return Err(ApiError::unknown_operation(verb, path));
        };
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let inputs = Inputs {
            params,
            query,
            body,
            accept: accept.unwrap_or_default().to_owned(),
            site: self.site.clone(),
            stamps: ((self.now_s)(), self.draw()),
        };
        match target {
            Target::Now(operation) => driver::run(&self.store, operation, inputs, verb == "GET").await,
            Target::Settled(operation) => cache::run(&self.store, &*self.own.caches, operation, inputs).await,
            Target::Metered(operation) => usage::run(&self.store, &*self.usage, operation, &inputs).await,
            Target::Later(name) => Err(ApiError::not_implemented(name)),
        }
    }

    fn draw(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// A random UUID (RFC 9562, version 4), the form of AWS's request ids.
    pub(crate) fn request_id(&self) -> String {
        let (high, low) = (self.draw(), self.draw());
        let version = (high & 0x0fff) | 0x4000;
        let variant = ((low >> 48) & 0x3fff) | 0x8000;
        format!(
            "{:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            low & 0xffff_ffff_ffff
        )
    }
}

/// The scope of the signature decides; without one, the shape of the request does.
fn lane(parts: &Parts, service: Option<&str>) -> Lane {
    if parts.uri.path().starts_with(own::PREFIX) {
        return Lane::Own;
    }
    match service {
        Some("sts") => Lane::Query("sts"),
        Some("iam") => Lane::Query("iam"),
        Some(_) => Lane::Rest,
        None if is_query_shaped(parts) => Lane::Query("sts"),
        None => Lane::Rest,
    }
}

fn is_query_shaped(parts: &Parts) -> bool {
    let form = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = form.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    parts.uri.path() == "/" && (form || parts.uri.query().is_some_and(|query| query.contains("Action=")))
}

/// Query-protocol parameters come in the body, or in the query of a presigned call.
fn parameters(parts: &Parts, body: &[u8]) -> Query {
    let text = String::from_utf8_lossy(body);
    Query::parse(if text.is_empty() { parts.uri.query().unwrap_or_default() } else { &text })
}

/// One line per change that was asked for, whatever became of it; reads leave none.
fn audit(parts: &Parts, caller: &Caller, result: &Result<Reply, ApiError>, request_id: &str) {
    if parts.method == http::Method::GET {
        return;
    }
    let (status, code) = match result {
        Ok(reply) => (reply.answer.status, ""),
        Err(error) => (error.status, error.code),
    };
    let (verb, path) = (parts.method.as_str(), parts.uri.path());
    tracing::info!(request_id, caller = caller.arn, verb, path, status, code, "control change");
}

fn refuse(lane: Lane, refusal: Refusal, request_id: &str) -> Response<Bytes> {
    match lane {
        Lane::Rest => respond::error(&refusal.into(), request_id),
        Lane::Own => respond::problem(&refusal.into(), request_id),
        Lane::Query(service) => {
            let (status, document) = sts::refusal(service, &refusal, request_id);
            respond::xml(status, document, request_id)
        }
    }
}

fn render(lane: Lane, result: Result<Reply, ApiError>, request_id: &str) -> Response<Bytes> {
    match (lane, result) {
        (_, Ok(reply)) => respond::answer(reply.answer, reply.stale, request_id),
        (Lane::Own, Err(error)) => respond::problem(&error, request_id),
        (_, Err(error)) => {
            if error.status == 500 {
                tracing::error!(request_id, %error, "control call failed");
            }
            respond::error(&error, request_id)
        }
    }
}
