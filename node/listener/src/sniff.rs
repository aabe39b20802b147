//! Which protocol a plain connection speaks: HTTP/2 with prior knowledge begins with a fixed preface (RFC 9113 §3.4), anything
//! else is HTTP/1. With TLS this question is answered by ALPN instead.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::connection::Protocol;
use crate::counters::{Counters, Permit};

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads into `ahead` until the protocol is certain; cancelling it loses nothing, the bytes stay in `ahead`.
/// `None` means the peer ended first.
pub(crate) async fn sniff<S: AsyncRead + Unpin>(
    stream: &mut S,
    ahead: &mut BytesMut,
) -> io::Result<Option<Protocol>> {
    loop {
        let known = ahead.len().min(PREFACE.len());
        if known > 0 && ahead.get(..known) != PREFACE.get(..known) {
            return Ok(Some(Protocol::Http1));
        }
        if known == PREFACE.len() {
            return Ok(Some(Protocol::Http2));
        }
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    }
}

/// A stream whose first bytes were read before.
pub(crate) struct Replay<S> {
    ahead: BytesMut,
    stream: S,
    permit: Permit,
}

impl<S> Replay<S> {
    pub(crate) fn new(stream: S, ahead: BytesMut, permit: Permit) -> Self {
        Self { ahead, stream, permit }
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.permit.counters()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replay<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, out);
        }
        let count = self.ahead.remaining().min(out.remaining());
        out.put_slice(&self.ahead.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replay<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
