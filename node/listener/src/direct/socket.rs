//! A connected socket whose writes, and reads into memory that is in use already, are bare system calls. The C library's are cancellation points: each marks its
//! thread before and after, which nobody here needs and which costs more than the rest of the wrapper.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    io::writev,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// A TCP connection.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Socket {
    /// The connection of `stream`.
    pub fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Whether nothing has come and the peer has not closed, as far as the runtime has been told; the system is not asked.
    pub fn is_quiet(&self) -> bool {
        self.0.try_io(Interest::READABLE, || Ok(())).is_err()
    }

    /// Writes once of `length` bytes, when there is room for any.
    fn poll_push(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        push: impl Fn(&TcpStream) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Self(stream) = self;
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let mut written = None;
            let outcome = stream.try_io(Interest::WRITABLE, || {
                let count = push(stream)?;
                written = Some(count);
                // What it did not take at once, it has no room for.
                if 0 < count && count < length { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (written, outcome) {
                (Some(count), _) => return Poll::Ready(Ok(count)),
                (None, Err(error)) if is_transient(&error) => {}
                (None, outcome) => return Poll::Ready(outcome.map(|()| 0)),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(stream) = self.get_mut();
        // The HTTP server brings fresh memory for each read; clearing all of it first would cost more than a bare call saves.
        if buffer.initialized().len() < buffer.capacity() {
            return Pin::new(stream).poll_read(cx, buffer);
        }
        let room = buffer.initialize_unfilled();
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let mut read = None;
            let outcome = stream.try_io(Interest::READABLE, || {
                let count = recv(&*stream, &mut *room, RecvFlags::empty())?.0;
                read = Some(count);
                // A short read has emptied the socket: the runtime is told to wait for more, and no call has to find out.
                if 0 < count && count < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (read, outcome) {
                (Some(count), _) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if is_transient(&error) => {}
                (None, outcome) => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_push(cx, data.len(), |stream| send(stream, data, SendFlags::NOSIGNAL))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A signal for a peer that is gone is ignored by every Rust program, as for the standard library's own writes.
        self.poll_push(cx, data.iter().map(|part| part.len()).sum(), |stream| writev(stream, data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(near), listener.accept().await.unwrap().0)
    }

    /// One look, as a task takes it that has more to do.
    fn poll_read(socket: &mut Socket, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        let outcome = Pin::new(socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        outcome.map_ok(|()| buffer.filled().len())
    }

    #[tokio::test]
    async fn what_is_sent_arrives_in_both_directions_and_ends() {
        let (mut near, far) = pair().await;
        let sent: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut from_far, mut to_far) = far.into_split();
        let echo = tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_far).await.unwrap() });
        let (mut reader, mut writer) = tokio::io::split(&mut near);
        let write = async {
            let (front, back) = sent.split_at(1_000_001);
            writer.write_all(front).await.unwrap();
            let mut at = 0;
            while at < back.len() {
                let parts = back[at..].split_at((back.len() - at) / 2);
                let parts = [IoSlice::new(parts.0), IoSlice::new(parts.1)];
                at += writer.write_vectored(&parts).await.unwrap();
            }
            writer.shutdown().await.unwrap();
        };
        let mut arrived = Vec::new();
        let read = async { reader.read_to_end(&mut arrived).await.unwrap() };
        tokio::join!(write, read);
        assert!(arrived == sent, "{} of {} bytes", arrived.len(), sent.len());
        assert_eq!(echo.await.unwrap(), sent.len() as u64);
    }

    #[tokio::test]
    async fn a_short_read_is_the_last_until_more_comes() {
        let (mut near, mut far) = pair().await;
        let mut room = [0; 8];
        assert!(near.is_quiet() && poll_read(&mut near, &mut room).is_pending());
        far.write_all(b"abc").await.unwrap();
        assert_eq!(near.read(&mut room).await.unwrap(), 3);
        assert!(near.is_quiet() && poll_read(&mut near, &mut room).is_pending());
        far.write_all(b"0123456789").await.unwrap();
        assert_eq!(near.read(&mut room).await.unwrap(), 8);
        assert!(!near.is_quiet(), "a full read may have left something");
        assert_eq!(near.read(&mut room).await.unwrap(), 2);
        drop(far);
        assert_eq!(near.read(&mut room).await.unwrap(), 0, "the end is seen after a short read, too");
        assert!(!near.is_quiet());
    }

    #[tokio::test]
    async fn a_broken_connection_is_an_error() {
        let (mut near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(near.write_all(b"x").await.is_err());
    }
}
