//! TLS in front of HTTP: the handshake between accepting a stream and serving it. It owns protocol versions, groups and ALPN;
//! it stores no certificate and decides nothing about a request.

mod certificates;
mod identity;
mod tickets;

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::rt::bounds::Http2ServerConnExec;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{Acceptor, ServerConfig, ServerSessionMemoryCache};
use rustls::{HandshakeKind, version};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::body::{Body, Reply};
use crate::connection::{self, Accepted, Connection, Phase, Protocol, Shared};
use crate::direct::Direct;
use crate::direct::Socket;
use crate::dispatch::Answer;
use crate::limits::{SESSIONS_MAX, TICKETS_PER_HANDSHAKE};
use crate::options::Options;
use crate::short::{self, Ways};

pub use certificates::{Certificates, Table};
pub use identity::{Identity, IdentityError};
pub use tickets::{TICKET_EPOCH_S, Tickets};

/// A fatal `unrecognized_name` (RFC 6066 §3) as a plaintext record, which is what a client expects before keys are agreed on.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What TLS listeners share: whoever holds it renews certificates and ticket keys while they run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The certificates, by host name.
    pub certificates: Certificates,
    /// The keys of session tickets.
    pub tickets: Tickets,
}

/// One listener's side of TLS.
#[derive(Debug)]
pub(crate) struct Terminator {
    config: Arc<ServerConfig>,
    certificates: Certificates,
    /// Handshakes that may be under way.
    turns: Semaphore,
    patience: Duration,
}

impl Terminator {
    pub(crate) fn new(options: &Options, settings: &Settings) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(settings.certificates.clone()));
        config.alpn_protocols = match options.http2.enabled {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        config.ticketer = Arc::new(settings.tickets.clone());
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
        // A request in early data could be replayed (RFC 8446 §8).
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            certificates: settings.certificates.clone(),
            turns: Semaphore::new(options.tls.handshakes_max),
            patience: Duration::from_millis(options.tls.handshake_timeout_ms),
        })
    }

    async fn handshake(&self, stream: Socket) -> Result<TlsStream<Socket>, Failure> {
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        let hello = match LazyConfigAcceptor::new(Acceptor::default(), stream).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Failure::Left),
            hello => hello?,
        };
        if !self.certificates.has(hello.client_hello().server_name()) {
            let mut stream = hello.io;
            stream.write_all(&UNRECOGNIZED_NAME).await?;
            return Err(Failure::UnrecognizedName);
        }
        Ok(hello.into_stream(Arc::clone(&self.config)).await?)
    }
}

/// Why a stream did not become an encrypted one.
#[derive(Debug)]
enum Failure {
    /// The peer left before it said anything whole.
    Left,
    UnrecognizedName,
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// As [`connection::serve`], for a stream whose handshake is still to come.
pub(crate) async fn serve<H, F, B, E>(
    accepted: Accepted<Socket>,
    handler: H,
    shared: Arc<Shared>,
    executor: E,
) where
    H: Fn(Request<Body>, Connection) -> F,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    if let Some(accepted) = secure(accepted, &shared).await {
        connection::serve(accepted, handler, shared, executor).await;
    }
}

/// As [`short::serve_direct`], for a stream whose handshake is still to come; HTTP/2 is not for the fast path.
pub(crate) async fn serve_direct<D, H, F, B, E>(accepted: Accepted<Socket>, ways: Rc<Ways<D, H, E>>)
where
    D: Direct,
    H: Fn(Request<Body>, Connection) -> F + Clone,
    F: Future<Output = Response<B>> + 'static,
    B: HttpBody<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<Answer<F>, Reply<B>>,
{
    // Apart from this task's own memory, as all that is large and soon gone, or that most connections do not need.
    let Some(accepted) = Box::pin(secure(accepted, &ways.shared)).await else { return };
    match accepted.negotiated {
        Some(Protocol::Http2) => {
            let (handler, shared) = (ways.handler.clone(), Arc::clone(&ways.shared));
            Box::pin(connection::serve(accepted, handler, shared, ways.executor.clone())).await;
        }
        Some(Protocol::Http1) | None => short::serve_direct(accepted, ways).await,
    }
}

/// The same connection, encrypted; `None` when there is nobody left to talk to.
async fn secure(accepted: Accepted<Socket>, shared: &Shared) -> Option<Accepted<Box<TlsStream<Socket>>>> {
    let terminator = shared.tls.as_ref()?;
    let Accepted { stream, ahead, id, peer, local, permit, negotiated: _ } = accepted;
    let outcome = tokio::select! {
        biased;
        outcome = time::timeout(terminator.patience, terminator.handshake(stream)) => outcome,
        () = shared.reached(Phase::Cutting) => {
            shared.counters.note_cut();
            return None;
        }
    };
    match outcome {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            shared.counters.note_handshake(session.handshake_kind() == Some(HandshakeKind::Resumed));
            let negotiated = match session.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            let stream = Box::new(stream);
            return Some(Accepted { stream, ahead, id, peer, local, permit, negotiated: Some(negotiated) });
        }
        Ok(Err(Failure::Left)) => {}
        Ok(Err(Failure::UnrecognizedName)) => shared.counters.note_unrecognized_name(),
        Ok(Err(Failure::Broken(error))) => {
            tracing::debug!(%error, connection = id, "TLS handshake failed");
            shared.counters.note_handshake_failure();
        }
        Err(_) => shared.counters.note_handshake_timeout(),
    }
    None
}

/// The one cryptography provider, with the hybrid post-quantum group first.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}
