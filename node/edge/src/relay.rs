//! Moves one body from a connection to another: bytes that are there go on at once, and no more is read than can be sent.
//!
//! A head may go before the body; what fits is sent together with it. Bodies of known length pass as they come, others as
//! chunks. Chunk extensions and trailers end here (RFC 9110 §6.5.1 lets a gateway drop them).

use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tidegate_listener::direct::{Buffers, ChunkError, ChunkScanner, Input};
use tidegate_proto::limits::{COALESCE_BYTES_MAX, LONG_STREAM_BYTES};
use tokio::io::{AsyncRead, AsyncWrite};

/// Where a body ends on the connection it comes from.
#[derive(Debug)]
pub(crate) enum Span {
    /// After so many bytes.
    Length(u64),
    /// After its last chunk.
    Chunked(ChunkScanner),
    /// With the connection.
    UntilClose,
}

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayFault {
    #[error("reading the body: {0}")]
    Source(io::Error),
    #[error("the body ended early")]
    Cut,
    #[error(transparent)]
    Broken(#[from] ChunkError),
    #[error("the body is too large")]
    TooLarge,
    #[error("sending the body: {0}")]
    Sink(io::Error),
}

/// A head and a body on their way.
#[derive(Debug)]
pub(crate) struct Relay {
    span: Span,
    /// What goes before anything else; `sent` bytes of it are gone.
    out: Vec<u8>,
    sent: usize,
    /// Bytes of data that may still come.
    left_max: u64,
    bytes: u64,
    has_moved: bool,
    waits_for_sink: bool,
}

impl Relay {
    /// `head` goes first, then a body of at most `bytes_max` bytes.
    pub(crate) fn new(head: Vec<u8>, span: Span, bytes_max: u64) -> Self {
        let (left_max, bytes) = (bytes_max, 0);
        Self { span, out: head, sent: 0, left_max, bytes, has_moved: false, waits_for_sink: false }
    }

    /// Bytes of the body that were taken in.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether anything moved since the last call.
    pub(crate) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Whether the receiving side, and not the sending one, is being waited for.
    pub(crate) fn waits_for_sink(&self) -> bool {
        self.waits_for_sink
    }

    /// Whether all of the body was taken in, sent or not.
    pub(crate) fn is_taken_in(&self) -> bool {
        matches!(self.span, Span::Length(0))
    }

    /// Starts over; possible only while nothing but the head has to go.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The buffer of the head, to be used again; what has arrived whole stays so.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.sent = 0;
        std::mem::take(&mut self.out)
    }

    /// Ready when the end of the body has been sent.
    pub(crate) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        input: &mut Input,
        sink: &mut W,
        buffers: &Buffers,
    ) -> Poll<Result<(), RelayFault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            self.absorb(input, buffers)?;
            ready!(self.poll_send(cx, input, sink, buffers)).map_err(RelayFault::Sink)?;
            if matches!(self.span, Span::Length(0)) && self.sent == self.out.len() {
                self.waits_for_sink = true;
                return Pin::new(sink).poll_flush(cx).map_err(RelayFault::Sink);
            }
            if input.is_empty() {
                // While nothing comes, an encrypted sink gets rid of what it has taken and the socket has not.
                self.waits_for_sink = false;
                let filled = input.poll_fill_of(source, cx, buffers, self.is_long());
                if filled.is_pending()
                    && let Poll::Ready(Err(error)) = Pin::new(&mut *sink).poll_flush(cx)
                {
                    return Poll::Ready(Err(RelayFault::Sink(error)));
                }
                match ready!(filled).map_err(RelayFault::Source)? {
                    0 => self.ended()?,
                    _ => self.has_moved = true,
                }
            }
        }
    }

    /// Takes small or coded parts of the body that are there into what goes out.
    fn absorb(&mut self, input: &mut Input, buffers: &Buffers) -> Result<(), RelayFault> {
        if input.is_empty() {
            return Ok(());
        }
        let taken = match &mut self.span {
            Span::Length(left) => {
                let part = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if part == 0 || part > COALESCE_BYTES_MAX || self.sent == self.out.len() {
                    return Ok(());
                }
                self.out.extend_from_slice(input.filled().get(..part).unwrap_or_default());
                *left -= part as u64;
                self.bytes += part as u64;
                part
            }
            Span::Chunked(scanner) => {
                let decoded = scanner.decode(input.filled_mut())?;
                self.push_chunk(input.filled().get(..decoded.data).unwrap_or_default())?;
                if decoded.complete {
                    self.close();
                }
                decoded.used
            }
            Span::UntilClose => {
                self.push_chunk(input.filled())?;
                input.len()
            }
        };
        input.consume(taken, buffers);
        Ok(())
    }

    fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Input,
        sink: &mut W,
        buffers: &Buffers,
    ) -> Poll<io::Result<()>> {
        loop {
            let head = self.out.get(self.sent..).unwrap_or_default();
            let part = match &self.span {
                Span::Length(left) => input.len().min(usize::try_from(*left).unwrap_or(usize::MAX)),
                Span::Chunked(_) | Span::UntilClose => 0,
            };
            let body = input.filled().get(..part).unwrap_or_default();
            let written = match (head.is_empty(), body.is_empty()) {
                (true, true) => return Poll::Ready(Ok(())),
                (false, true) => Pin::new(&mut *sink).poll_write(cx, head),
                (true, false) => Pin::new(&mut *sink).poll_write(cx, body),
                (false, false) => {
                    Pin::new(&mut *sink).poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
                }
            };
            self.waits_for_sink = true;
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_moved = true;
            let of_head = written.min(head.len());
            let of_body = written - of_head;
            self.sent += of_head;
            if of_body > 0 {
                if let Span::Length(left) = &mut self.span {
                    *left -= of_body as u64;
                }
                self.bytes += of_body as u64;
                input.consume(of_body, buffers);
            }
            // Coded parts are made in the same buffer, one after the other; a head alone stays for a second attempt.
            if self.sent == self.out.len() && !matches!(self.span, Span::Length(_)) {
                self.out.clear();
                self.sent = 0;
            }
        }
    }

    fn push_chunk(&mut self, data: &[u8]) -> Result<(), RelayFault> {
        self.left_max = self.left_max.checked_sub(data.len() as u64).ok_or(RelayFault::TooLarge)?;
        self.bytes += data.len() as u64;
        if !data.is_empty() {
            let _ = write!(self.out, "{:x}\r\n", data.len());
            self.out.extend_from_slice(data);
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// The last chunk; from here on only what is left of the buffer has to go.
    fn close(&mut self) {
        self.out.extend_from_slice(b"0\r\n\r\n");
        self.span = Span::Length(0);
    }

    fn ended(&mut self) -> Result<(), RelayFault> {
        match self.span {
            Span::UntilClose => self.close(),
            Span::Length(_) | Span::Chunked(_) => return Err(RelayFault::Cut),
        }
        Ok(())
    }

    fn is_long(&self) -> bool {
        match self.span {
            Span::Length(left) => left > LONG_STREAM_BYTES,
            Span::Chunked(_) | Span::UntilClose => self.bytes > LONG_STREAM_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Hands out its parts one read at a time.
    struct Parts(Vec<Vec<u8>>);

    impl AsyncRead for Parts {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.0.is_empty() {
                buffer.put_slice(&self.0.remove(0));
            }
            Poll::Ready(Ok(()))
        }
    }

    /// What comes out of a body that arrives in parts, in how many writes, and what is left in the input.
    fn relayed(span: Span, parts: &[&str], bytes_max: u64) -> Result<(String, String), String> {
        let buffers = Buffers::default();
        let (mut input, mut sink) = (Input::default(), Vec::new());
        let mut source = Parts(parts.iter().map(|part| part.as_bytes().to_vec()).collect());
        let mut relay = Relay::new(b"HEAD|".to_vec(), span, bytes_max);
        let mut cx = Context::from_waker(Waker::noop());
        match relay.poll(&mut cx, &mut source, &mut input, &mut sink, &buffers) {
            Poll::Ready(Ok(())) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Ok((text(&sink), text(input.filled())))
            }
            Poll::Ready(Err(fault)) => Err(fault.to_string()),
            Poll::Pending => Err("pending".into()),
        }
    }

    #[test]
    fn bodies_arrive_whole_and_leave_what_follows() {
        let chunked = || Span::Chunked(ChunkScanner::new());
        let ok = |text: &str, rest: &str| Ok((text.to_owned(), rest.to_owned()));
        for (span, parts, expect) in [
            (Span::Length(0), &["next"][..], ok("HEAD|", "")),
            (Span::Length(3), &["abcnext"], ok("HEAD|abc", "next")),
            (Span::Length(5), &["ab", "c", "de"], ok("HEAD|abcde", "")),
            (Span::Length(5), &["ab"], Err("the body ended early".to_owned())),
            (chunked(), &["3\r\nabc\r\n0\r\n\r\nnext"], ok("HEAD|3\r\nabc\r\n0\r\n\r\n", "next")),
            (
                chunked(),
                &["3\r", "\na", "bc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n"],
                ok("HEAD|1\r\na\r\n4\r\nbcde\r\n0\r\n\r\n", ""),
            ),
            (chunked(), &["3\r\nabc"], Err("the body ended early".to_owned())),
            (chunked(), &["z\r\n"], Err("invalid chunk size".to_owned())),
            (chunked(), &["c\r\nabcdefghijkl\r\n0\r\n\r\n"], Err("the body is too large".to_owned())),
            (Span::UntilClose, &["ab", "c"], ok("HEAD|2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "")),
        ] {
            let named = format!("{span:?} {parts:?}");
            assert_eq!(relayed(span, parts, 10), expect, "{named}");
        }
    }

    #[test]
    fn a_relay_is_done_without_its_buffer_too() {
        let (buffers, mut input, mut sink) = (Buffers::default(), Input::default(), Vec::new());
        let mut source = Parts(vec![b"3\r\nabc\r\n0\r\n\r\nnext".to_vec(), b"more".to_vec()]);
        let mut relay = Relay::new(b"HEAD|".to_vec(), Span::Chunked(ChunkScanner::new()), 10);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(relay.poll(&mut cx, &mut source, &mut input, &mut sink, &buffers).is_ready());
            relay.take_buffer();
        }
        assert_eq!((input.filled(), source.0.len()), (&b"next"[..], 1), "what follows is not touched");
    }

    #[test]
    fn a_long_body_passes_in_large_pieces() {
        let body = "x".repeat(1_000_000);
        let pieces: Vec<&str> = (0..1_000_000).step_by(10_000).map(|at| &body[at..at + 10_000]).collect();
        let (text, rest) = relayed(Span::Length(1_000_000), &pieces, u64::MAX).unwrap();
        assert!(text.len() == 1_000_005 && rest.is_empty());
    }
}
