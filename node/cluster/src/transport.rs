//! The network between nodes at the level of messages. Implementations move frames and prove who sent them; they do not
//! know what a frame means.

#[cfg(feature = "sim")]
pub(crate) mod memory;
#[cfg(not(feature = "sim"))]
pub(crate) mod quic;

use crate::{NodeId, wire::Frame};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) node: NodeId,
    /// `host:port`.
    pub(crate) address: String,
    /// Whether this message may have left.
    pub(crate) begun: Begun,
}

/// Set before the first byte of a message leaves. A caller whose time is up reads from it whether the message may have
/// arrived: a connection that was still being dialed carried nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Two targets are the same place whatever became of the messages to it.
impl PartialEq for Begun {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Begun {}

/// Importance of a message; more important ones overtake others on a busy link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Checkpoint,
    Request,
    Append,
    Heartbeat,
    Vote,
}

/// Why a message got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// Nothing was sent; trying again is safe.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have arrived.
    #[error("no answer: {0}")]
    Unanswered(String),
}

/// State of the link to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) node: NodeId,
    pub(crate) connected: bool,
    pub(crate) rtt: Option<Duration>,
}

/// Frames in one direction of a stream.
pub(crate) type Frames = BoxStream<'static, Result<Frame, SendError>>;

/// Moves frames between nodes.
pub(crate) trait Transport: Send + Sync + 'static {
    /// One request, one answer.
    fn call(&self, to: Target, lane: Lane, request: Frame) -> BoxFuture<'static, Result<Frame, SendError>>;
    /// Many requests and answers in order, pipelined.
    fn stream(
        &self,
        to: Target,
        requests: BoxStream<'static, Frame>,
    ) -> BoxFuture<'static, Result<Frames, SendError>>;
    /// A head and a large body, at the lowest importance; one answer.
    fn push(&self, to: Target, head: Frame, body: Bytes) -> BoxFuture<'static, Result<Frame, SendError>>;
    /// Connects to a peer, so that it knows that this node is there and does not wait before it calls.
    fn reach(&self, to: Target) -> BoxFuture<'static, ()>;
    /// Accepts and serves peers until closed.
    fn serve(&self, service: Arc<dyn Serve>) -> BoxFuture<'static, ()>;
    /// What is known about the links.
    fn links(&self) -> Vec<Link>;
    /// Stops accepting and sending.
    fn close(&self) -> BoxFuture<'static, ()>;
}

/// Answers frames. The sender named in each frame has been proved by the transport.
pub(crate) trait Serve: Send + Sync + 'static {
    /// One request.
    fn call(&self, request: Frame) -> BoxFuture<'static, Frame>;
    /// A pipelined stream of requests; ends when the answers end.
    fn stream(&self, requests: BoxStream<'static, Frame>) -> BoxStream<'static, Frame>;
    /// A head and its large body.
    fn push(&self, head: Frame, body: Bytes) -> BoxFuture<'static, Frame>;
    /// Size of the body that `head` announces; `None` refuses it.
    fn push_bytes(&self, head: &Frame) -> Option<u64>;
}
