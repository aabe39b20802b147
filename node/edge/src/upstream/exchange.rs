//! The exchange of the general line: a call of headers and a body of frames goes out, headers and frames come back.
//! Both bodies may stream at the same time.

use std::{
    borrow::Cow,
    future::poll_fn,
    io::{IoSlice, Write},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tidegate_gateway::{Call, reply_headers};
use tidegate_listener::direct::{Buffers, ChunkScanner};
use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Connection, Course, Failure, Start, Upstream, is_silence,
    pool::{Kind, Pool},
    reply::{ReplyFraming, ReplyHead},
};
use crate::{
    body::{BodyFault, Sending},
    relay::Span,
};

/// The head of an upstream's answer and the body that follows.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The length that an answer without a body would have.
    pub(crate) bare_length: Option<u64>,
    pub(crate) body: ReplyBody,
}

/// What follows the head of an upstream's answer.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// All of it, because it came together with the head; its connection serves others already.
    Whole(Bytes),
    /// Apart, because most answers of this line are short.
    Stream(Box<UpstreamBody>),
}

/// A call, written out, and where it goes. It can be sent again.
#[derive(Debug)]
pub(crate) struct Wired {
    pub(crate) pool: Rc<Pool>,
    /// Request line and header lines; with [`Self::frame`] the whole head.
    pub(crate) lines: Vec<u8>,
    pub(crate) is_head: bool,
    pub(crate) is_idempotent: bool,
    /// A verb that usually has a body says so when it has none (RFC 9110 §8.6).
    pub(crate) says_empty: bool,
    pub(crate) timeout_ms: u32,
    /// The answer's headers are wanted as the client gets them, not as the upstream sent them.
    pub(crate) for_client: bool,
}

impl Wired {
    /// A call whose lines are written already.
    pub(crate) fn new(pool: Rc<Pool>, lines: Vec<u8>, verb: &str, timeout_ms: u32, for_client: bool) -> Self {
        Self {
            pool,
            lines,
            is_head: verb == "HEAD",
            is_idempotent: matches!(verb, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
            says_empty: matches!(verb, "POST" | "PUT" | "PATCH"),
            timeout_ms,
            for_client,
        }
    }

    /// Writes out a call, through a VPC link where there is one.
    pub(crate) fn of(call: &Call<'_>, link: Option<&str>, upstream: &Upstream) -> Self {
        let mut lines = Vec::with_capacity(1_024);
        let _ = write!(lines, "{} {} HTTP/1.1\r\n", call.method, call.target);
        for (name, value) in &call.headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        let kind = Kind::of(call.tls, call.tls_unverified);
        let pool = match link {
            Some(link) => upstream.link_pool(kind, &call.authority, link),
            // What is borrowed stands in the configuration.
            None => upstream.pool(kind, &call.authority, matches!(call.authority, Cow::Borrowed(_))),
        };
        Self::new(pool, lines, call.method.as_str(), call.timeout_ms, false)
    }

    /// Ends the head with the framing of the body that will follow, however often it is sent.
    pub(crate) fn frame(&mut self, body: &Sending) {
        match length_of(body) {
            Some(0) if !self.says_empty => {}
            Some(length) => _ = write!(self.lines, "content-length: {length}\r\n"),
            None => self.lines.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        self.lines.extend_from_slice(b"\r\n");
    }
}

/// The length of a body, when it is known.
fn length_of(body: &Sending) -> Option<u64> {
    if body.is_end_stream() { Some(0) } else { body.size_hint().exact() }
}

/// A call on its way out.
#[derive(Debug)]
struct Outbound {
    /// Bytes of the head that are sent.
    head_sent: usize,
    /// The lines around chunks, and what was left of a head whose answer came early.
    lines: Vec<u8>,
    sent: usize,
    data: Bytes,
    body: Option<Sending>,
    is_chunked: bool,
}

/// The body of an upstream's answer. Read to its end it gives its connection back; dropped before, it closes it.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    connection: Option<Connection>,
    outbound: Option<Outbound>,
    span: Span,
    keep_alive: bool,
    buffers: Rc<Buffers>,
    patience: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    /// What was read of it before and goes first.
    begun: Bytes,
}

impl Upstream {
    /// Sends a call and waits for the head of the answer; the first try may take a pooled connection. `course` says where it is.
    pub(crate) async fn exchange(
        &self,
        wired: &Wired,
        body: Sending,
        course: &Course,
    ) -> Result<Reply, Failure> {
        let start = if course.failed_tries() == 0 { self.begin(&wired.pool) } else { Start::Unknown };
        let mut connection = match start {
            Start::Idle(connection) => connection,
            Start::Seat(seat) => self.connect(&wired.pool, Some(seat), course).await?,
            Start::Unknown => self.connect(&wired.pool, None, course).await?,
        };
        course.visit(&connection.seat);
        let mut outbound = Some(Outbound::new(body));
        let arrived = self.await_head(&mut connection, &mut outbound, wired).await?;
        let Arrived { status, headers, framing, keep_alive } = arrived;
        connection.seat.answered(status.as_u16());
        let (span, bare_length) = match framing {
            ReplyFraming::Bare(length) => (Span::Length(0), length),
            ReplyFraming::Length(length) => (Span::Length(length), None),
            ReplyFraming::Chunked => (Span::Chunked(ChunkScanner::new()), None),
            ReplyFraming::UntilClose => (Span::UntilClose, None),
        };
        let body = match whole(&connection, &span) {
            // A call that is still being sent goes on while its answer is passed on, or its client would not be heard out.
            Some(bytes) if outbound.is_none() => {
                connection.input.consume(bytes.len(), &self.buffers);
                if keep_alive && connection.input.is_empty() {
                    connection.release();
                }
                ReplyBody::Whole(bytes)
            }
            _ => ReplyBody::Stream(Box::new(UpstreamBody {
                connection: Some(connection),
                outbound: outbound.map(|outbound| outbound.with_rest_of(&wired.lines)),
                span,
                keep_alive,
                buffers: Rc::clone(&self.buffers),
                patience: Duration::from_millis(wired.timeout_ms.into()),
                stall: None,
                begun: Bytes::new(),
            })),
        };
        Ok(Reply { status, headers, bare_length, body })
    }

    async fn await_head(
        &self,
        connection: &mut Connection,
        outbound: &mut Option<Outbound>,
        wired: &Wired,
    ) -> Result<Arrived, Failure> {
        let mut interims = 0;
        let mut broken = None;
        poll_fn(|cx| {
            if let Some(sending) = outbound {
                match sending.poll_send(cx, &mut connection.wire, &wired.lines) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => *outbound = None,
                    Poll::Ready(Err(SendFault::Body(fault))) => {
                        return Poll::Ready(Err(Failure::Body(fault)));
                    }
                    // The upstream may have said why before it closed: what it said is still read.
                    Poll::Ready(Err(SendFault::Wire(fault))) => {
                        broken = Some(fault);
                        *outbound = None;
                    }
                }
            }
            loop {
                let filled = connection.input.poll_fill(&mut connection.wire, cx, &self.buffers);
                match ready!(filled) {
                    Ok(1..) => {}
                    Ok(0) => {
                        let why = broken.as_deref().unwrap_or("closed");
                        return Poll::Ready(Err(connection.lost(&why, false)));
                    }
                    Err(error) => return Poll::Ready(Err(connection.lost(&error, is_silence(&error)))),
                }
                let take = |head: &ReplyHead<'_, '_>| structured(head, wired.for_client);
                let read = connection.read_head(wired.is_head, &mut interims, &self.buffers, take)?;
                if let Some(arrived) = read {
                    return Poll::Ready(Ok(arrived));
                }
            }
        })
        .await
    }
}

/// A body that is there from its first byte to its last.
fn whole(connection: &Connection, span: &Span) -> Option<Bytes> {
    let Span::Length(length) = span else { return None };
    connection.input.filled().get(..usize::try_from(*length).ok()?).map(Bytes::copy_from_slice)
}

/// A head in structures.
struct Arrived {
    status: StatusCode,
    headers: HeaderMap,
    framing: ReplyFraming,
    keep_alive: bool,
}

fn structured(head: &ReplyHead<'_, '_>, for_client: bool) -> Result<Arrived, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::Answer(error.to_string());
    let headers = if for_client {
        reply_headers(head.fields, |name| head.is_nominated(name)).map_err(|error| broken(&error))?
    } else {
        let mut headers = HeaderMap::with_capacity(head.fields.len() + 4);
        for field in head.fields {
            let name = HeaderName::from_bytes(field.name).map_err(|error| broken(&error))?;
            headers.append(name, HeaderValue::from_bytes(field.value).map_err(|error| broken(&error))?);
        }
        headers
    };
    let status = StatusCode::from_u16(head.status).map_err(|error| broken(&error))?;
    Ok(Arrived { status, headers, framing: head.framing, keep_alive: head.keep_alive })
}

enum SendFault {
    Wire(String),
    Body(String),
}

impl Outbound {
    fn new(body: Sending) -> Self {
        let length = length_of(&body);
        let body = (length != Some(0)).then_some(body);
        let is_chunked = length.is_none();
        Self { head_sent: 0, lines: Vec::new(), sent: 0, data: Bytes::new(), body, is_chunked }
    }

    /// Takes over what is left of the head, which will not be at hand from now on.
    fn with_rest_of(mut self, head: &[u8]) -> Self {
        if let Some(rest) = head.get(self.head_sent..).filter(|rest| !rest.is_empty()) {
            self.lines.splice(..self.sent, rest.iter().copied());
            self.sent = 0;
        }
        self.head_sent = 0;
        self
    }

    /// Ready once all of the call has been written, `head` before anything else.
    fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
        head: &[u8],
    ) -> Poll<Result<(), SendFault>> {
        loop {
            ready!(self.poll_flush(cx, wire, head)).map_err(|error| SendFault::Wire(error.to_string()))?;
            let Some(body) = &mut self.body else {
                return Pin::new(wire).poll_flush(cx).map_err(|error| SendFault::Wire(error.to_string()));
            };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => self.take(frame.into_data().unwrap_or_default()),
                Some(Err(fault)) => return Poll::Ready(Err(SendFault::Body(fault.to_string()))),
                None => {
                    self.body = None;
                    if self.is_chunked {
                        self.lines.extend_from_slice(b"0\r\n\r\n");
                    }
                }
            }
        }
    }

    fn take(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        if self.is_chunked {
            let _ = write!(self.lines, "{:x}\r\n", data.len());
        }
        self.data = data;
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
        head: &[u8],
    ) -> Poll<std::io::Result<()>> {
        loop {
            let head = head.get(self.head_sent..).unwrap_or_default();
            let lines = self.lines.get(self.sent..).unwrap_or_default();
            let wire = Pin::new(&mut *wire);
            let written = match (head.is_empty(), lines.is_empty() && self.data.is_empty()) {
                (true, true) => return Poll::Ready(Ok(())),
                (false, true) => ready!(wire.poll_write(cx, head))?,
                (_, false) => {
                    let slices = [IoSlice::new(head), IoSlice::new(lines), IoSlice::new(&self.data)];
                    ready!(wire.poll_write_vectored(cx, &slices))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(head.len());
            self.head_sent += of_head;
            let written = written - of_head;
            let of_lines = written.min(lines.len());
            self.sent += of_lines;
            if self.sent == self.lines.len() {
                (self.sent, self.lines) = (0, Vec::new());
            }
            self.data.advance(written - of_lines);
            if written > of_lines && self.data.is_empty() && self.is_chunked {
                self.lines.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl UpstreamBody {
    /// Puts what was read of it back.
    pub(crate) fn begin_with(&mut self, begun: Bytes) {
        self.begun = begun;
    }

    /// Whether its end cannot be told from a broken connection (RFC 9112 §8).
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.span, Span::UntilClose)
    }

    fn release_if_ended(&mut self) {
        if !matches!(self.span, Span::Length(0)) {
            return;
        }
        self.stall = None;
        if let Some(connection) = self.connection.take()
            && self.keep_alive
            && self.outbound.is_none()
            && connection.input.is_empty()
        {
            connection.release();
        }
    }

    /// Data that is there, or nothing when there is none yet.
    fn take_data(&mut self) -> Result<Option<Bytes>, BodyFault> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let input = &mut connection.input;
        if input.is_empty() {
            return Ok(None);
        }
        let (data, used) = match &mut self.span {
            Span::Length(left) => {
                let part = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= part as u64;
                (part, part)
            }
            Span::Chunked(scanner) => {
                let decoded = scanner.decode(input.filled_mut())?;
                if decoded.complete {
                    self.span = Span::Length(0);
                }
                (decoded.data, decoded.used)
            }
            Span::UntilClose => (input.len(), input.len()),
        };
        let data = Bytes::copy_from_slice(input.filled().get(..data).unwrap_or_default());
        input.consume(used, &self.buffers);
        self.release_if_ended();
        Ok(Some(data))
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let patience = self.patience;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + patience)));
        ready!(stall.as_mut().poll(cx));
        self.connection = None;
        Poll::Ready(BodyFault::Stalled(patience))
    }

    /// Goes on sending the call, if some of it is left; what goes wrong there shows in the answer.
    fn send_on(&mut self, cx: &mut Context<'_>) {
        if let (Some(outbound), Some(connection)) = (&mut self.outbound, &mut self.connection)
            && let Poll::Ready(sent) = outbound.poll_send(cx, &mut connection.wire, &[])
        {
            self.keep_alive &= sent.is_ok();
            self.outbound = None;
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        if !this.begun.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.begun)))));
        }
        this.send_on(cx);
        loop {
            match this.take_data() {
                Ok(Some(data)) if !data.is_empty() => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(_) => {}
                Err(fault) => {
                    this.connection = None;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            let Connection { wire, input, .. } = connection;
            match input.poll_fill(wire, cx, &this.buffers) {
                Poll::Pending => return this.poll_stall(cx).map(|fault| Some(Err(fault))),
                Poll::Ready(Ok(1..)) => this.stall = None,
                Poll::Ready(Ok(0)) if matches!(this.span, Span::UntilClose) => {
                    this.connection = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(ended) => {
                    this.connection = None;
                    let reason = ended.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Some(Err(BodyFault::Upstream(reason))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.span, Span::Length(0)) && self.begun.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.span {
            Span::Length(left) => SizeHint::with_exact(left + self.begun.len() as u64),
            Span::Chunked(_) | Span::UntilClose => SizeHint::default(),
        }
    }
}
