//! The admin listener: metrics and health for machines that watch this one. It takes no credentials and changes nothing.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use tidegate_listener::{Body, Connection, Options};
use tidegate_telemetry::{
    health::{Checks, Probe},
    metrics::Registry,
};

use crate::node::NodeError;

/// Most scrapers and probes at a time.
const CONNECTIONS_MAX: usize = 64;

/// The bound listener and what it reports.
pub(crate) struct Service {
    listener: tidegate_listener::Service,
    pages: Arc<Pages>,
}

struct Pages {
    registry: Registry,
    checks: Checks,
}

impl Service {
    /// Binds.
    pub(crate) fn new(listen: SocketAddr, registry: Registry, checks: Checks) -> Result<Self, NodeError> {
        let options = Options { address: listen, connections_max: CONNECTIONS_MAX, ..Options::default() };
        let listener = tidegate_listener::Service::new(options)?;
        Ok(Self { listener, pages: Arc::new(Pages { registry, checks }) })
    }

    /// Serves until shutdown.
    pub(crate) async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), NodeError> {
        let pages = self.pages;
        let handler = move |request: Request<Body>, _: Connection| {
            let pages = pages.clone();
            async move { pages.answer(&request) }
        };
        self.listener.run(handler, shutdown).await.map_err(NodeError::from)
    }
}

impl Pages {
    fn answer(&self, request: &Request<Body>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page(
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain",
                "only GET and HEAD are served here\n".into(),
            );
        }
        let verbose = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
        match request.uri().path() {
            "/metrics" => {
                page(StatusCode::OK, tidegate_telemetry::metrics::CONTENT_TYPE, self.registry.render())
            }
            "/livez" => self.probe(Probe::Live, verbose),
            "/readyz" | "/healthz" => self.probe(Probe::Ready, verbose),
            _ => page(StatusCode::NOT_FOUND, "text/plain", "there are /metrics, /livez and /readyz\n".into()),
        }
    }

    fn probe(&self, probe: Probe, verbose: bool) -> Response<Full<Bytes>> {
        let report = self.checks.report(probe, verbose, &[]);
        let status = if report.is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        page(status, "text/plain", report.text)
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
