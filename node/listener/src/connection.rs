//! One accepted connection from its first byte to its end: protocol choice, serving, draining. It owns no socket options and
//! knows no routes. `serve` takes any byte stream, so an encrypted one fits in unchanged.

use std::error::Error as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time;

use crate::body::{Body, Reply};
use crate::counters::{Counters, Permit};
use crate::dispatch::{Answer, Dispatch};
use crate::flood::Watch;
use crate::guard::{Guard, Rules, Turn};
use crate::options::Options;
use crate::sniff::{Replay, sniff};
use crate::tls::Terminator;
use crate::work::Work;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1; the request's version tells which.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How the bytes of a connection travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Inside TLS.
    Https,
}

impl Scheme {
    /// As in a URL: `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What a handler learns about the connection of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Unique within the process.
    pub id: u64,
    /// The socket peer, which may be a proxy.
    pub peer: SocketAddr,
    /// The address the peer connected to.
    pub local: SocketAddr,
    /// The protocol spoken.
    pub protocol: Protocol,
    /// Whether TLS protects it.
    pub scheme: Scheme,
}

/// The life of a listener, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    Serving,
    Draining,
    Cutting,
}

/// What all connections of one listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) counters: Arc<Counters>,
    pub(crate) phase: watch::Sender<Phase>,
    /// How often the connections of the moment were asked to leave while new ones are still taken.
    pub(crate) sheds: watch::Sender<u64>,
    /// Present when this listener speaks TLS.
    pub(crate) tls: Option<Terminator>,
}

impl Shared {
    /// Waits until the listener has come this far in its life.
    pub(crate) async fn reached(&self, least: Phase) {
        // The sender lives in `self`, so the wait cannot fail; the value is dropped at once because it holds a lock.
        drop(self.phase.subscribe().wait_for(|phase| *phase >= least).await);
    }

    /// Waits until the connections that were there after `sheds` askings are asked to leave, once more or for good.
    async fn leaving(&self, sheds: u64) {
        let mut asked = self.sheds.subscribe();
        tokio::select! {
            () = self.reached(Phase::Draining) => {}
            () = async { drop(asked.wait_for(|now| *now > sheds).await) } => {}
        }
    }

    fn rules(&self) -> Rules {
        let options = &self.options;
        Rules {
            header_bytes_max: options.header_bytes_max,
            headers_max: options.headers_max,
            header_read_timeout: Duration::from_millis(options.header_read_timeout_ms),
            keep_alive_timeout: Duration::from_millis(options.keep_alive_timeout_ms),
            body_stall_timeout: Duration::from_millis(options.body_stall_timeout_ms),
            write_stall_timeout: Duration::from_millis(options.write_stall_timeout_ms),
        }
    }
}

/// An accepted stream with its place among the open connections.
pub(crate) struct Accepted<S> {
    pub(crate) stream: S,
    /// Read from the stream before it came here.
    pub(crate) ahead: BytesMut,
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) permit: Permit,
    /// What a TLS handshake agreed on; absent on a plain stream, whose first bytes tell.
    pub(crate) negotiated: Option<Protocol>,
}

/// Serves one connection until it ends or the drain deadline cuts it.
pub(crate) async fn serve<S, H, F, B, E>(accepted: Accepted<S>, handler: H, shared: Arc<Shared>, executor: E)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    tokio::select! {
        biased;
        () = converse(accepted, handler, &shared, executor) => {}
        () = shared.reached(Phase::Cutting) => shared.counters.note_cut(),
    }
}

async fn converse<S, H, F, B, E>(accepted: Accepted<S>, handler: H, shared: &Shared, executor: E)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    let Accepted { mut stream, mut ahead, id, peer, local, permit, negotiated } = accepted;
    let (protocol, scheme) = match negotiated {
        Some(Protocol::Http1) => (Protocol::Http1, Scheme::Https),
        // The server has no time bound for the preface.
        Some(Protocol::Http2) => match choose(&mut stream, &mut ahead, shared).await {
            Some(Protocol::Http2) => (Protocol::Http2, Scheme::Https),
            Some(Protocol::Http1) | None => return,
        },
        None => match choose(&mut stream, &mut ahead, shared).await {
            Some(protocol) => (protocol, Scheme::Http),
            None => return,
        },
    };
    let turn = match protocol {
        Protocol::Http1 => Some(Arc::new(Turn::default())),
        Protocol::Http2 => None,
    };
    let dispatch = Dispatch {
        handler,
        connection: Connection { id, peer, local, protocol, scheme },
        counters: Arc::clone(&shared.counters),
        work: Arc::default(),
        turn: turn.clone(),
        headers_max: shared.options.headers_max,
    };
    let ended = match turn {
        Some(turn) => {
            let guard = Guard::new(stream, ahead, shared.rules(), turn, permit);
            converse_http1(guard, dispatch, shared).await
        }
        None => {
            shared.counters.note_http2();
            let watch =
                Watch::new(Replay::new(stream, ahead, permit), &shared.options, Arc::clone(&dispatch.work));
            let ended = converse_http2(watch, dispatch, shared, executor).await;
            if ended.as_ref().is_err_and(is_flood) {
                shared.counters.note_http2_flood();
            }
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, connection = id, "connection ended early");
    }
}

/// Finds the protocol. `None`: the peer left, kept silent, or draining began before it said anything.
async fn choose<S: AsyncRead + Unpin>(
    stream: &mut S,
    ahead: &mut BytesMut,
    shared: &Shared,
) -> Option<Protocol> {
    if !shared.options.http2.enabled {
        return Some(Protocol::Http1);
    }
    let patience = Duration::from_millis(shared.options.header_read_timeout_ms);
    tokio::select! {
        biased;
        sniffed = sniff(stream, ahead) => return sniffed.ok().flatten(),
        () = shared.reached(Phase::Draining) => {}
        () = time::sleep(patience) => shared.counters.note_idle_close(),
    }
    // The start of a preface that never goes on is left to HTTP/1, which refuses it.
    (!ahead.is_empty()).then_some(Protocol::Http1)
}

async fn converse_http1<S, H, F, B>(
    guard: Guard<S>,
    dispatch: Dispatch<H>,
    shared: &Shared,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let sheds = *shared.sheds.borrow();
    let mut builder = http1::Builder::new();
    // The guard has its own clock for heads.
    builder.max_headers(shared.options.headers_max).header_read_timeout(None).half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), dispatch).with_upgrades());
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = shared.leaving(sheds) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn converse_http2<S, H, F, B, E>(
    stream: Watch<S>,
    dispatch: Dispatch<H>,
    shared: &Shared,
    executor: E,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    let (work, sheds) = (Arc::clone(&dispatch.work), *shared.sheds.borrow());
    let mut connection =
        pin!(http2_builder(&shared.options, executor).serve_connection(TokioIo::new(stream), dispatch));
    let mut stalled = pin!(stands_still(shared.options.write_stall_timeout_ms, || work.stall_mark()));
    let mut leave = pin!(async {
        tokio::select! {
            () = shared.leaving(sheds) => {}
            () = idle(&work, shared) => shared.counters.note_idle_close(),
        }
    });
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = leave.as_mut() => {}
        () = stalled.as_mut() => {
            shared.counters.note_write_stall();
            return Ok(());
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        // The server waits for its last PING to be answered, and a peer may answer everything but that.
        () = idle(&work, shared) => Ok(()),
        () = stalled => {
            shared.counters.note_write_stall();
            Ok(())
        }
    }
}

/// Whether the server saw a flood of the kinds that it bounds itself; it has sent GOAWAY then.
fn is_flood(error: &hyper::Error) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    inner.is_some_and(|error| error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

fn http2_builder<E: Clone>(options: &Options, executor: E) -> http2::Builder<E> {
    let http2 = &options.http2;
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.streams_max)
        .max_pending_accept_reset_streams(http2.resets_pending_max)
        .max_local_error_reset_streams(http2.resets_local_max)
        .max_header_list_size(u32::try_from(options.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(http2.stream_window_bytes)
        .initial_connection_window_size(http2.connection_window_bytes)
        .max_frame_size(http2.frame_bytes_max)
        .max_send_buf_size(http2.send_buffer_bytes_max)
        .keep_alive_interval(Duration::from_millis(http2.ping_interval_ms))
        .keep_alive_timeout(Duration::from_millis(http2.ping_timeout_ms));
    builder
}

/// Ends when no request was inside and no answer was being sent at two looks in a row, a keep-alive time apart.
async fn idle(work: &Work, shared: &Shared) {
    stands_still(shared.options.keep_alive_timeout_ms, || work.idle_mark()).await;
}

/// Ends when two looks in a row, so far apart, find the same mark.
async fn stands_still(step_ms: u64, mark: impl Fn() -> Option<usize>) {
    let mut last = None;
    loop {
        time::sleep(Duration::from_millis(step_ms)).await;
        let seen = mark();
        if seen.is_some() && seen == last {
            return;
        }
        last = seen;
    }
}
