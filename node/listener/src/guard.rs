//! The gate between an accepted HTTP/1 stream and the HTTP server: no byte of a request passes before its head was judged.
//!
//! **Design.** hyper repairs some ambiguous framings in silence (it drops Content-Length when chunked is present), and once it
//! has done so the original bytes are gone. So the stream is wrapped: the guard collects a complete head, lets
//! [`head::inspect`](crate::head::inspect) judge the raw bytes, and only then hands them on *unchanged*. It counts the body
//! itself (length, or a strict chunk scanner), so it knows where the next head begins, and it lets exactly one request into
//! the server at a time: the next head is not even judged before the previous answer is complete. A pipelined or smuggled
//! request therefore always meets the same rules as the first.
//!
//! **Refusals** keep their place in the order of answers: the refused head is replaced by a fixed, harmless head that asks to
//! close, and the [`Turn`] tells the dispatcher to answer it with the refusal instead of calling the handler. After that the
//! guard reads nothing more. If guard and server ever disagree, the dispatcher finds no release waiting and answers 400.
//!
//! The guard also owns every time bound of the connection (head, idle, stalled body, stalled write) and the lingering close.

mod chunked;
mod patience;
mod reading;
mod turn;
mod writing;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::counters::{Counters, Permit};
use crate::head::{self, Framing, HeadError, HeadVerdict};
use crate::refusal::Refusal;
pub use chunked::{ChunkError, ChunkScanner, Decoded};
pub(crate) use patience::Patience;
pub(crate) use turn::{Next, Release, Turn};

/// The head a refused one is replaced by.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Its twin for HEAD, whose answer has no body.
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// The bounds a guard enforces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) header_bytes_max: usize,
    pub(crate) headers_max: usize,
    pub(crate) header_read_timeout: Duration,
    pub(crate) keep_alive_timeout: Duration,
    pub(crate) body_stall_timeout: Duration,
    pub(crate) write_stall_timeout: Duration,
}

#[derive(Debug)]
enum Step {
    /// Collecting a head; `scanned` bytes are known to hold no end, one empty line may be skipped before it.
    Head { scanned: usize, may_skip: bool },
    /// Passing this many body bytes.
    Length(u64),
    /// Passing a chunked body.
    Chunked(ChunkScanner),
    /// The request is complete; its answer is not.
    Waiting,
    /// After a switch of protocol.
    Raw,
    /// After a refusal or a broken body: nothing more is read for the server.
    Shut,
}

/// An HTTP/1 stream under guard.
pub(crate) struct Guard<S> {
    stream: S,
    rules: Rules,
    turn: Arc<Turn>,
    step: Step,
    /// Read from the stream, not yet judged.
    ahead: BytesMut,
    /// Judged, not yet taken by the server.
    ready: Bytes,
    is_ended: bool,
    is_first: bool,
    reading: Patience,
    writing: Patience,
    linger: Option<(Patience, usize)>,
    permit: Permit,
}

impl<S> Guard<S> {
    /// Guards `stream`, of which `ahead` has been read already.
    pub(crate) fn new(stream: S, ahead: BytesMut, rules: Rules, turn: Arc<Turn>, permit: Permit) -> Self {
        let mut reading = Patience::default();
        reading.set(rules.header_read_timeout);
        Self {
            stream,
            rules,
            turn,
            step: Step::Head { scanned: 0, may_skip: true },
            ahead,
            ready: Bytes::new(),
            is_ended: false,
            is_first: true,
            reading,
            writing: Patience::default(),
            linger: None,
            permit,
        }
    }

    fn counters(&self) -> &Counters {
        self.permit.counters()
    }

    /// Replaces the head at hand by one that is answered with `refusal`.
    fn refuse(&mut self, refusal: Refusal) {
        self.counters().note_refusal(refusal);
        self.turn.release(Release::Refused(refusal));
        let is_head = self.ahead.starts_with(b"HEAD ");
        self.ready = Bytes::from_static(if is_head { STAND_IN_HEAD } else { STAND_IN });
        self.ahead.clear();
        self.step = Step::Shut;
    }

    /// Ends a body that cannot be trusted: the server sees a failed read, the client gets `refusal` if no answer has begun.
    fn break_body(&mut self, refusal: Refusal, reason: io::Error) -> io::Error {
        self.counters().note_refusal(refusal);
        self.turn.fault(refusal);
        self.ahead.clear();
        self.step = Step::Shut;
        reason
    }

    /// Judges what has been collected; `true` when something became ready or was refused.
    fn judge(&mut self, scanned: usize, mut may_skip: bool) -> bool {
        if may_skip && self.ahead.starts_with(b"\r\n") {
            // One empty line before a request line is old clients' habit (RFC 9112 §2.2); it is not forwarded.
            self.ahead.advance(2);
            may_skip = false;
        }
        if !begins_like_a_head(&self.ahead, may_skip) {
            self.refuse(HeadError::RequestLine.into());
            return true;
        }
        let Some(length) = end_of_head(&self.ahead, scanned) else {
            if self.ahead.len() > self.rules.header_bytes_max {
                self.refuse(Refusal::HeaderTooLarge);
                return true;
            }
            self.step = Step::Head { scanned: self.ahead.len().saturating_sub(3), may_skip };
            return false;
        };
        if length > self.rules.header_bytes_max {
            self.refuse(Refusal::HeaderTooLarge);
            return true;
        }
        let verdict = match self.ahead.get(..length) {
            Some(head) => head::inspect(head, self.rules.headers_max),
            None => Err(HeadError::RequestLine),
        };
        match verdict {
            Ok(verdict) => self.accept(length, verdict),
            Err(error) => {
                tracing::debug!(%error, "request head refused");
                self.refuse(error.into());
            }
        }
        true
    }

    fn accept(&mut self, length: usize, verdict: HeadVerdict) {
        self.ready = self.ahead.split_to(length).freeze();
        self.step = match verdict.framing {
            Framing::Empty | Framing::Length(0) => Step::Waiting,
            Framing::Length(bytes) => Step::Length(bytes),
            Framing::Chunked => Step::Chunked(ChunkScanner::new()),
        };
        self.reading.set(self.rules.body_stall_timeout);
        self.is_first = false;
        self.counters().note_request();
        self.turn.release(Release::Accepted(verdict));
    }

    /// Begins to wait for the next head: idle until its first byte, hurried from then on.
    fn next_head(&mut self) {
        self.step = Step::Head { scanned: 0, may_skip: true };
        let bound = if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
            self.rules.keep_alive_timeout
        } else {
            self.rules.header_read_timeout
        };
        self.reading.set(bound);
    }

    /// A request may be half sent or unread: closing at once would reset the connection and lose the answer.
    fn must_linger(&self) -> bool {
        let is_inside = matches!(self.step, Step::Length(_) | Step::Chunked(_) | Step::Shut);
        !self.is_ended && (is_inside || !self.ahead.is_empty())
    }
}

/// False as soon as the first byte cannot begin a method, so that a TLS hello on a plain port is not waited out.
fn begins_like_a_head(bytes: &[u8], may_skip: bool) -> bool {
    match bytes {
        [] => true,
        [b'\r'] => may_skip,
        [first, ..] => head::is_token(*first),
    }
}

/// Where the head in `bytes` ends, counting the empty line; a bare LF ends a line here too, so that it is judged, not awaited.
pub(crate) fn end_of_head(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut from = scanned;
    while let Some(offset) = bytes.get(from..)?.iter().position(|&byte| byte == b'\n') {
        let after = from + offset + 1;
        match bytes.get(after..) {
            Some([b'\n', ..]) => return Some(after + 1),
            Some([b'\r', b'\n', ..]) => return Some(after + 2),
            _ => from = after,
        }
    }
    None
}
