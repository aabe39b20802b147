//! One shard's way to the upstreams: a target, a pooled connection or a new one, one exchange, and an honest account of what failed.

mod connect;
mod exchange;
mod keeper;
mod pool;
mod probe;
pub(crate) mod reply;
mod resolve;
mod seat;
mod shared;
mod source;
mod tls;
mod wire;

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tidegate_gateway::{self as gateway, Rejection};
use tidegate_listener::{
    direct::{Buffers, Input, head::Fields},
    limits::INPUT_BYTES,
};
use tidegate_proto::limits;
use tidegate_upstream::{Attempt, Cause, Fault, Retry, Tries, retry, try_timeout_ms};

use connect::Counted;
use pool::Pools;
use reply::{Reading, ReplyHead};

pub(crate) use exchange::{Reply, ReplyBody, UpstreamBody, Wired};
pub(crate) use keeper::keep;
pub(crate) use pool::{Kind, Pool};
pub(crate) use resolve::Resolver;
pub(crate) use seat::{Seat, Shelf};
pub(crate) use shared::Upstreams;
pub(crate) use source::Place;
pub(crate) use tls::{Roots, Tls};
pub(crate) use wire::Wire;

/// The upstream side of a shard.
pub(crate) struct Upstream {
    shared: Arc<Upstreams>,
    pools: Pools,
    tls: Tls,
    open: Rc<Cell<usize>>,
    buffers: Rc<Buffers>,
    /// State of the generator that choices are drawn with.
    random: Cell<u64>,
}

/// A connection while one exchange has it; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    /// What it has sent and nobody has read.
    pub(crate) input: Input,
    pub(crate) seat: Seat,
    /// It was idle before, so it may have been closed meanwhile.
    pub(crate) is_reused: bool,
    counted: Counted,
}

/// Where a call's first try begins.
pub(crate) enum Start {
    /// On a connection that was idle and still seems alive.
    Idle(Connection),
    /// At a target to which a connection has to be made.
    Seat(Seat),
    /// With a question to the resolver.
    Unknown,
}

/// What a call has tried, and where it is.
#[derive(Default)]
pub(crate) struct Course {
    tries: Cell<Tries>,
    at: Cell<Option<Rc<Shelf>>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Resolving, connecting or TLS failed.
    #[error("{0}")]
    Network(String),
    /// What came back is not HTTP.
    #[error("the upstream's answer is malformed: {0}")]
    Answer(String),
    /// The upstream closed a pooled connection while the request was on its way.
    #[error("the pooled connection was closed: {0}")]
    Stale(String),
    /// The connection broke before anything came back.
    #[error("{0}")]
    Lost(String),
    /// No answer began in the time that one try, or the whole call, had.
    #[error("no answer in the time that it had")]
    Late,
    /// The link has no targets.
    #[error("VPC link {0} has no targets")]
    Nowhere(String),
    /// The body could not be read from the client.
    #[error("the request body broke off: {0}")]
    Body(String),
}

impl Failure {
    pub(crate) fn rejection(&self) -> Rejection {
        match self {
            Self::Network(_) | Self::Stale(_) | Self::Lost(_) => {
                Rejection::IntegrationFailure(gateway::Fault::Network)
            }
            Self::Answer(_) => Rejection::IntegrationFailure(gateway::Fault::Answer),
            Self::Late => Rejection::IntegrationTimeout,
            Self::Nowhere(_) => Rejection::ApiConfigurationError,
            Self::Body(_) => Rejection::BadRequestBody("Invalid request body".into()),
        }
    }

    /// How the try failed, where another one may be thought of.
    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Stale(_) => Some(Fault::Stale),
            Self::Lost(_) => Some(Fault::Lost),
            Self::Late => Some(Fault::Late),
            Self::Network(_) | Self::Answer(_) | Self::Nowhere(_) | Self::Body(_) => None,
        }
    }
}

impl Upstream {
    pub(crate) fn new(shared: Arc<Upstreams>, tls: Tls, seed: u64) -> Self {
        // The generator must not begin with zero.
        let random = Cell::new(seed | 1);
        Self { shared, pools: Pools::default(), tls, open: Rc::default(), buffers: Rc::default(), random }
    }

    /// The pool of the host that `authority` names. `is_configured` tells that configuration names it, and not a request.
    pub(crate) fn pool(&self, kind: Kind, authority: &str, is_configured: bool) -> Rc<Pool> {
        let source = || {
            let host = connect::host(authority);
            let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            self.shared.host(host, port.unwrap_or(kind.port()), is_configured)
        };
        self.pools.find(kind, authority, |source| matches!(source.origin, source::Origin::Host(..)), source)
    }

    /// The pool of a VPC link, called by the name of `authority`.
    pub(crate) fn link_pool(&self, kind: Kind, authority: &str, link: &str) -> Rc<Pool> {
        let is_it = |source: &source::Source| {
            matches!(&source.origin, source::Origin::Link(id) if **id == *link)
                && !source.is_gone.load(Relaxed)
        };
        self.pools.find(kind, authority, is_it, || self.shared.link(link))
    }

    /// Begins the first try of a call.
    pub(crate) fn begin(&self, pool: &Pool) -> Start {
        let Some(seat) = pool.seat(&Tries::default(), self.random()) else { return Start::Unknown };
        match seat.pop() {
            Some((wire, counted)) => {
                Start::Idle(Connection { wire, input: Input::default(), seat, is_reused: true, counted })
            }
            None => Start::Seat(seat),
        }
    }

    /// A new connection, to the target of `seat` or to another one.
    pub(crate) async fn connect(
        &self,
        pool: &Pool,
        mut seat: Option<Seat>,
        course: &Course,
    ) -> Result<Connection, Failure> {
        loop {
            if self.open.get() >= limits::UPSTREAM_OPEN_MAX {
                return Err(Failure::Network("too many upstream connections are open".into()));
            }
            let chosen = match seat.take() {
                Some(seat) => seat,
                None => self.choose(pool, course).await?,
            };
            course.visit(&chosen);
            // Apart: connecting needs much more memory than using, and every connection of a client would carry it.
            let dial = Box::pin(connect::connect(pool, chosen.address(), &self.tls, &self.open));
            match dial.await {
                Ok((wire, counted)) => {
                    let input = Input::default();
                    return Ok(Connection { wire, input, seat: chosen, is_reused: false, counted });
                }
                Err(failure) => {
                    chosen.failed(Cause::Network, &failure.to_string());
                    course.note(pool, &chosen, false);
                    if !self.may_retry(pool, Fault::Connect, course, false) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// The target of the next try; where none is known, the resolver is waited for.
    async fn choose(&self, pool: &Pool, course: &Course) -> Result<Seat, Failure> {
        if let Some(seat) = pool.seat(&course.tries.get(), self.random()) {
            return Ok(seat);
        }
        if pool.source.leads_nowhere() {
            return Err(Failure::Nowhere(pool.source.name.to_string()));
        }
        pool.source.resolve().await.map_err(Failure::Network)?;
        let seat = pool.seat(&course.tries.get(), self.random());
        seat.ok_or_else(|| Failure::Network(format!("cannot resolve {}: no address", pool.authority)))
    }

    /// Notes that a try failed after something was sent, and says whether there is another one.
    pub(crate) fn try_again(
        &self,
        pool: &Pool,
        seat: &Shelf,
        course: &Course,
        failure: &Failure,
        is_repeatable: bool,
    ) -> bool {
        match failure {
            Failure::Lost(_) | Failure::Late => seat.failed(Cause::Network, &failure.to_string()),
            Failure::Answer(_) => seat.failed(Cause::Answer, &failure.to_string()),
            // A server may close what is idle, so that is nothing against it.
            Failure::Stale(_) | Failure::Network(_) | Failure::Nowhere(_) | Failure::Body(_) => {}
        }
        course.note(pool, seat, true);
        failure.fault().is_some_and(|fault| self.may_retry(pool, fault, course, is_repeatable))
    }

    fn may_retry(&self, pool: &Pool, fault: Fault, course: &Course, is_repeatable: bool) -> bool {
        let Tries { count, sent, .. } = course.tries.get();
        let attempt = Attempt { is_repeatable, has_alternatives: pool.has_alternatives(), count, sent };
        let may = match retry(fault, attempt) {
            Retry::No => return false,
            Retry::Free => true,
            Retry::Paid => pool.pay(),
        };
        let counts = &pool.source.counts;
        if may {
            counts.retries.increment()
        } else {
            counts.unpaid.increment()
        }
        may
    }

    /// How long this try of a call may wait for its answer, in milliseconds, where that is less than the call may.
    pub(crate) fn try_timeout_ms(
        &self,
        pool: &Pool,
        call_ms: u32,
        is_repeatable: bool,
        course: &Course,
    ) -> Option<u32> {
        let is_first = course.tries.get().sent == 0;
        // Without a second try the first one has all of the time.
        let has_second = is_first && is_repeatable && pool.has_alternatives() && pool.can_pay();
        has_second.then(|| try_timeout_ms(call_ms, pool.source.try_timeout_ms()))
    }

    /// Closes connections that were idle for too long. Called once per second.
    pub(crate) fn sweep(&self) {
        self.pools.sweep();
        self.buffers.trim();
    }

    /// A number that no caller foresees well enough to aim at a target (xorshift64*).
    fn random(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Whether a connection ended because nothing was heard of its peer.
pub(crate) fn is_silence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(error.kind(), TimedOut | HostUnreachable | NetworkUnreachable)
}

impl Course {
    /// The call is at a target now.
    pub(crate) fn visit(&self, seat: &Seat) {
        self.at.set(Some(Rc::clone(seat.shelf())));
    }

    /// Where the call is, or was last.
    pub(crate) fn at(&self) -> Option<Rc<Shelf>> {
        let at = self.at.take();
        self.at.set(at.clone());
        at
    }

    /// Tries that failed.
    pub(crate) fn failed_tries(&self) -> u8 {
        self.tries.get().count
    }

    fn note(&self, pool: &Pool, seat: &Shelf, was_sent: bool) {
        let mut tries = self.tries.get();
        pool.note(&mut tries, seat, was_sent);
        self.tries.set(tries);
    }
}

impl Connection {
    /// Reads the head of the answer if all of it is there and hands it to `take`; interim answers are skipped, and counted in
    /// `interims`.
    ///
    /// # Errors
    /// [`Failure::Answer`] for what is no answer, and what `take` says.
    pub(crate) fn read_head<T>(
        &mut self,
        to_head: bool,
        interims: &mut usize,
        buffers: &Buffers,
        mut take: impl FnMut(&ReplyHead<'_, '_>) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        loop {
            let bytes = self.input.filled();
            let (used, taken) = match reply::read(bytes, to_head, &mut Fields::new()) {
                Ok(Reading::Complete(head)) => (head.raw.len(), Some(take(&head)?)),
                Ok(Reading::Interim(length)) => (length, None),
                Ok(Reading::Partial) if bytes.len() < INPUT_BYTES => return Ok(None),
                Ok(Reading::Partial) => return Err(Failure::Answer("its head is too large".into())),
                Err(error) => return Err(Failure::Answer(error.to_string())),
            };
            self.input.consume(used, buffers);
            if taken.is_some() {
                return Ok(taken);
            }
            *interims += 1;
            if *interims > limits::INTERIM_ANSWERS_MAX {
                return Err(Failure::Answer("it sends interim answers only".into()));
            }
        }
    }

    /// What it means that the connection has ended before the answer did; `is_silent` tells that its peer was not heard of any more.
    pub(crate) fn lost(&self, why: &dyn std::fmt::Display, is_silent: bool) -> Failure {
        let text = format!("{}: {why}", self.seat.address());
        match (self.input.is_empty(), self.is_reused && !is_silent) {
            (false, _) => Failure::Answer(text),
            (true, true) => Failure::Stale(text),
            (true, false) => Failure::Lost(text),
        }
    }

    /// Gives the connection back once its exchange has ended on the wire.
    pub(crate) fn release(self) {
        let Self { wire, seat, counted, .. } = self;
        seat.put(wire, counted);
    }

    /// Closes the connection; its buffer is used again.
    pub(crate) fn close(mut self, buffers: &Buffers) {
        self.input.release(buffers);
    }
}
