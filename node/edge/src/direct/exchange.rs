//! One call: to the upstream and back to the client, both sockets driven by this task, each wait under the one alarm.
//!
//! A body that streams in both directions at once is moved in both directions at once. A client that leaves while its answer is
//! awaited ends the call.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tidegate_cache::target::Target;
use tidegate_gateway::{Rejection, write_reply_fields, write_status_line};
use tidegate_listener::{
    Refusal,
    direct::{ChunkScanner, Stream},
    limits::INPUT_BYTES,
};
use tidegate_proto::{
    field::Field,
    limits::{AHEAD_BYTES_MAX, UPLOAD_TIME_MS_MAX},
};
use tokio::time::timeout_at;

use super::{
    Next, Talk,
    decide::{Call, push_length, write_answer},
    errand::Errand,
};
use crate::{
    cache::invalidate,
    relay::{Relay, RelayFault, Span},
    respond::push_own_lines,
    shard::Shard,
    upstream::{
        Connection, Failure, Seat, Start, is_silence,
        reply::{ReplyFraming, ReplyHead},
    },
};

/// Why there is no answer to pass on.
enum Trouble {
    /// The upstream did not answer.
    Upstream(Failure),
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
    status: u16,
    keep_alive: bool,
}

impl<S: Stream> Talk<S> {
    /// Makes the call and passes the answer on. What it keeps while it waits, every connection keeps: so it keeps little, and what
    /// is rare has its memory apart.
    pub(super) async fn exchange(&mut self, call: &mut Call) -> Next {
        let (mut place, mut seat) = match self.shard.upstream.begin(&call.pool) {
            Start::Idle(connection) => (Some(connection), None),
            Start::Seat(seat) => (None, Some(seat)),
            Start::Unknown => (None, None),
        };
        loop {
            let connection = match &mut place {
                Some(connection) => connection,
                None => match Box::pin(self.connect(call, seat.take())).await {
                    Ok(connection) => place.insert(connection),
                    Err(trouble) => return Box::pin(self.give_up(call, trouble)).await,
                },
            };
            call.course.visit(&connection.seat);
            let mut outcome = self.call(call, connection).await;
            let trouble = match &mut outcome {
                Ok(arrived) => return self.pass_on(call, &mut place, arrived).await,
                Err(trouble) => trouble,
            };
            let may_try_again = self.may_try_again(call, connection, trouble);
            self.close(&mut place);
            if !may_try_again {
                let trouble = std::mem::replace(trouble, Trouble::Gone);
                return Box::pin(self.give_up(call, trouble)).await;
            }
            call.upload.rewind();
        }
    }

    /// Notes what was wrong with the target, and says whether there is another try.
    fn may_try_again(&self, call: &Call, connection: &Connection, trouble: &mut Trouble) -> bool {
        let upstream = &self.shard.upstream;
        let again = |failure: &Failure, is_repeatable| {
            upstream.try_again(&call.pool, &connection.seat, &call.course, failure, is_repeatable)
        };
        match trouble {
            Trouble::Upstream(failure) => again(failure, call.may_repeat),
            Trouble::Timeout => {
                again(&Failure::Late, false);
                false
            }
            Trouble::TooLarge | Trouble::Refused(_) | Trouble::Gone => false,
        }
    }

    /// A new connection, within the time of the whole call.
    async fn connect(&self, call: &Call, seat: Option<Seat>) -> Result<Connection, Trouble> {
        let deadline = self.arrived() + Duration::from_millis(call.timeout_ms.into());
        let connecting = self.shard.upstream.connect(&call.pool, seat, &call.course);
        match timeout_at(deadline.into(), connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(failure)) => Err(Trouble::Upstream(failure)),
            Err(_) => Err(Trouble::Timeout),
        }
    }

    /// Answers without the upstream, where there is somebody to answer.
    async fn give_up(&mut self, call: &mut Call, trouble: Trouble) -> Next {
        match trouble {
            Trouble::Upstream(failure) => self.fail(call, failure).await,
            Trouble::Timeout => self.reject(call, Rejection::IntegrationTimeout).await,
            Trouble::TooLarge => self.reject(call, Rejection::RequestTooLarge).await,
            Trouble::Refused(refusal) => {
                self.recycle(call);
                self.refuse_errand(refusal).await
            }
            Trouble::Gone => {
                self.recycle(call);
                self.finish(0, false)
            }
        }
    }

    /// When the request came.
    fn arrived(&self) -> Instant {
        self.errand.as_ref().map_or_else(Instant::now, |errand| self.shard.instant(errand.arrived_ns))
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
        let mut is_broken = false;
        let mut is_short = false;
        // Connecting may have outlived the bound that stood before.
        self.line.alarm.set(self.line.desk.options.body_stall_timeout_ms);
        poll_fn(|cx| {
            if !is_sent {
                is_sent = self.send_on(cx, call, connection, &mut is_broken)?;
                if is_sent {
                    is_short = self.await_answer(call, connection.is_reused);
                    if !(call.may_repeat && (connection.is_reused || call.pool.has_alternatives())) {
                        self.recycle(call);
                    }
                }
            }
            loop {
                let buffers = &self.line.desk.buffers;
                match connection.input.poll_fill(&mut connection.wire, cx, buffers) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0)) => {
                        let failure = connection.lost(&"it closed the connection", false);
                        return Poll::Ready(Err(Trouble::Upstream(failure)));
                    }
                    Poll::Ready(Err(error)) => {
                        let failure = connection.lost(&error, is_silence(&error));
                        return Poll::Ready(Err(Trouble::Upstream(failure)));
                    }
                    Poll::Pending if is_short && self.line.alarm.has_rung() => {
                        return Poll::Ready(Err(Trouble::Upstream(Failure::Late)));
                    }
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
                let desk = Rc::clone(&self.line.desk);
                let take = |head: &ReplyHead<'_, '_>| {
                    self.compose(head, call).ok_or_else(|| Failure::Answer("it cannot be passed on".into()))
                };
                match connection.read_head(call.is_head, &mut interims, &desk.buffers, take) {
                    Ok(Some(arrived)) => {
                        connection.seat.answered(arrived.status);
                        return Poll::Ready(Ok(arrived));
                    }
                    Ok(None) => {}
                    Err(failure) => return Poll::Ready(Err(Trouble::Upstream(failure))),
                }
            }
        })
        .await
    }

    /// Sets the bound on waiting for the answer. What connecting took is taken off, what the client's body took is not. True when it is
    /// the bound of this try alone.
    fn await_answer(&self, call: &Call, is_reused: bool) -> bool {
        let patience_ms = u64::from(call.timeout_ms);
        let upstream = &self.shard.upstream;
        let short = upstream.try_timeout_ms(&call.pool, call.timeout_ms, call.may_repeat, &call.course);
        if let Some(short_ms) = short {
            self.line.alarm.set(short_ms.into());
        } else if call.is_streaming || (is_reused && call.course.failed_tries() == 0) {
            self.line.alarm.set(patience_ms);
        } else {
            self.line.alarm.set_at(self.arrived() + Duration::from_millis(patience_ms));
        }
        short.is_some()
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
        let Self { shard, line, input, errand, .. } = self;
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
            line.alarm.set(line.desk.options.body_stall_timeout_ms);
            let spent_us = errand.as_ref().map_or(0, |errand| shard.us_since(errand.arrived_ns));
            if spent_us > UPLOAD_TIME_MS_MAX * 1_000 {
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

    /// Writes the head of the client's answer.
    fn compose(&mut self, head: &ReplyHead<'_, '_>, call: &Call) -> Option<Arrived> {
        let errand = self.errand.as_mut()?;
        errand.follow(&call.course);
        errand.integrate_us = Some(self.shard.us_since(errand.arrived_ns));
        errand.integration_status = Some(head.status);
        errand.status = head.status;
        if errand.may_invalidate {
            forget_changed(&self.shard, self.caller.scheme, errand, head);
        }
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
        let (download, status) = (Relay::new(out, span, u64::MAX), head.status);
        Some(Arrived { download, status, keep_alive: head.keep_alive })
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
        let mut looks = 0_u8;
        let outcome = poll_fn(|cx| {
            looks = looks.saturating_add(1);
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
        if let Some(errand) = self.errand.as_mut() {
            errand.close |= !is_sent;
            // Nothing was waited for since the upstream's answer, and nobody asks how long passing it on took.
            let is_at_once = looks == 1 && bytes <= INPUT_BYTES as u64;
            let has_phases = self.shard.log.as_ref().is_some_and(|log| log.format.has_phases());
            errand.latency_us = errand.integrate_us.filter(|_| is_at_once && !has_phases);
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
                let write_stall_ms = line.desk.options.write_stall_timeout_ms;
                line.alarm.set(if download.waits_for_sink() { write_stall_ms } else { timeout_ms.into() });
            } else if line.alarm.has_rung() {
                if download.waits_for_sink() {
                    line.desk.note_write_stall();
                }
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
        errand.follow(&call.course);
        errand.close |= is_left_over;
        errand.integrate_us = Some(self.shard.us_since(errand.arrived_ns));
        if rejection == Rejection::IntegrationTimeout && errand.integration_error.is_none() {
            errand.integration_error = Some(rejection.message().to_owned());
        }
        let mut out = self.line.desk.buffers.output();
        let pages = &self.shard.pages;
        let body_bytes =
            pages.with(&rejection, |page| write_answer(&self.shard, page, errand, call.is_head, &mut out));
        errand.rejection = Some(rejection);
        let sent = self.send(&out, &[]).await;
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

    fn recycle(&mut self, call: &mut Call) {
        if let Some(errand) = self.errand.as_mut() {
            errand.take_back(call.upload.take_buffer(), &self.line.desk.buffers);
        }
    }
}

/// Takes out what an exchange made invalid of the stored answers.
#[cold]
fn forget_changed(shard: &Shard, scheme: &str, errand: &Errand, head: &ReplyHead<'_, '_>) {
    let raw = errand.head(&[]);
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (authority, path) = (text(errand.host.in_head(raw)), text(errand.target(raw)));
    let (Some(view), Ok(status)) = (&errand.view, StatusCode::from_u16(head.status)) else { return };
    let named = head.fields.iter().filter(|field| {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        is("location") || is("content-location")
    });
    let line = |field: &Field<'_>| {
        Some((HeaderName::from_bytes(field.name).ok()?, HeaderValue::from_bytes(field.value).ok()?))
    };
    let response: HeaderMap = named.filter_map(line).collect();
    if let Ok(verb) = Method::from_bytes(errand.method.as_bytes()) {
        invalidate(shard, view, &verb, &Target { scheme, authority, path }, status, &response);
    }
}
