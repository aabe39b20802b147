//! The short line: connections of plain requests, from the client's socket to the upstream's and back in one task, without the
//! HTTP server between.
//!
//! The phases and their order are those of [`crate::pipeline`]; what differs is that a request is never taken apart. Its head
//! stays in the buffer it was read into, and is copied in runs to where it has to go. A request that needs more (a template, an
//! upgrade, an oddity) is handed over with its bytes, before any phase with a memory has seen it.

mod decide;
mod errand;
mod exchange;
mod fetch;
mod recall;
mod report;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use tidegate_listener::{
    Body, Refusal,
    direct::{Direct, Handover, Input, Line, Stream},
    limits::INPUT_BYTES,
};

use crate::shard::Shard;
use decide::{Call, Decision, Ready, Site};
pub(crate) use errand::Boxes;
use errand::{Caller, Held};

/// The short line of one shard.
#[derive(Clone)]
pub(crate) struct DirectPath(Rc<Shard>);

impl DirectPath {
    pub(crate) fn new(shard: Rc<Shard>) -> Self {
        Self(shard)
    }
}

/// A client's connection while the short line serves it.
struct Talk<S> {
    shard: Rc<Shard>,
    line: Line<S>,
    input: Input,
    caller: Caller,
    /// The request at hand.
    errand: Held,
}

/// What comes out of waiting for a head.
enum Verdict {
    /// The connection has ended.
    Gone,
    /// The head did not come in time.
    Late,
    /// The general line goes on.
    Hand,
    /// The errand has an answer.
    Answer(Ready),
    /// The errand has a call to make.
    Call(Call),
    /// The pipeline has the answer.
    Fetch(Option<Box<http::Request<Body>>>),
}

/// What is being waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    Head,
    /// A head that is to be the last one, because draining has begun.
    Leave,
    Rest,
}

/// How an answer was sent.
#[derive(Clone, Copy)]
enum Pace {
    /// In one go.
    AtOnce,
    /// The client had to be waited for.
    Waited,
}

/// What comes after a request.
enum Next {
    /// The next one.
    Again,
    /// The end; the client may still be sending.
    Close,
    /// The end, at once.
    Gone,
}

impl Direct for DirectPath {
    fn serve<S: Stream>(&self, line: Line<S>) -> impl Future<Output = Option<Handover<S>>> {
        let caller = Caller::of(&line);
        let (shard, input) = (Rc::clone(&self.0), Input::default());
        // Made out here, so that the future holds it once: ten thousand idle connections hold ten thousand futures.
        let mut talk = Talk { shard, line, input, caller, errand: Held::default() };
        async move {
            loop {
                // Taken by reference: moved out, a call would have two places in the memory of every connection.
                let mut verdict = talk.verdict().await;
                let next = match &mut verdict {
                    Verdict::Gone => Next::Gone,
                    Verdict::Hand => return Some(talk.hand_over()),
                    Verdict::Late => Box::pin(talk.refuse(Refusal::Timeout)).await,
                    Verdict::Answer(ready) => talk.answer(ready).await,
                    Verdict::Call(call) => talk.exchange(call).await,
                    Verdict::Fetch(request) => match request.take() {
                        Some(request) => Box::pin(talk.fetch(*request)).await,
                        None => Next::Gone,
                    },
                };
                match next {
                    Next::Again => {}
                    Next::Close => {
                        let Talk { line, input, .. } = talk;
                        // What the client misses now, it has left itself.
                        let _ = Box::pin(line.linger(input)).await;
                        return None;
                    }
                    Next::Gone => {
                        talk.end().await;
                        return None;
                    }
                }
            }
        }
    }
}

impl<S: Stream> Talk<S> {
    /// Waits for a whole head and decides on it.
    async fn verdict(&mut self) -> Verdict {
        let mut wait = Wait::Nothing;
        poll_fn(|cx| {
            loop {
                if let Some(verdict) = self.decide() {
                    return Poll::Ready(verdict);
                }
                wait = self.time(wait);
                let desk = &self.line.desk;
                match self.input.poll_fill(&mut self.line.stream, cx, &desk.buffers) {
                    Poll::Ready(Ok(0)) => {
                        if !self.input.is_empty() {
                            desk.note_truncated();
                        }
                        return Poll::Ready(Verdict::Gone);
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Verdict::Gone),
                    Poll::Pending if self.line.alarm.has_rung() => {
                        if !self.input.is_empty() {
                            return Poll::Ready(Verdict::Late);
                        }
                        desk.note_idle_close();
                        return Poll::Ready(Verdict::Gone);
                    }
                    Poll::Pending if wait == Wait::Leave && desk.options.drain_idle_ms == 0 => {
                        return Poll::Ready(Verdict::Gone);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Decides on what has been read; `None` asks for more.
    fn decide(&mut self) -> Option<Verdict> {
        if self.input.is_empty() {
            return None;
        }
        let site = Site {
            shard: &self.shard,
            desk: &self.line.desk,
            caller: &self.caller,
            is_draining: self.line.alarm.is_draining(),
        };
        let boxes = &self.shard.errands;
        let mut errand = boxes.take();
        let verdict = match site.decide(self.input.filled(), &mut errand) {
            Decision::More => {
                boxes.give(errand);
                return None;
            }
            Decision::Hand => {
                boxes.give(errand);
                return Some(Verdict::Hand);
            }
            Decision::Answer(ready) => Verdict::Answer(ready),
            Decision::Call(call) => {
                // While the answer is awaited, the input is free for what comes next.
                self.input.consume(errand.used, &self.line.desk.buffers);
                errand.used = 0;
                Verdict::Call(call)
            }
            Decision::Fetch(request) => {
                self.input.consume(errand.used, &self.line.desk.buffers);
                errand.used = 0;
                Verdict::Fetch(Some(request))
            }
        };
        self.errand.hold(errand);
        Some(verdict)
    }

    /// Sets the bound on waiting: for a head to begin, shorter where it is to be the last one, or, once it has, for its end, however
    /// slowly it comes.
    fn time(&self, wait: Wait) -> Wait {
        let options = &self.line.desk.options;
        let (next, bound_ms) = match (self.input.is_empty(), self.line.alarm.is_draining()) {
            (true, false) => (Wait::Head, options.keep_alive_timeout_ms),
            (true, true) => (Wait::Leave, options.drain_idle_ms),
            (false, _) => (Wait::Rest, options.header_read_timeout_ms),
        };
        if wait != next {
            self.line.alarm.set(bound_ms);
        }
        next
    }

    /// Sends an answer that is known, and notes it.
    async fn answer(&mut self, ready: &mut Ready) -> Next {
        let body = std::mem::take(&mut ready.body);
        let sent = self.send(&ready.out, &body).await;
        self.line.desk.buffers.recycle(std::mem::take(&mut ready.out));
        // What is decided and sent in one go takes less time than is worth another look at the clock.
        if let (Ok(Pace::AtOnce), Some(errand)) = (&sent, self.errand.as_mut()) {
            errand.latency_us = (ready.body_bytes <= INPUT_BYTES as u64).then_some(0);
        }
        self.finish(ready.body_bytes, sent.is_ok())
    }

    /// Writes all of `head` and `body` to the client, under the bound for clients that do not read.
    async fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<Pace> {
        let (mut sent, head_bytes, mut pace) = (0, head.len(), Pace::AtOnce);
        let mut is_timed = false;
        let Line { stream, alarm, desk, .. } = &mut self.line;
        let outcome = poll_fn(|cx| {
            let waiting = loop {
                let stream = Pin::new(&mut *stream);
                let head = head.get(sent..).unwrap_or_default();
                let body = body.get(sent.saturating_sub(head_bytes)..).unwrap_or_default();
                let written = match (head.is_empty(), body.is_empty()) {
                    // An encrypted stream takes bytes before the socket does.
                    (true, true) => break stream.poll_flush(cx),
                    (false, true) => stream.poll_write(cx, head),
                    (true, false) => stream.poll_write(cx, body),
                    (false, false) => {
                        stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
                    }
                };
                match written {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => (sent, is_timed) = (sent + count, false),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break Poll::Pending,
                }
            };
            if waiting.is_pending() && !is_timed {
                alarm.set(desk.options.write_stall_timeout_ms);
                (is_timed, pace) = (true, Pace::Waited);
            }
            alarm.watch(waiting)
        })
        .await;
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            desk.note_write_stall();
        }
        outcome.map(|()| pace)
    }

    /// Notes what became of a request and makes room for the next.
    fn finish(&mut self, body_bytes: u64, is_whole: bool) -> Next {
        let Some(errand) = self.errand.as_mut() else { return Next::Gone };
        report::report(&self.shard, &self.caller, errand, self.input.filled(), body_bytes);
        let close = errand.close;
        self.input.consume(errand.used, &self.line.desk.buffers);
        self.errand.give_back(&self.shard.errands);
        match (is_whole, close) {
            (false, _) => Next::Gone,
            (true, true) => Next::Close,
            (true, false) => Next::Again,
        }
    }

    /// Says why the connection ends.
    async fn refuse(&mut self, refusal: Refusal) -> Next {
        self.line.desk.note_refusal(refusal);
        let answer = refusal.raw(std::str::from_utf8(&*self.shard.date.borrow()).ok());
        match self.send(answer.as_bytes(), &[]).await {
            Ok(_) => Next::Close,
            Err(_) => Next::Gone,
        }
    }

    fn hand_over(mut self) -> Handover<S> {
        let ahead = self.input.filled().to_vec();
        self.input.release(&self.line.desk.buffers);
        self.line.alarm.clear();
        Handover { stream: self.line.stream, ahead }
    }

    async fn end(&mut self) {
        self.input.release(&self.line.desk.buffers);
        let Line { stream, is_encrypted, .. } = &mut self.line;
        if *is_encrypted {
            // Told that this is the end, a peer need not suspect that it was cut off; it is not waited for.
            poll_fn(|cx| {
                let _ = Pin::new(&mut *stream).poll_shutdown(cx);
                Poll::Ready(())
            })
            .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    fn future_bytes<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_small() {
        async fn serve(line: Line<TcpStream>) -> Option<Handover<TcpStream>> {
            let path: Option<DirectPath> = None;
            path?.serve(line).await
        }
        let bytes = future_bytes(serve);
        assert!(bytes < 1_100, "{bytes} bytes for each idle connection");
    }
}
