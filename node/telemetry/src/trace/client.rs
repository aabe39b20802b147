//! The HTTP client of the span exporter: one POST per connection, on a runtime of its own, bounded in time and size.
//! It exists because the exporter's stock clients bring a second TLS stack.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::time;

use crate::limits::{COLLECTOR_ANSWER_BYTES_MAX, EXPORT_TIMEOUT_MS};

/// How exporting has gone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExportCounters {
    /// Batches a collector accepted.
    pub accepted: u64,
    /// Batches lost: refused, unreachable or too slow.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Outcomes {
    accepted: AtomicU64,
    failed: AtomicU64,
}

impl Outcomes {
    pub(super) fn counters(&self) -> ExportCounters {
        ExportCounters { accepted: self.accepted.load(Relaxed), failed: self.failed.load(Relaxed) }
    }
}

/// Sends batches; dropping it ends its thread.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Handle,
    outcomes: Arc<Outcomes>,
    _alive: oneshot::Sender<()>,
}

impl Client {
    /// Starts the thread.
    pub(super) fn start(outcomes: Arc<Outcomes>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("span-export".to_owned()).spawn(move || {
            // An error means the client was dropped, which is what is waited for.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, outcomes, _alive: alive })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let bound = Duration::from_millis(EXPORT_TIMEOUT_MS);
        let exchange = self.runtime.spawn(async move { time::timeout(bound, exchange(request)).await });
        let answer = match exchange.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(elapsed)) => Err(elapsed.into()),
            Err(gone) => Err(gone.into()),
        };
        let is_accepted = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
        let counter = if is_accepted { &self.outcomes.accepted } else { &self.outcomes.failed };
        if counter.fetch_add(1, Relaxed).is_power_of_two() && !is_accepted {
            match &answer {
                Ok(answer) => tracing::warn!(status = answer.status().as_u16(), "collector refused spans"),
                Err(error) => tracing::warn!(%error, "spans cannot be exported"),
            }
        }
        answer
    }
}

async fn exchange(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or("no address in the collector's URL")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    parts.uri = Uri::try_from(path)?;
    parts.headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, COLLECTOR_ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
