//! The control plane on its port. Owns the way from a socket to [`Core`]; must never look into a request.

use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tidegate_proto::limits::{CONTROL_CALLS_MAX, CONTROL_TURN_TIMEOUT_MS};
use tidegate_telemetry::panics;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    core::Core,
    error::ApiError,
    options::{Error, Options},
    respond,
    store::{Caches, Cluster, Limits, Store, Upstreams, Usage},
    usage::NoUsage,
};

/// A bound control plane that has not begun to accept.
#[derive(Debug)]
pub struct Service {
    listener: tidegate_listener::Service,
    core: Core,
}

/// Controls and observes a running control plane.
#[derive(Clone, Debug)]
pub struct Handle {
    listener: tidegate_listener::Handle,
}

impl Service {
    /// Checks the options and binds.
    ///
    /// # Errors
    /// [`Error::Option`] for a broken rule, [`Error::Listener`] when the address cannot be listened on.
    pub fn new(options: Options, store: Arc<dyn Store>, cluster: Arc<dyn Cluster>) -> Result<Self, Error> {
        options.check()?;
        let listener = tidegate_listener::Service::new(tidegate_listener::Options::at(options.listen))?;
        let core = Core::new(options, store, cluster, Arc::new(NoUsage), wall_clock_s);
        Ok(Self { listener, core })
    }

    /// Connects the counters of usage plans; without them their operations answer 503.
    #[must_use]
    pub fn with_usage(self, usage: Arc<dyn Usage>) -> Self {
        Self { core: self.core.with_usage(usage), ..self }
    }

    /// Connects those who know which limits are busy; without them none is listed.
    #[must_use]
    pub fn with_limits(self, limits: Arc<dyn Limits>) -> Self {
        Self { core: self.core.with_limits(limits), ..self }
    }

    /// Connects those who hold cached answers; without them nothing is waited for and none is listed.
    #[must_use]
    pub fn with_caches(self, caches: Arc<dyn Caches>) -> Self {
        Self { core: self.core.with_caches(caches), ..self }
    }

    /// Connects the upstreams of this node; without them none is listed.
    #[must_use]
    pub fn with_upstreams(self, upstreams: Arc<dyn Upstreams>) -> Self {
        Self { core: self.core.with_upstreams(upstreams), ..self }
    }

    /// A handle that outlives `run`.
    pub fn handle(&self) -> Handle {
        Handle { listener: self.listener.handle() }
    }

    /// Serves until `shutdown` resolves or [`Handle::drain`] is called, then lets calls in flight finish.
    ///
    /// # Errors
    /// [`Error::Listener`] when the socket cannot be registered with the runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let core = Arc::new(self.core);
        let turns = Arc::new(Semaphore::new(CONTROL_CALLS_MAX));
        let handler = move |request: Request<tidegate_listener::Body>, _| {
            let (core, turns) = (Arc::clone(&core), Arc::clone(&turns));
            async move {
                let answer = panics::caught(answer(&core, &turns, request)).await;
                let defect =
                    || respond::error(&ApiError::internal("a defect ended this call"), &core.request_id());
                answer.unwrap_or_else(defect).map(Full::new)
            }
        };
        Ok(self.listener.run(handler, shutdown).await?)
    }
}

impl Handle {
    /// The address bound, with the real port when port 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    /// Begins to drain.
    pub fn drain(&self) {
        self.listener.drain();
    }
}

async fn answer(
    core: &Core,
    turns: &Semaphore,
    request: Request<tidegate_listener::Body>,
) -> Response<Bytes> {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = core.refuse_early(&parts) {
        return refusal;
    }
    let patience = Duration::from_millis(CONTROL_TURN_TIMEOUT_MS);
    let Ok(Ok(_turn)) = timeout(patience, turns.acquire()).await else {
        return respond::error(&ApiError::too_many_requests(), &core.request_id());
    };
    let bytes_max = Core::body_bytes_max(parts.uri.path());
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => core.handle(Request::from_parts(parts, body.to_bytes())).await,
        Err(error) if error.is::<LengthLimitError>() => {
            respond::error(&ApiError::too_large(bytes_max), &core.request_id())
        }
        Err(error) => {
            let fault = ApiError::bad_request(format!("the request body ended early: {error}"));
            respond::error(&fault, &core.request_id())
        }
    }
}

fn wall_clock_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
