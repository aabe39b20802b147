//! The bodies that cross the edge: what goes upstream, counted against its limit, and what comes back, with its connection.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tidegate_listener::{BodyError, direct::ChunkError};
use tidegate_proto::limits::{DISCARD_BYTES_MAX, DISCARD_TIME_MS_MAX};
use tokio::time::{Instant, timeout};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    /// The client's body is larger than allowed.
    #[error("the request body is too large")]
    TooLarge,
    /// The client left or broke its framing.
    #[error(transparent)]
    Client(#[from] BodyError),
    /// The upstream left.
    #[error(transparent)]
    Upstream(#[from] std::io::Error),
    /// The upstream broke the framing of chunks.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The upstream stopped sending.
    #[error("the upstream sent nothing for {0:?}")]
    Stalled(Duration),
}

/// The body of an upstream call.
#[derive(Debug)]
pub(crate) enum Sending {
    /// Known bytes, possibly none.
    Bytes(Option<Bytes>),
    /// The client's body.
    Stream(ClientBody),
}

/// A client's body with what it may still bring.
#[derive(Debug)]
pub(crate) struct ClientBody {
    /// Handed to the upload when the limit was passed.
    body: Option<tidegate_listener::Body>,
    left: u64,
    upload: Rc<Upload>,
}

/// What the pipeline can see of a body that is being sent upstream.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// The limit was passed; the sender sees only that sending failed.
    overrun: Cell<bool>,
    /// The client was asked for more and has not sent it yet.
    waiting: Cell<bool>,
    /// When it last sent something after it had been waited for.
    resumed: Cell<Option<Instant>>,
    /// What is left of a body that was too large.
    rest: RefCell<Option<tidegate_listener::Body>>,
}

impl Upload {
    /// Whether the body was larger than allowed.
    pub(crate) fn is_too_large(&self) -> bool {
        self.overrun.get()
    }

    /// Until when the client, and not the upstream, was being waited for; now, if it still is.
    pub(crate) fn waited_until(&self) -> Option<Instant> {
        if self.waiting.get() { Some(Instant::now()) } else { self.resumed.get() }
    }

    fn note(&self, is_pending: bool) {
        if self.waiting.replace(is_pending) && !is_pending {
            self.resumed.set(Some(Instant::now()));
        }
    }

    /// Reads and forgets some of what a client still sends of a body that is too large: closing with unread bytes resets the
    /// connection, and the client might lose the answer that tells it why.
    pub(crate) async fn discard_rest(&self) {
        let Some(rest) = self.rest.take() else { return };
        let mut rest = Limited::new(rest, DISCARD_BYTES_MAX);
        let reading = async { while rest.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        let _ = timeout(Duration::from_millis(DISCARD_TIME_MS_MAX), reading).await;
    }
}

impl ClientBody {
    /// A body of at most `bytes_max`, and a look at its upload.
    pub(crate) fn new(body: tidegate_listener::Body, bytes_max: u64) -> (Self, Rc<Upload>) {
        let upload = Rc::new(Upload::default());
        (Self { body: Some(body), left: bytes_max, upload: Rc::clone(&upload) }, upload)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = Pin::new(body).poll_frame(cx)?;
            self.upload.note(frame.is_pending());
            let Some(frame) = ready!(frame) else {
                return Poll::Ready(None);
            };
            // Trailers are hop-by-hop for this gateway: TE and Trailer never cross.
            let Ok(data) = frame.into_data() else { continue };
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.upload.overrun.set(true);
                    let rest = self.body.take();
                    self.upload.rest.replace(rest);
                    return Poll::Ready(Some(Err(BodyFault::TooLarge)));
                }
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::new, Body::size_hint)
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut *self {
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
