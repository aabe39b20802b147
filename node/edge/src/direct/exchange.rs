//! One call: to the upstream and back to the client, both sockets driven by this task, each wait under the one alarm.
//!
//! A body that streams in both directions at once is moved in both directions at once. A client that leaves while its answer is
//! awaited ends the call.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tidegate_gateway::{Rejection, write_reply_fields, write_status_line};
use tidegate_listener::{
    Refusal,
    direct::{ChunkScanner, Stream, head},
};
use tidegate_proto::limits::{INTERIM_ANSWERS_MAX, UPLOAD_TIME_MS_MAX};

use super::{
    Next, Talk,
    decide::{Call, push_length},
};
use crate::{
    relay::{Relay, RelayFault, Span},
    respond::push_own_lines,
    upstream::{
        Connection, Failure,
        reply::{self, Reading, ReplyFraming, ReplyHead},
    },
};

/// Bytes of requests that follow which are read while an answer is awaited.
const AHEAD_BYTES_MAX: usize = 8 * 1024;

/// Why there is no answer to pass on.
enum Trouble {
    /// The upstream did not answer; says whether that may be tried again.
    Upstream { failure: Failure, is_early: bool },
    /// Time ran out.
    Timeout,
    /// The client's body is larger than allowed.
    TooLarge,
    /// The client broke the framing of its body, or stopped sending it.
    Refused(Refusal),
    /// The client is gone.
    Gone,
}

/// An answer whose head is ready to be passed on.
struct Arrived {
    download: Relay,
    keep_alive: bool,
}

impl<S: Stream> Talk<S> {
    /// Makes the call and passes the answer on. What it keeps while it waits, every connection keeps: so it keeps little.
    pub(super) async fn exchange(&mut self, call: &mut Call) -> Next {
        let mut place = self.shard.upstream.reuse(&call.shelf);
        loop {
            let connection = match &mut place {
                Some(connection) => connection,
                None => match self.shard.upstream.connect(&call.shelf).await {
                    Ok(connection) => place.insert(connection),
                    Err(failure) => return self.fail(call, failure).await,
                },
            };
            let trouble = match self.call(call, connection).await {
                Ok(mut arrived) => return self.pass_on(call, &mut place, &mut arrived).await,
                Err(trouble) => trouble,
            };
            let was_reused = connection.is_reused;
            self.close(&mut place);
            match trouble {
                Trouble::Upstream { is_early: true, .. }
                    if was_reused && call.may_repeat && self.shard.upstream.may_retry() =>
                {
                    call.upload.rewind();
                }
                Trouble::Upstream { failure, .. } => return self.fail(call, failure).await,
                Trouble::Timeout => return self.reject(call, Rejection::IntegrationTimeout).await,
                Trouble::TooLarge => return self.reject(call, Rejection::RequestTooLarge).await,
                Trouble::Refused(refusal) => {
                    self.recycle(call);
                    return self.refuse_errand(refusal).await;
                }
                Trouble::Gone => {
                    self.recycle(call);
                    return self.finish(0, false);
                }
            }
        }
    }

    fn close(&self, place: &mut Option<Connection>) {
        if let Some(connection) = place.take() {
            connection.close(&self.line.desk.buffers);
        }
    }

    /// Sends the call and waits for the head of the answer.
    async fn call(&mut self, call: &mut Call, connection: &mut Connection) -> Result<Arrived, Trouble> {
        let mut interims = 0;
        let mut is_sent = false;
        let patience = Duration::from_millis(call.timeout_ms.into());
        let arrived = self.errand.as_ref().map_or_else(Instant::now, |errand| errand.arrived);
        let mut is_broken = false;
        poll_fn(|cx| {
            if !is_sent {
                is_sent = self.send_on(cx, call, connection, &mut is_broken)?;
                if is_sent {
                    self.line
                        .alarm
                        .set_at(if call.is_streaming { Instant::now() } else { arrived } + patience);
                }
            }
            loop {
                let buffers = &self.line.desk.buffers;
                match connection.input.poll_fill(&mut connection.wire, cx, buffers) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(lost(connection, &"it closed the connection")));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(connection, &error))),
                    Poll::Pending if self.line.alarm.has_rung() => {
                        let client_is_late = !is_sent && !call.upload.waits_for_sink();
                        let late = if client_is_late {
                            Trouble::Refused(Refusal::Timeout)
                        } else {
                            Trouble::Timeout
                        };
                        return Poll::Ready(Err(late));
                    }
                    Poll::Pending if is_sent && self.is_left(cx) => return Poll::Ready(Err(Trouble::Gone)),
                    Poll::Pending => return Poll::Pending,
                }
                if let Some(arrived) = self.read_head(call, connection, &mut interims)? {
                    return Poll::Ready(Ok(arrived));
                }
            }
        })
        .await
    }

    /// Moves the call to the upstream; true once all of it is gone.
    fn send_on(
        &mut self,
        cx: &mut Context<'_>,
        call: &mut Call,
        connection: &mut Connection,
        is_broken: &mut bool,
    ) -> Result<bool, Trouble> {
        if *is_broken {
            return Ok(false);
        }
        let Self { line, input, errand, .. } = self;
        let sent = call.upload.poll(cx, &mut line.stream, input, &mut connection.wire, &line.desk.buffers);
        match sent {
            Poll::Ready(Ok(())) => return Ok(true),
            // The upstream may have said why before it closed: what it said is still read.
            Poll::Ready(Err(RelayFault::Sink(_))) => *is_broken = true,
            Poll::Ready(Err(RelayFault::TooLarge)) => {
                return Err(Trouble::TooLarge);
            }
            Poll::Ready(Err(RelayFault::Broken(_) | RelayFault::Cut)) => {
                return Err(Trouble::Refused(Refusal::BadRequest));
            }
            Poll::Ready(Err(RelayFault::Source(_))) => return Err(Trouble::Gone),
            Poll::Pending => {}
        }
        if call.upload.has_moved() || *is_broken {
            let stall = Duration::from_millis(line.desk.options.body_stall_timeout_ms);
            line.alarm.set(stall);
            let spent = errand.as_ref().map_or(Duration::ZERO, |errand| errand.arrived.elapsed());
            if spent > Duration::from_millis(UPLOAD_TIME_MS_MAX) {
                return Err(Trouble::Refused(Refusal::Timeout));
            }
        }
        Ok(false)
    }

    /// Whether the client has left. What it sends meanwhile is the next request, and waits.
    fn is_left(&mut self, cx: &mut Context<'_>) -> bool {
        while self.input.len() < AHEAD_BYTES_MAX {
            match self.input.poll_fill(&mut self.line.stream, cx, &self.line.desk.buffers) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        false
    }

    /// Reads the answer's head, if all of it is there, and writes the client's.
    fn read_head(
        &mut self,
        call: &Call,
        connection: &mut Connection,
        interims: &mut usize,
    ) -> Result<Option<Arrived>, Trouble> {
        let broken = |reason: String| Trouble::Upstream { failure: Failure::Answer(reason), is_early: false };
        loop {
            let mut slots = head::slots();
            let bytes = connection.input.filled();
            let skipped = match reply::read(bytes, call.is_head, &mut slots) {
                Ok(Reading::Complete(head)) => {
                    let used = head.raw.len();
                    let arrived =
                        self.compose(&head).ok_or_else(|| broken("it cannot be passed on".into()))?;
                    connection.input.consume(used, &self.line.desk.buffers);
                    return Ok(Some(arrived));
                }
                Ok(Reading::Partial) if bytes.len() < tidegate_listener::limits::INPUT_BYTES => {
                    return Ok(None);
                }
                Ok(Reading::Partial) => return Err(broken("its head is too large".into())),
                Ok(Reading::Interim(length)) => length,
                Err(error) => return Err(broken(error.to_string())),
            };
            *interims += 1;
            if *interims > INTERIM_ANSWERS_MAX {
                return Err(broken("it sends interim answers only".into()));
            }
            connection.input.consume(skipped, &self.line.desk.buffers);
        }
    }

    /// Writes the head of the client's answer.
    fn compose(&mut self, head: &ReplyHead<'_, '_>) -> Option<Arrived> {
        let errand = self.errand.as_mut()?;
        errand.integrate_us = u64::try_from(errand.arrived.elapsed().as_micros()).ok();
        errand.integration_status = Some(head.status);
        errand.status = head.status;
        // What has not been read of a request cannot be told from the next one.
        errand.close |= self.line.alarm.is_draining();
        let mut out = self.line.desk.buffers.output();
        write_status_line(head.status, &mut out);
        write_reply_fields(head.raw, head.fields, |name| head.is_nominated(name), &mut out).ok()?;
        push_own_lines(&self.shard.date.borrow(), &errand.identity, &mut out);
        let span = match head.framing {
            ReplyFraming::Bare(length) => {
                if let Some(length) = length {
                    push_length(length, &mut out);
                }
                Span::Length(0)
            }
            ReplyFraming::Length(length) => {
                push_length(length, &mut out);
                Span::Length(length)
            }
            ReplyFraming::Chunked | ReplyFraming::UntilClose => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                match head.framing {
                    ReplyFraming::Chunked => Span::Chunked(ChunkScanner::new()),
                    _ => Span::UntilClose,
                }
            }
        };
        if errand.close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Some(Arrived { download: Relay::new(out, span, u64::MAX), keep_alive: head.keep_alive })
    }

    /// Moves the answer to the client, and what is left of the call to the upstream.
    async fn pass_on(
        &mut self,
        call: &mut Call,
        place: &mut Option<Connection>,
        arrived: &mut Arrived,
    ) -> Next {
        let mut is_sent = !call.is_streaming;
        let mut is_broken = false;
        let outcome = poll_fn(|cx| {
            let Some(connection) = place else {
                return Poll::Ready(Err(RelayFault::Cut));
            };
            if !is_sent && !is_broken {
                match self.send_on(cx, call, connection, &mut is_broken) {
                    Ok(sent) => is_sent = sent,
                    Err(_) => is_broken = true,
                }
            }
            self.move_on(cx, call.timeout_ms, connection, &mut arrived.download)
        })
        .await;
        let bytes = arrived.download.bytes();
        self.line.desk.buffers.recycle(arrived.download.take_buffer());
        self.recycle(call);
        let may_serve_again = |connection: &Connection| arrived.keep_alive && connection.input.is_empty();
        match &outcome {
            Ok(()) if is_sent && place.as_ref().is_some_and(may_serve_again) => {
                place.take().into_iter().for_each(Connection::release);
            }
            Ok(()) => self.close(place),
            Err(fault) => {
                tracing::debug!(%fault, "response broke off");
                self.close(place);
            }
        }
        if !is_sent && let Some(errand) = self.errand.as_mut() {
            errand.close = true;
        }
        self.finish(bytes, outcome.is_ok())
    }

    /// Moves the answer as far as it goes, under the bound of the side that is waited for.
    fn move_on(
        &mut self,
        cx: &mut Context<'_>,
        timeout_ms: u32,
        connection: &mut Connection,
        download: &mut Relay,
    ) -> Poll<Result<(), RelayFault>> {
        let Self { line, .. } = self;
        let Connection { wire, input, .. } = connection;
        let outcome = download.poll(cx, wire, input, &mut line.stream, &line.desk.buffers);
        if outcome.is_pending() {
            if download.has_moved() {
                let write_stall = Duration::from_millis(line.desk.options.write_stall_timeout_ms);
                let patience = Duration::from_millis(timeout_ms.into());
                line.alarm.set(if download.waits_for_sink() { write_stall } else { patience });
            } else if line.alarm.has_rung() {
                return Poll::Ready(Err(RelayFault::Source(io::ErrorKind::TimedOut.into())));
            }
        }
        outcome
    }

    async fn fail(&mut self, call: &mut Call, failure: Failure) -> Next {
        if let Some(errand) = self.errand.as_mut() {
            errand.integration_error = Some(failure.to_string());
        }
        self.reject(call, failure.rejection()).await
    }

    /// Answers for an upstream that did not.
    async fn reject(&mut self, call: &mut Call, rejection: Rejection) -> Next {
        let is_left_over = !call.upload.is_taken_in();
        self.recycle(call);
        let Some(errand) = self.errand.as_mut() else { return Next::Gone };
        errand.close |= is_left_over;
        errand.integrate_us = u64::try_from(errand.arrived.elapsed().as_micros()).ok();
        if rejection == Rejection::IntegrationTimeout {
            errand.integration_error = Some(rejection.message().to_owned());
        }
        let (shard, desk) = (&self.shard, &self.line.desk);
        let mut out = desk.buffers.output();
        let body_bytes = shard.pages.with(&rejection, |page| {
            errand.status = page.status();
            out.extend_from_slice(page.head());
            push_own_lines(&shard.date.borrow(), &errand.identity, &mut out);
            if errand.close {
                out.extend_from_slice(b"Connection: close\r\n");
            }
            out.extend_from_slice(b"\r\n");
            let is_head = errand.method.in_head(errand.head(self.input.filled())) == b"HEAD";
            let body = if is_head { &[][..] } else { page.body() };
            out.extend_from_slice(body);
            body.len() as u64
        });
        errand.rejection = Some(rejection);
        let sent = self.send(&out).await;
        self.line.desk.buffers.recycle(out);
        self.finish(body_bytes, sent.is_ok())
    }

    /// The client's body cannot be trusted or stopped coming: says so and ends.
    async fn refuse_errand(&mut self, refusal: Refusal) -> Next {
        if let Some(errand) = self.errand.as_mut() {
            errand.status = refusal.answer().0.as_u16();
        }
        let next = self.refuse(refusal).await;
        match self.finish(0, matches!(next, Next::Close)) {
            Next::Gone => Next::Gone,
            Next::Again | Next::Close => Next::Close,
        }
    }

    fn recycle(&self, call: &mut Call) {
        self.line.desk.buffers.recycle(call.upload.take_buffer());
    }
}

/// The upstream ended the connection; early, when it had not begun to answer.
fn lost(connection: &Connection, why: &dyn std::fmt::Display) -> Trouble {
    let text = format!("{}: {why}", connection.shelf.authority);
    let is_early = connection.input.is_empty();
    let failure = if is_early { Failure::Network(text) } else { Failure::Answer(text) };
    Trouble::Upstream { failure, is_early }
}
