//! One shard's way to the upstreams: a pooled connection or a new one, one exchange, and an honest account of what failed.

mod connect;
mod pool;
mod tls;

use std::{cell::Cell, rc::Rc, time::Duration};

use http::{HeaderMap, Request, StatusCode, Uri};
use hyper::{Response, body::Incoming, client::conn::http1::SendRequest};
use tidegate_gateway::{Call, Fault, Rejection};
use tidegate_proto::limits;

use crate::body::{Sending, UpstreamBody};
use pool::{Kind, Pool};

pub(crate) use pool::Lease;
pub(crate) use tls::{Roots, Tls};

/// The upstream side of a shard.
pub(crate) struct Upstream {
    pool: Rc<Pool>,
    tls: Tls,
    open: Rc<Cell<usize>>,
}

/// The head of an upstream's answer and the body that follows.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Resolving, connecting or TLS failed, or the connection broke.
    #[error("{0}")]
    Network(String),
    /// What came back is not HTTP.
    #[error("the upstream's answer is malformed: {0}")]
    Answer(hyper::Error),
    /// The upstream closed a pooled connection while the request was on its way.
    #[error("the pooled connection was closed: {0}")]
    Stale(hyper::Error),
    /// The body could not be read from the client.
    #[error("the request body broke off: {0}")]
    Body(hyper::Error),
}

impl Failure {
    pub(crate) fn rejection(&self) -> Rejection {
        Rejection::IntegrationFailure(match self {
            Self::Network(_) | Self::Stale(_) | Self::Body(_) => Fault::Network,
            Self::Answer(_) => Fault::Answer,
        })
    }
}

impl Upstream {
    pub(crate) fn new(tls: Tls) -> Self {
        Self { pool: Rc::default(), tls, open: Rc::default() }
    }

    /// Sends a call and waits for the head of the answer. With `reuse`, a pooled connection is tried first; when that proves
    /// dead before anything was written, a new one is taken without the caller noticing.
    pub(crate) async fn exchange(
        &self,
        call: Call<'_>,
        body: Sending,
        reuse: bool,
    ) -> Result<Reply, Failure> {
        let kind = Kind::of(call.tls, call.tls_unverified);
        let patience = Duration::from_millis(call.timeout_ms.into());
        let mut request = Request::new(body);
        *request.method_mut() = call.method;
        *request.uri_mut() = Uri::from(call.target);
        *request.headers_mut() = call.headers;
        let reply = |sender, response: Response<Incoming>| {
            let lease = Lease::new(sender, Rc::clone(&self.pool), kind, call.authority.as_ref().into());
            let (head, incoming) = response.into_parts();
            let body = UpstreamBody::new(incoming, lease, patience);
            Reply { status: head.status, headers: head.headers, body }
        };
        while reuse && let Some(mut sender) = self.pool.take(kind, &call.authority) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(reply(sender, response)),
                Err(mut refused) => match refused.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(classify(refused.into_error(), true)),
                },
            }
        }
        let mut sender = self.connect(kind, &call.authority).await?;
        match sender.try_send_request(request).await {
            Ok(response) => Ok(reply(sender, response)),
            Err(refused) => Err(classify(refused.into_error(), false)),
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
    }

    async fn connect(&self, kind: Kind, authority: &str) -> Result<SendRequest<Sending>, Failure> {
        if self.open.get() >= limits::UPSTREAM_OPEN_MAX {
            return Err(Failure::Network("too many upstream connections are open".into()));
        }
        connect::connect(kind, authority, &self.tls, &self.open).await
    }
}

fn classify(error: hyper::Error, reused: bool) -> Failure {
    if error.is_user() {
        Failure::Body(error)
    } else if error.is_parse() || error.is_parse_status() {
        Failure::Answer(error)
    } else if reused {
        Failure::Stale(error)
    } else {
        Failure::Network(error.to_string())
    }
}
