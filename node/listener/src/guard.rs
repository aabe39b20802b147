//! The gate between an accepted HTTP/1 stream and the HTTP server: no byte of a request passes before its head was judged.
//!
//! **Design.** hyper repairs some ambiguous framings in silence (it drops Content-Length when chunked is present), and once it
//! has done so the original bytes are gone. So the stream is wrapped: the guard collects a complete head, lets
//! [`head::inspect`](crate::head::inspect) judge the raw bytes, and only then hands them on *unchanged*. It counts the body
//! itself (length, or a strict chunk scanner), so it knows where the next head begins, and it lets exactly one request into
//! the server at a time: the next head is not even judged before the previous answer is complete. A pipelined or smuggled
//! request therefore always meets the same rules as the first.
//!
//! **Refusals** keep their place in the order of answers: the refused head is replaced by a fixed, harmless head that asks to
//! close, and the [`Turn`] tells the dispatcher to answer it with the refusal instead of calling the handler. After that the
//! guard reads nothing more. If guard and server ever disagree, the dispatcher finds no release waiting and answers 400.
//!
//! The guard also owns every time bound of the connection (head, idle, stalled body, stalled write) and the lingering close.

mod chunked;
mod patience;
mod turn;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant};

use crate::counters::{Counters, Permit};
use crate::head::{self, Framing, HeadError, HeadVerdict};
use crate::limits::{AHEAD_BYTES_MAX, LINGER_BYTES_MAX, LINGER_MS, READ_BYTES};
use crate::refusal::Refusal;
use chunked::ChunkScanner;
use patience::Patience;
pub(crate) use turn::{Next, Release, Turn};

/// The head a refused one is replaced by.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Its twin for HEAD, whose answer has no body.
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The bounds a guard enforces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) header_bytes_max: usize,
    pub(crate) headers_max: usize,
    pub(crate) header_read_timeout: Duration,
    pub(crate) keep_alive_timeout: Duration,
    pub(crate) body_stall_timeout: Duration,
    pub(crate) write_stall_timeout: Duration,
}

#[derive(Debug)]
enum Step {
    /// Collecting a head; `scanned` bytes are known to hold no end, one empty line may be skipped before it.
    Head { scanned: usize, may_skip: bool },
    /// Passing this many body bytes.
    Length(u64),
    /// Passing a chunked body.
    Chunked(ChunkScanner),
    /// The request is complete; its answer is not.
    Waiting,
    /// After a switch of protocol.
    Raw,
    /// After a refusal or a broken body: nothing more is read for the server.
    Shut,
}

/// An HTTP/1 stream under guard.
pub(crate) struct Guard<S> {
    stream: S,
    rules: Rules,
    turn: Arc<Turn>,
    step: Step,
    /// Read from the stream, not yet judged.
    ahead: BytesMut,
    /// Judged, not yet taken by the server.
    ready: Bytes,
    is_ended: bool,
    is_first: bool,
    reading: Patience,
    writing: Patience,
    linger: Option<(Patience, usize)>,
    permit: Permit,
}

impl<S> Guard<S> {
    /// Guards `stream`, of which `ahead` has been read already.
    pub(crate) fn new(stream: S, ahead: BytesMut, rules: Rules, turn: Arc<Turn>, permit: Permit) -> Self {
        let mut reading = Patience::default();
        reading.set(rules.header_read_timeout);
        Self {
            stream,
            rules,
            turn,
            step: Step::Head { scanned: 0, may_skip: true },
            ahead,
            ready: Bytes::new(),
            is_ended: false,
            is_first: true,
            reading,
            writing: Patience::default(),
            linger: None,
            permit,
        }
    }

    fn counters(&self) -> &Counters {
        self.permit.counters()
    }

    /// Replaces the head at hand by one that is answered with `refusal`.
    fn refuse(&mut self, refusal: Refusal) {
        self.counters().note_refusal(refusal);
        self.turn.release(Release::Refused(refusal));
        let is_head = self.ahead.starts_with(b"HEAD ");
        self.ready = Bytes::from_static(if is_head { STAND_IN_HEAD } else { STAND_IN });
        self.ahead.clear();
        self.step = Step::Shut;
    }

    /// Ends a body that cannot be trusted: the server sees a failed read, the client gets `refusal` if no answer has begun.
    fn break_body(&mut self, refusal: Refusal, reason: io::Error) -> io::Error {
        self.counters().note_refusal(refusal);
        self.turn.fault(refusal);
        self.ahead.clear();
        self.step = Step::Shut;
        reason
    }

    /// Judges what has been collected; `true` when something became ready or was refused.
    fn judge(&mut self, scanned: usize, mut may_skip: bool) -> bool {
        if may_skip && self.ahead.starts_with(b"\r\n") {
            // One empty line before a request line is old clients' habit (RFC 9112 §2.2); it is not forwarded.
            self.ahead.advance(2);
            may_skip = false;
        }
        if !begins_like_a_head(&self.ahead, may_skip) {
            self.refuse(HeadError::RequestLine.into());
            return true;
        }
        let Some(length) = end_of_head(&self.ahead, scanned) else {
            if self.ahead.len() > self.rules.header_bytes_max {
                self.refuse(Refusal::HeaderTooLarge);
                return true;
            }
            self.step = Step::Head { scanned: self.ahead.len().saturating_sub(3), may_skip };
            return false;
        };
        if length > self.rules.header_bytes_max {
            self.refuse(Refusal::HeaderTooLarge);
            return true;
        }
        let verdict = match self.ahead.get(..length) {
            Some(head) => head::inspect(head, self.rules.headers_max),
            None => Err(HeadError::RequestLine),
        };
        match verdict {
            Ok(verdict) => self.accept(length, verdict),
            Err(error) => {
                tracing::debug!(%error, "request head refused");
                self.refuse(error.into());
            }
        }
        true
    }

    fn accept(&mut self, length: usize, verdict: HeadVerdict) {
        self.ready = self.ahead.split_to(length).freeze();
        self.step = match verdict.framing {
            Framing::Empty | Framing::Length(0) => Step::Waiting,
            Framing::Length(bytes) => Step::Length(bytes),
            Framing::Chunked => Step::Chunked(ChunkScanner::new()),
        };
        self.reading.set(self.rules.body_stall_timeout);
        self.is_first = false;
        self.counters().note_request();
        self.turn.release(Release::Accepted(verdict));
    }

    /// Begins to wait for the next head: idle until its first byte, hurried from then on.
    fn next_head(&mut self) {
        self.step = Step::Head { scanned: 0, may_skip: true };
        let bound = if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
            self.rules.keep_alive_timeout
        } else {
            self.rules.header_read_timeout
        };
        self.reading.set(bound);
    }

    /// A request may be half sent or unread: closing at once would reset the connection and lose the answer.
    fn must_linger(&self) -> bool {
        let is_inside = matches!(self.step, Step::Length(_) | Step::Chunked(_) | Step::Shut);
        !self.is_ended && (is_inside || !self.ahead.is_empty())
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads more into `ahead`; zero means the peer ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_ended {
            return Poll::Ready(Ok(0));
        }
        let mut chunk = [0u8; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let filled = buffer.filled();
        self.ahead.extend_from_slice(filled);
        self.is_ended = filled.is_empty();
        Poll::Ready(Ok(filled.len()))
    }

    /// Collects and judges a head. `false` means the connection ends here.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let Step::Head { scanned, may_skip } = self.step else { return Poll::Ready(Ok(true)) };
            if !self.ahead.is_empty() && self.judge(scanned, may_skip) {
                return Poll::Ready(Ok(true));
            }
            let was_idle = self.ahead.is_empty();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    if !was_idle {
                        self.counters().note_truncated();
                    }
                    return Poll::Ready(Ok(false));
                }
                Poll::Ready(Ok(_)) => {
                    if was_idle && !self.is_first {
                        self.reading.set(self.rules.header_read_timeout);
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.reading.poll_expired(cx));
                    if was_idle {
                        self.counters().note_idle_close();
                        return Poll::Ready(Ok(false));
                    }
                    self.refuse(Refusal::Timeout);
                    return Poll::Ready(Ok(true));
                }
            }
        }
    }

    /// Passes body bytes of a known length, straight from the stream where nothing was read ahead.
    fn poll_length(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
        left: u64,
    ) -> Poll<io::Result<()>> {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(out.remaining());
        let passed = if self.ahead.is_empty() {
            let mut part = ReadBuf::new(out.initialize_unfilled_to(room));
            let outcome = Pin::new(&mut self.stream).poll_read(cx, &mut part);
            let read = part.filled().len();
            match outcome {
                Poll::Pending => return self.poll_stalled(cx),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            out.advance(read);
            self.is_ended = read == 0;
            read
        } else {
            let count = room.min(self.ahead.len());
            out.put_slice(&self.ahead.split_to(count));
            count
        };
        let left = left.saturating_sub(passed as u64);
        self.step = if left == 0 { Step::Waiting } else { Step::Length(left) };
        self.reading.set(self.rules.body_stall_timeout);
        Poll::Ready(Ok(()))
    }

    /// Passes on as much of a chunked body as has been read and found sound.
    fn poll_chunked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ahead.is_empty() {
            match self.poll_fill(cx) {
                Poll::Pending => return self.poll_stalled(cx).map_ok(|()| false),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => self.reading.set(self.rules.body_stall_timeout),
            }
        }
        let Step::Chunked(scanner) = &mut self.step else { return Poll::Ready(Ok(true)) };
        match scanner.scan(&self.ahead) {
            Ok(scanned) => {
                self.ready = self.ahead.split_to(scanned.used).freeze();
                if scanned.complete {
                    self.step = Step::Waiting;
                }
                Poll::Ready(Ok(true))
            }
            Err(error) => {
                let reason = io::Error::new(io::ErrorKind::InvalidData, error);
                Poll::Ready(Err(self.break_body(Refusal::BadRequest, reason)))
            }
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.reading.poll_expired(cx));
        let reason = io::Error::new(io::ErrorKind::TimedOut, "request body stalled");
        Poll::Ready(Err(self.break_body(Refusal::Timeout, reason)))
    }

    /// Waits for the answer, reading ahead only to notice that the peer has gone. `false` means it has.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if let Poll::Ready(next) = self.turn.poll_next(cx) {
                match next {
                    Next::Head => self.next_head(),
                    Next::Raw => self.step = Step::Raw,
                }
                return Poll::Ready(Ok(true));
            }
            if self.is_ended || self.ahead.len() >= AHEAD_BYTES_MAX {
                return if self.is_ended && self.ahead.is_empty() {
                    Poll::Ready(Ok(false))
                } else {
                    Poll::Pending
                };
            }
            ready!(self.poll_fill(cx))?;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.ready.has_remaining() {
                let count = this.ready.remaining().min(out.remaining());
                out.put_slice(&this.ready.split_to(count));
                return Poll::Ready(Ok(()));
            }
            let goes_on = match &this.step {
                Step::Head { .. } => ready!(this.poll_head(cx))?,
                Step::Length(left) => {
                    let left = *left;
                    return this.poll_length(cx, out, left);
                }
                Step::Chunked(_) => ready!(this.poll_chunked(cx))?,
                Step::Waiting => ready!(this.poll_waiting(cx))?,
                Step::Raw if this.ahead.is_empty() => return Pin::new(&mut this.stream).poll_read(cx, out),
                Step::Raw => {
                    this.ready = this.ahead.split().freeze();
                    true
                }
                Step::Shut => return Poll::Pending,
            };
            if !goes_on {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(cx, data);
        this.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        this.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.must_linger() {
                return Poll::Ready(Ok(()));
            }
            let mut patience = Patience::default();
            patience.set(Duration::from_millis(LINGER_MS));
            this.linger = Some((patience, 0));
        }
        loop {
            this.ahead.clear();
            let read = this.poll_fill(cx);
            let Some((patience, thrown)) = &mut this.linger else { return Poll::Ready(Ok(())) };
            match read {
                Poll::Pending => return patience.poll_expired(cx).map(Ok),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(count)) => *thrown += count,
            }
            if *thrown > LINGER_BYTES_MAX || patience.is_expired(Instant::now()) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S> Guard<S> {
    /// Fails a write that made no progress for too long, so that a peer that stops reading cannot hold a connection.
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        if !self.writing.is_set() {
            self.writing.set(self.rules.write_stall_timeout);
        }
        ready!(self.writing.poll_expired(cx));
        self.counters().note_write_stall();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "peer does not read")))
    }
}

/// False as soon as the first byte cannot begin a method, so that a TLS hello on a plain port is not waited out.
fn begins_like_a_head(bytes: &[u8], may_skip: bool) -> bool {
    match bytes {
        [] => true,
        [b'\r'] => may_skip,
        [first, ..] => head::is_token(*first),
    }
}

/// Where the head in `bytes` ends, counting the empty line; a bare LF ends a line here too, so that it is judged, not awaited.
fn end_of_head(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut from = scanned;
    while let Some(offset) = bytes.get(from..)?.iter().position(|&byte| byte == b'\n') {
        let after = from + offset + 1;
        match bytes.get(after..) {
            Some([b'\n', ..]) => return Some(after + 1),
            Some([b'\r', b'\n', ..]) => return Some(after + 2),
            _ => from = after,
        }
    }
    None
}
