//! The end of a flooded connection: GOAWAY, close for writing, then read and forget what still comes, within bounds, because
//! closing at once would reset the connection and lose the GOAWAY.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::kind;
use crate::guard::Patience;
use crate::limits::{LINGER_BYTES_MAX, LINGER_MS};

/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u8 = 11;
/// Bytes thrown away with one read.
const THROWN_BYTES: usize = 8 * 1024;

/// The last words of a connection.
#[derive(Debug)]
pub(super) struct Farewell {
    goaway: [u8; 17],
    written: usize,
    is_shut: bool,
    thrown: usize,
    patience: Patience,
}

impl Farewell {
    /// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 §6.8); `newest` is the last stream that may have been acted on.
    pub(super) fn calm(newest: u32) -> Self {
        let [s0, s1, s2, s3] = newest.to_be_bytes();
        let goaway = [0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0, s0, s1, s2, s3, 0, 0, 0, ENHANCE_YOUR_CALM];
        Self { goaway, written: 0, ..Self::silent() }
    }

    /// Without a GOAWAY: one was sent before, or a frame of ours is cut.
    pub(super) fn silent() -> Self {
        let mut patience = Patience::default();
        patience.set(Duration::from_millis(LINGER_MS));
        Self { goaway: [0; 17], written: 17, is_shut: false, thrown: 0, patience }
    }

    /// Ready when nothing is left to do; never later than the linger time.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<()> {
        match self.poll_steps(cx, stream) {
            Poll::Pending => self.patience.poll_expired(cx),
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    fn poll_steps<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.goaway.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Ok(())),
                count => self.written += count,
            }
        }
        if !self.is_shut {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        let mut space = [MaybeUninit::uninit(); THROWN_BYTES];
        while self.thrown <= LINGER_BYTES_MAX && !self.patience.is_expired(Instant::now()) {
            let mut out = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut out))?;
            match out.filled().len() {
                0 => break,
                count => self.thrown += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}
