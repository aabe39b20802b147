//! The fast path of HTTP/1: whole connections of plain requests, served without the HTTP server.
//!
//! **Design.** A [`Direct`] reads heads with [`head::read`], which accepts only what no reader could frame differently, and a
//! strict subset of what [`crate::head::inspect`] accepts. Whatever it does not know (an upgrade, an expectation, an old
//! version, a head that is not beyond doubt, HTTP/2) it never answers: it gives the stream back with every byte it has read and
//! not used, and the connection goes on behind the guard and the HTTP server, which judge the same bytes again. So there
//! is one place that refuses, and the fast path can only ever be too careful.
//!
//! Buffers are held while bytes are in them ([`Buffers`]), and every wait is under the connection's [`Alarm`].

mod alarm;
mod buffer;
pub mod head;
mod linger;
mod socket;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

pub use alarm::{Alarm, Alarms};
pub use buffer::{Buffers, Input};
pub use socket::Socket;

pub use crate::guard::{ChunkError, ChunkScanner, Decoded};

use crate::connection::Shared;
use crate::counters::Counters;
use crate::options::Options;
use crate::refusal::Refusal;

/// What carries a connection: plain or encrypted.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Serves connections as far as they are plain.
pub trait Direct: Clone + 'static {
    /// Serves requests until the connection ends or something comes that is not plain; then the stream is given back.
    fn serve<S: Stream>(&self, line: Line<S>) -> impl Future<Output = Option<Handover<S>>>;
}

/// A connection on the fast path.
pub struct Line<S> {
    /// The bytes.
    pub stream: S,
    /// Unique within the process.
    pub id: u64,
    /// The socket peer, which may be a proxy.
    pub peer: SocketAddr,
    /// The address the peer connected to.
    pub local: SocketAddr,
    /// Whether the stream is encrypted.
    pub is_encrypted: bool,
    /// The bound on every wait.
    pub alarm: Alarm,
    /// What the shard's connections share.
    pub desk: Rc<Desk>,
}

/// A connection given back: the stream, and the bytes read from it and not used.
pub struct Handover<S> {
    /// The stream.
    pub stream: S,
    /// The bytes.
    pub ahead: Vec<u8>,
}

/// What the connections of one shard share on the fast path.
#[derive(Debug)]
pub struct Desk {
    /// The bounds of the listener.
    pub options: Options,
    /// Free buffers.
    pub buffers: Buffers,
    /// The deadlines.
    pub alarms: Rc<Alarms>,
    /// Requests since the last sweep: the counters are shared by all shards, and a word that all write to is slow for all.
    requests: Cell<u64>,
    pub(crate) counters: Arc<Counters>,
}

impl Desk {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            options: shared.options.clone(),
            buffers: Buffers::default(),
            alarms: Alarms::new(),
            requests: Cell::new(0),
            counters: Arc::clone(&shared.counters),
        }
    }

    /// Counts a request whose head was accepted.
    pub fn note_request(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// Wakes the connections whose deadline lies before `now`, and tells the counters what was noted.
    pub(crate) fn sweep(&self, now: Instant) {
        self.alarms.sweep(now);
        self.counters.note_requests(self.requests.take());
    }

    /// Counts a request that is answered with `refusal`.
    pub fn note_refusal(&self, refusal: Refusal) {
        self.counters.note_refusal(refusal);
    }

    /// Counts a connection that was closed because nothing came.
    pub fn note_idle_close(&self) {
        self.counters.note_idle_close();
    }

    /// Counts a connection that the peer ended inside a head.
    pub fn note_truncated(&self) {
        self.counters.note_truncated();
    }

    /// Counts a connection that ended because the peer did not read its answer.
    pub fn note_write_stall(&self) {
        self.counters.note_write_stall();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.counters.note_requests(self.requests.take());
    }
}
