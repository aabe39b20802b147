//! The watch over an HTTP/2 connection: bounds on what a peer can make us do without asking for anything.
//!
//! **Design.** h2 bounds what costs memory: streams, header lists, CONTINUATION frames of one block, streams reset before they
//! were accepted, empty and tiny DATA. It does not bound what only costs time: PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
//! RST_STREAM of accepted or forgotten streams, frames of unknown types. So the stream below it is wrapped. The wrapper walks
//! frame heads as bytes pass ([`frames`]), copies nothing and changes nothing, and charges costly frames to an
//! [`allowance`] per connection. Frames of ours are walked as well: an answer explains resets, its DATA explains window
//! updates, so a busy client is never short, whatever its rate.
//!
//! A connection that has used up an allowance is told to calm down and closed ([`farewell`]). The server above learns of it as
//! a failed read and drops every stream. The wrapper also ends peers that do not read what is written to them.

mod allowance;
mod farewell;
mod frames;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::guard::Patience;
use crate::options::Options;
use crate::sniff::{PREFACE, Replay};
use crate::work::Work;
use allowance::{Allowance, Flood};
use farewell::Farewell;
use frames::{Frames, kind};

/// An HTTP/2 stream under watch.
pub(crate) struct Watch<S> {
    stream: Replay<S>,
    incoming: Frames,
    outgoing: Frames,
    allowance: Allowance,
    work: Arc<Work>,
    writing: Patience,
    write_stall_timeout: Duration,
    end: End,
}

#[derive(Debug)]
enum End {
    /// Not in sight.
    Open,
    /// A bound was passed: nothing reaches the server or the peer any more.
    Flooded(Flood, Box<Farewell>),
    /// The server has closed the connection.
    Closing(Box<Farewell>),
}

impl<S> Watch<S> {
    pub(crate) fn new(stream: Replay<S>, options: &Options, work: Arc<Work>) -> Self {
        Self {
            stream,
            incoming: Frames::after(PREFACE.len()),
            outgoing: Frames::after(0),
            allowance: Allowance::new(&options.http2),
            work,
            writing: Patience::default(),
            write_stall_timeout: Duration::from_millis(options.write_stall_timeout_ms),
            end: End::Open,
        }
    }

    #[cold]
    fn give_up(&mut self, flood: Flood) {
        tracing::debug!(%flood, "HTTP/2 connection ended");
        self.stream.counters().note_http2_flood();
        let farewell = match self.outgoing.is_between() {
            true => Farewell::calm(self.allowance.newest_stream()),
            false => Farewell::silent(),
        };
        self.end = End::Flooded(flood, Box::new(farewell));
    }

    /// Goes over bytes that were written. The server above may wait for a read that never comes, so it is woken for the end.
    fn note_written(&mut self, cx: &Context<'_>, bytes: &[u8]) {
        let Self { outgoing, allowance, work, .. } = self;
        let mut passed = None;
        let walked: Result<(), Infallible> = outgoing.walk(bytes, |frame| {
            if frame.kind == kind::DATA {
                work.note_sent();
            }
            passed = passed.or(allowance.note_sent(frame).err());
            Ok(())
        });
        if let (Ok(()), Some(flood)) = (walked, passed) {
            self.give_up(flood);
            cx.waker().wake_by_ref();
        }
    }

    /// Fails a write that made no progress for too long, so that a peer that stops reading cannot hold a connection.
    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.clear();
            return written;
        }
        if !self.writing.is_set() {
            self.writing.set(self.write_stall_timeout);
        }
        ready!(self.writing.poll_expired(cx));
        self.stream.counters().note_write_stall();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "peer does not read")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watch<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let End::Open = this.end {
            let before = out.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, out))?;
            let Self { incoming, allowance, .. } = this;
            let fresh = out.filled().get(before..).unwrap_or_default();
            match incoming.walk(fresh, |frame| allowance.charge(frame)) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(flood) => {
                    out.set_filled(before);
                    this.give_up(flood);
                }
            }
        }
        match &mut this.end {
            End::Open | End::Closing(_) => Poll::Ready(Ok(())),
            End::Flooded(flood, farewell) => {
                ready!(farewell.poll(cx, &mut this.stream));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, *flood)))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watch<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let End::Flooded(..) = this.end {
            // Taken and forgotten: a write that waits would keep the server from asking for the end.
            return Poll::Ready(Ok(data.len()));
        }
        let written = Pin::new(&mut this.stream).poll_write(cx, data);
        let count = ready!(this.watch_write(cx, written))?;
        this.note_written(cx, data.get(..count).unwrap_or(data));
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let End::Flooded(..) = this.end {
            return Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        let count = ready!(this.watch_write(cx, written))?;
        let mut left = count;
        for part in data {
            let passed = part.get(..left).unwrap_or(part);
            this.note_written(cx, passed);
            left -= passed.len();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let End::Flooded(..) = this.end {
            return Poll::Ready(Ok(()));
        }
        // An encrypted stream takes bytes before the socket does, so its flush can wait for the peer as well.
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let End::Open = this.end {
            this.end = End::Closing(Box::new(Farewell::silent()));
        }
        match &mut this.end {
            End::Open => Poll::Ready(Ok(())),
            End::Flooded(_, farewell) | End::Closing(farewell) => farewell.poll(cx, &mut this.stream).map(Ok),
        }
    }
}
