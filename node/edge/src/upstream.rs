//! One shard's way to the upstreams: a pooled connection or a new one, one exchange, and an honest account of what failed.

mod connect;
mod exchange;
mod pool;
pub(crate) mod reply;
mod tls;
mod wire;

use std::{cell::Cell, rc::Rc};

use tidegate_gateway::{Fault, Rejection};
use tidegate_listener::{
    direct::{Buffers, Input, head::Fields},
    limits::INPUT_BYTES,
};
use tidegate_proto::limits;

use connect::Counted;
use pool::Pool;
use reply::{Reading, ReplyHead};

pub(crate) use exchange::{Reply, ReplyBody, UpstreamBody, Wired};
pub(crate) use pool::{Kind, Shelf};
pub(crate) use tls::{Roots, Tls};
pub(crate) use wire::Wire;

/// What a request saves up for retries, and what one costs.
const RETRY_SHARE: u32 = 5;

/// The upstream side of a shard.
pub(crate) struct Upstream {
    pool: Pool,
    tls: Tls,
    open: Rc<Cell<usize>>,
    buffers: Rc<Buffers>,
    /// Retries saved up, in shares.
    savings: Cell<u32>,
}

/// A connection while one exchange has it; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    /// What it has sent and nobody has read.
    pub(crate) input: Input,
    pub(crate) shelf: Rc<Shelf>,
    /// It was idle before, so it may have been closed meanwhile.
    pub(crate) is_reused: bool,
    counted: Counted,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Resolving, connecting or TLS failed, or the connection broke.
    #[error("{0}")]
    Network(String),
    /// What came back is not HTTP.
    #[error("the upstream's answer is malformed: {0}")]
    Answer(String),
    /// The upstream closed a pooled connection while the request was on its way.
    #[error("the pooled connection was closed: {0}")]
    Stale(String),
    /// The body could not be read from the client.
    #[error("the request body broke off: {0}")]
    Body(String),
}

impl Failure {
    pub(crate) fn rejection(&self) -> Rejection {
        match self {
            Self::Network(_) | Self::Stale(_) => Rejection::IntegrationFailure(Fault::Network),
            Self::Answer(_) => Rejection::IntegrationFailure(Fault::Answer),
            Self::Body(_) => Rejection::BadRequestBody("Invalid request body".into()),
        }
    }
}

impl Upstream {
    pub(crate) fn new(tls: Tls) -> Self {
        let savings = Cell::new(limits::RETRIES_SAVED_MAX * RETRY_SHARE);
        Self { pool: Pool::default(), tls, open: Rc::default(), buffers: Rc::default(), savings }
    }

    /// The shelf of an upstream.
    pub(crate) fn shelf(&self, kind: Kind, authority: &str) -> Rc<Shelf> {
        self.pool.shelf(kind, authority)
    }

    /// An idle connection that still seems alive.
    pub(crate) fn reuse(&self, shelf: &Rc<Shelf>) -> Option<Connection> {
        let (wire, counted) = shelf.take()?;
        let saved = self.savings.get() + 1;
        self.savings.set(saved.min(limits::RETRIES_SAVED_MAX * RETRY_SHARE));
        Some(Connection { wire, input: Input::default(), shelf: Rc::clone(shelf), is_reused: true, counted })
    }

    /// A new connection.
    pub(crate) async fn connect(&self, shelf: &Rc<Shelf>) -> Result<Connection, Failure> {
        if self.open.get() >= limits::UPSTREAM_OPEN_MAX {
            return Err(Failure::Network("too many upstream connections are open".into()));
        }
        // Apart: connecting needs much more memory than using, and every connection of a client would carry it.
        let dial = || Box::pin(connect::connect(shelf.kind, &shelf.authority, &self.tls, &self.open));
        let (wire, counted) = match dial().await {
            Ok(connected) => connected,
            // Nothing has been sent, so trying again cannot do harm; an upstream that is down is not hammered.
            Err(_) if self.may_retry() => dial().await?,
            Err(failure) => return Err(failure),
        };
        Ok(Connection { wire, input: Input::default(), shelf: Rc::clone(shelf), is_reused: false, counted })
    }

    /// Whether a retry fits into the budget; it is then spent.
    pub(crate) fn may_retry(&self) -> bool {
        let left = self.savings.get().checked_sub(RETRY_SHARE);
        if let Some(left) = left {
            self.savings.set(left);
        }
        left.is_some()
    }

    /// Closes connections that were idle for too long. Called once per second.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
        self.buffers.trim();
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

    /// Gives the connection back once its exchange has ended on the wire.
    pub(crate) fn release(self) {
        let Self { wire, shelf, counted, .. } = self;
        shelf.put(wire, counted);
    }

    /// Closes the connection; its buffer is used again.
    pub(crate) fn close(mut self, buffers: &Buffers) {
        self.input.release(buffers);
    }
}
