//! The writing half of the guard: it passes everything, ends peers that do not read, and closes without destroying the last
//! answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant};

use super::Guard;
use super::patience::Patience;
use crate::limits::{LINGER_BYTES_MAX, LINGER_MS};

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
        let this = &mut *self;
        // An encrypted stream takes bytes before the socket does, so its flush can wait for the peer as well.
        let flushed = Pin::new(&mut this.stream).poll_flush(cx).map_ok(|()| 0);
        this.watch_write(cx, flushed).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(cx).map_ok(|()| 0);
            ready!(this.watch_write(cx, shut))?;
            if !this.must_linger() && !matches!(this.poll_fill(cx), Poll::Ready(Ok(1..))) {
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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use tokio::io::{AsyncWriteExt, ReadBuf};

    use super::*;
    use crate::counters::Counters;
    use crate::guard::{Rules, Turn};
    use crate::options::Options;

    /// Takes bytes, and never gets rid of them.
    struct Stuck;

    impl AsyncRead for Stuck {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_stream_that_cannot_pass_on_what_it_took_is_a_stalled_write() {
        let counters = Arc::new(Counters::default());
        let permit = counters.admit(&Options::default(), IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let long = Duration::from_secs(60);
        let rules = Rules {
            header_bytes_max: 1_024,
            headers_max: 16,
            header_read_timeout: long,
            keep_alive_timeout: long,
            body_stall_timeout: long,
            write_stall_timeout: Duration::from_millis(20),
        };
        let mut guard = Guard::new(Stuck, BytesMut::new(), rules, Arc::new(Turn::default()), permit);
        guard.write_all(b"answer").await.unwrap();
        assert_eq!(guard.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        guard.write_all(b"more").await.unwrap();
        assert_eq!(guard.shutdown().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(counters.values().write_stalls, 2);
    }
}
