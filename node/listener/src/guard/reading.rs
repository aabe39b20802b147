//! The reading half of the guard: what is taken from the stream, judged, and passed on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Guard, Next, Step};
use crate::limits::{AHEAD_BYTES_MAX, READ_BYTES};
use crate::refusal::Refusal;

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads more into `ahead`; zero means the peer ended.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
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
            if read == 0 {
                return Poll::Ready(Err(self.end_inside_body()));
            }
            out.advance(read);
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
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.end_inside_body())),
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

    /// The peer stopped sending inside a body; it may still read why its request is refused.
    fn end_inside_body(&mut self) -> io::Error {
        self.is_ended = true;
        self.break_body(Refusal::BadRequest, io::ErrorKind::UnexpectedEof.into())
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
