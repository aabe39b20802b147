//! The two bodies of the listener: what the handler reads and what it answers with. They hide the server behind them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use thiserror::Error;

use crate::guard::{Next, Turn};
use crate::work::Work;

/// A request body that ended badly: the peer left, stalled or broke the framing. The connection is closed after the answer.
#[derive(Debug, Error)]
#[error("request body: {0}")]
pub struct BodyError(#[from] hyper::Error);

/// The body of a request, read from the connection as it is polled. Unbounded: the reader sets the limit.
#[derive(Debug)]
pub struct Body(Option<Incoming>);

impl Body {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self(Some(incoming))
    }

    /// The body of a request that has none.
    pub fn empty() -> Self {
        Self(None)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Some(incoming) => Pin::new(incoming).poll_frame(cx).map_err(BodyError),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// One request from arrival to the end of its answer; dropping it ends the request.
#[derive(Debug)]
pub(crate) struct Ticket {
    work: Arc<Work>,
    turn: Option<Arc<Turn>>,
    is_held: bool,
}

impl Ticket {
    pub(crate) fn new(work: Arc<Work>, turn: Option<Arc<Turn>>) -> Self {
        work.begin();
        Self { work, turn, is_held: false }
    }

    /// Notes that the server has a piece of the answer and has not asked for the next one.
    fn hold(&mut self) {
        self.is_held = true;
        self.work.hold();
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.is_held) {
            self.work.resume();
        }
    }

    pub(crate) fn turn(&self) -> Option<&Turn> {
        self.turn.as_deref()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.resume();
        self.work.end();
        if let Some(turn) = &self.turn {
            turn.answered(Next::Head);
        }
    }
}

pin_project! {
    #[project = SourceProject]
    pub(crate) enum Source<B> {
        Own { bytes: Option<Bytes> },
        Handler { #[pin] body: B },
    }
}

pin_project! {
    /// An answer on its way out: the handler's body or the listener's own text.
    pub(crate) struct Reply<B> {
        #[pin]
        source: Source<B>,
        ticket: Ticket,
    }
}

impl<B> Reply<B> {
    pub(crate) fn own(bytes: Bytes, ticket: Ticket) -> Self {
        Self { source: Source::Own { bytes: Some(bytes) }, ticket }
    }

    pub(crate) fn handler(body: B, ticket: Ticket) -> Self {
        Self { source: Source::Handler { body }, ticket }
    }
}

impl<B> HttpBody for Reply<B>
where
    B: HttpBody<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.ticket.resume();
        let frame = match this.source.project() {
            SourceProject::Own { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            SourceProject::Handler { body } => body.poll_frame(cx),
        };
        if let Poll::Ready(Some(Ok(_))) = &frame {
            this.ticket.hold();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own { bytes } => bytes.is_none(),
            Source::Handler { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Handler { body } => body.size_hint(),
        }
    }
}
