//! The listener as a service: bind, accept, spawn, drain. It runs on the runtime it is called on and starts no thread.

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::rt::Executor;
use socket2::SockRef;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::{task, time};

use crate::bind::bind;
use crate::body::Body;
use crate::connection::{Accepted, Connection, Phase, Shared, serve};
use crate::counters::{CounterValues, Counters};
use crate::direct::Direct;
use crate::direct::Socket;
use crate::limits::{ACCEPT_PAUSE_MS, LINGER_MS};
use crate::options::Options;
use crate::refusal::Refusal;
use crate::short::{Ways, serve_direct};
use crate::sweep::Sweeper;
use crate::tls::{self, Terminator};

/// Connection ids are unique over all listeners of the process.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Why a listener cannot start.
#[derive(Debug, Error)]
pub enum Error {
    /// An option breaks its rule.
    #[error("option {field} is {value}, must be {rule}")]
    Option {
        /// The option's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (port {}): {source}", .address.port())]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A bound listener that has not begun to accept.
#[derive(Debug)]
pub struct Service {
    listener: StdListener,
    local: SocketAddr,
    shared: Arc<Shared>,
}

/// Controls and observes a running listener.
#[derive(Clone, Debug)]
pub struct Handle {
    local: SocketAddr,
    shared: Arc<Shared>,
}

impl Service {
    /// Checks the options and binds. From here on the kernel queues connections.
    ///
    /// # Errors
    /// [`Error::Option`] for a broken rule, [`Error::Bind`] when the address is taken or not ours.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        Self::open(bound(&options)?, options, None)
    }

    /// As [`Service::new`], for a listener that speaks TLS and nothing else. Session storage is this listener's own;
    /// certificates and ticket keys are shared with whoever holds `settings`.
    ///
    /// # Errors
    /// As [`Service::new`], and [`Error::Tls`].
    pub fn new_tls(options: Options, settings: &tls::Settings) -> Result<Self, Error> {
        options.check()?;
        let terminator = Terminator::new(&options, settings)?;
        Self::open(bound(&options)?, options, Some(terminator))
    }

    /// Takes over a listening socket, for example one inherited from a service manager or a predecessor.
    ///
    /// # Errors
    /// As [`Service::new`].
    pub fn from_listener(listener: StdListener, options: Options) -> Result<Self, Error> {
        options.check()?;
        Self::open(listener, options, None)
    }

    fn open(listener: StdListener, options: Options, tls: Option<Terminator>) -> Result<Self, Error> {
        let bound = |source| Error::Bind { address: options.address, source };
        listener.set_nonblocking(true).map_err(bound)?;
        let local = listener.local_addr().map_err(bound)?;
        let shared = Arc::new(Shared {
            options,
            counters: Arc::new(Counters::default()),
            phase: watch::Sender::new(Phase::Serving),
            sheds: watch::Sender::new(0),
            tls,
        });
        Ok(Self { listener, local, shared })
    }

    /// The address bound, with the real port when port 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// A handle that outlives `run`.
    pub fn handle(&self) -> Handle {
        Handle { local: self.local, shared: Arc::clone(&self.shared) }
    }

    /// Serves on the current multi-thread (or any) runtime until `shutdown` resolves or [`Handle::drain`] is called and the
    /// connections have ended.
    ///
    /// # Errors
    /// [`Error::Bind`] when the socket cannot be registered with the runtime.
    pub async fn run<H, F, B>(self, handler: H, shutdown: impl Future<Output = ()>) -> Result<(), Error>
    where
        H: Fn(Request<Body>, Connection) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let shared = Arc::clone(&self.shared);
        let spawn = move |accepted| {
            let (handler, shared) = (handler.clone(), Arc::clone(&shared));
            match shared.tls {
                None => task::spawn(serve(accepted, handler, shared, Anywhere)),
                Some(_) => task::spawn(tls::serve(accepted, handler, shared, Anywhere)),
            };
        };
        self.accept_until(spawn, shutdown).await
    }

    /// Like [`Service::run`] for handlers that are not `Send`: everything stays on the current thread. Must be called inside a
    /// `tokio::task::LocalSet` or a local runtime.
    ///
    /// # Errors
    /// As [`Service::run`].
    pub async fn run_local<H, F, B>(self, handler: H, shutdown: impl Future<Output = ()>) -> Result<(), Error>
    where
        H: Fn(Request<Body>, Connection) -> F + Clone + 'static,
        F: Future<Output = Response<B>> + 'static,
        B: HttpBody<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let shared = Arc::clone(&self.shared);
        let spawn = move |accepted| {
            let (handler, shared) = (handler.clone(), Arc::clone(&shared));
            match shared.tls {
                None => task::spawn_local(serve(accepted, handler, shared, Here)),
                Some(_) => task::spawn_local(tls::serve(accepted, handler, shared, Here)),
            };
        };
        self.accept_until(spawn, shutdown).await
    }

    /// Like [`Service::run_local`], with `direct` as the fast path: it serves what is plain, and `handler` the rest.
    ///
    /// # Errors
    /// As [`Service::run`].
    pub async fn run_direct<D, H, F, B>(
        self,
        direct: D,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error>
    where
        D: Direct,
        H: Fn(Request<Body>, Connection) -> F + Clone + 'static,
        F: Future<Output = Response<B>> + 'static,
        B: HttpBody<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let shared = Arc::clone(&self.shared);
        let sweeper = Sweeper::new(&shared);
        let sweeping = task::spawn_local(Rc::clone(&sweeper).run());
        let ways = Rc::new(Ways { direct, handler, sweeper, shared, executor: Here });
        let spawn = move |accepted| {
            let ways = Rc::clone(&ways);
            match ways.shared.tls {
                None => task::spawn_local(serve_direct(accepted, ways)),
                Some(_) => task::spawn_local(tls::serve_direct(accepted, ways)),
            };
        };
        let ended = self.accept_until(spawn, shutdown).await;
        sweeping.abort();
        ended
    }

    async fn accept_until(
        self,
        spawn: impl Fn(Accepted<Socket>),
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Self { listener, local, shared } = self;
        let listener =
            TcpListener::from_std(listener).map_err(|source| Error::Bind { address: local, source })?;
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                () = shared.reached(Phase::Draining) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => admit(&shared, stream, peer, local, &spawn),
                    Err(error) => {
                        shared.counters.note_accept_error();
                        tracing::warn!(%error, "accept failed");
                        time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    }
                },
            }
        }
        advance(&shared, Phase::Draining);
        // Connections the kernel has already accepted for us would be reset by the close.
        while let Poll::Ready(Ok((stream, peer))) = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
        {
            admit(&shared, stream, peer, local, &spawn);
        }
        drop(listener);
        drain(&shared).await;
        Ok(())
    }
}

impl Handle {
    /// Begins to drain: no new connections, idle ones close, requests in flight finish, HTTP/2 peers get GOAWAY.
    pub fn drain(&self) {
        advance(&self.shared, Phase::Draining);
    }

    /// Asks the connections of the moment to leave, as [`Self::drain`] does, while new ones are still taken: clients that look again find
    /// out whether there is a better place.
    pub fn shed(&self) {
        self.shared.sheds.send_modify(|sheds| *sheds += 1);
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        *self.shared.phase.borrow() >= Phase::Draining
    }

    /// Open connections, those switched to another protocol included.
    pub fn connections(&self) -> usize {
        self.shared.counters.active()
    }

    /// All counters at this moment.
    pub fn counters(&self) -> CounterValues {
        self.shared.counters.values()
    }

    /// The address bound.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }
}

/// Spawns tasks on whatever thread is free.
#[derive(Clone, Copy, Debug)]
struct Anywhere;

impl<F: Future + Send + 'static> Executor<F> for Anywhere
where
    F::Output: Send,
{
    fn execute(&self, future: F) {
        task::spawn(future);
    }
}

/// Spawns tasks on the current thread.
#[derive(Clone, Copy, Debug)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, future: F) {
        task::spawn_local(future);
    }
}

fn bound(options: &Options) -> Result<StdListener, Error> {
    bind(options.address, options.backlog, options.reuse_port)
        .map_err(|source| Error::Bind { address: options.address, source })
}

fn advance(shared: &Shared, to: Phase) {
    shared.phase.send_if_modified(|phase| {
        let moves = *phase < to;
        *phase = to.max(*phase);
        moves
    });
}

/// Waits for the connections to end; what is left at the deadline is cut.
async fn drain(shared: &Shared) {
    let patience = Duration::from_millis(shared.options.drain_timeout_ms);
    if time::timeout(patience, shared.counters.all_closed()).await.is_ok() {
        return;
    }
    advance(shared, Phase::Cutting);
    let left = shared.counters.active();
    tracing::warn!(connections = left, "drain deadline passed, connections cut");
    // A connection switched to another protocol belongs to its handler and may outlive this.
    let _ = time::timeout(Duration::from_millis(LINGER_MS), shared.counters.all_closed()).await;
}

fn admit(
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    spawn: &impl Fn(Accepted<Socket>),
) {
    let Some(permit) = shared.counters.admit(&shared.options, peer.ip()) else {
        // A peer that expects TLS has no use for an answer in the clear.
        if shared.tls.is_none() {
            refuse(&stream);
        }
        return;
    };
    // Answers are written whole, so waiting to fill a segment only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let local = stream.local_addr().unwrap_or(local);
    let id = NEXT_CONNECTION.fetch_add(1, Relaxed);
    let stream = Socket::new(stream);
    spawn(Accepted { stream, ahead: BytesMut::new(), id, peer, local, permit, negotiated: None });
}

/// Says 503 without spending a task; taking out what already arrived lets the answer survive the close.
fn refuse(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let mut arrived = [const { MaybeUninit::uninit() }; 4096];
    let _ = socket.recv(&mut arrived);
    let _ = socket.send(Refusal::Overloaded.raw(None).as_bytes());
    let _ = socket.shutdown(std::net::Shutdown::Write);
}
