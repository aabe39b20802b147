//! From the bytes of a head to what must be done, in one go: no wait, no allocation, no lock, nothing looked up by hash.

use std::{rc::Rc, time::Instant};

use tidegate_gateway::{
    Address, Answer, Forward, Plan, RawHead, Rejection, Sender, address, authorize, throttle,
};
use tidegate_listener::direct::{
    ChunkScanner, Desk,
    head::{self, Framing, Head, Reading},
};
use tidegate_proto::limits::{BODY_BYTES_MAX, COALESCE_BYTES_MAX};

use super::errand::{Caller, Errand, Marks, Place};
use crate::{
    relay::{Relay, Span},
    respond::push_own_lines,
    shard::Shard,
    upstream::Shelf,
};

/// What to do with the bytes at hand.
pub(super) enum Decision {
    /// Wait for more.
    More,
    /// Give the connection to the general line.
    Hand,
    /// Send what is known.
    Answer(Errand, Known),
    /// Call upstream.
    Call(Errand, Call),
}

/// An answer that needs no upstream.
pub(super) struct Known {
    pub(super) out: Vec<u8>,
    pub(super) body_bytes: u64,
}

/// A call that is ready to be sent.
pub(super) struct Call {
    pub(super) upload: Relay,
    pub(super) shelf: Rc<Shelf>,
    pub(super) timeout_ms: u32,
    /// The same bytes can be sent again without anybody noticing.
    pub(super) may_repeat: bool,
    pub(super) is_head: bool,
    /// The client's body is still arriving.
    pub(super) is_streaming: bool,
}

/// Where a decision is made.
pub(super) struct Site<'a> {
    pub(super) shard: &'a Shard,
    pub(super) desk: &'a Desk,
    pub(super) caller: &'a Caller,
    pub(super) is_draining: bool,
}

/// Why a request is not served by a call.
enum Turn {
    Hand,
    Reject(Rejection),
    Answer(u32),
}

impl From<Rejection> for Turn {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(rejection)
    }
}

/// A head, its address, and how much of its body is there.
struct Sight<'b, 's> {
    head: Head<'b, 's>,
    address: Option<Address<'b>>,
    marks: Marks<'b>,
    /// The body, when all of it is there.
    body: Option<&'b [u8]>,
}

impl Site<'_> {
    /// Decides on the head at the start of `bytes`.
    pub(super) fn decide(&self, bytes: &[u8]) -> Decision {
        let options = &self.desk.options;
        let mut slots = head::slots();
        let head = match head::read(bytes, options.headers_max, &mut slots) {
            Reading::Complete(head) if head.raw.len() <= options.header_bytes_max => head,
            Reading::Partial if bytes.len() <= options.header_bytes_max => return Decision::More,
            Reading::Complete(_) | Reading::Partial | Reading::Other => return Decision::Hand,
        };
        let sight = Sight {
            address: address(head.host, head.path),
            marks: Marks::of(&head),
            body: whole_body(&head, bytes),
            head,
        };
        let mut errand = self.errand(&sight);
        match self.weigh(&sight, &mut errand) {
            Ok(call) => {
                self.desk.note_request();
                Decision::Call(errand, call)
            }
            // What is not all there yet may be more than this line can pass over.
            Err(Turn::Hand) => Decision::Hand,
            Err(_) if sight.body.is_none() => Decision::Hand,
            Err(Turn::Reject(rejection)) => {
                let known = self.shard.pages.with(&rejection, |page| self.known(page, &sight, &mut errand));
                errand.rejection = Some(rejection);
                self.desk.note_request();
                Decision::Answer(errand, known)
            }
            Err(Turn::Answer(index)) => {
                let view = errand.view.clone();
                let Some(answer) = view.answer(errand.route, index) else { return Decision::Hand };
                let known = self.known(answer, &sight, &mut errand);
                self.desk.note_request();
                Decision::Answer(errand, known)
            }
        }
    }

    fn errand(&self, sight: &Sight<'_, '_>) -> Errand {
        let Sight { head, marks, body, .. } = sight;
        let arrived = Instant::now();
        let time_ms = self.shard.wall_ms(arrived);
        let place = |part: &[u8]| Place::of(head.raw, part);
        Errand {
            used: head.raw.len() + body.map_or(0, <[u8]>::len),
            kept: Vec::new(),
            view: self.shard.view(),
            arrived,
            time_ms,
            identity: self.shard.identities.borrow_mut().identify(time_ms),
            method: place(head.method.as_bytes()),
            path: place(head.path.as_bytes()),
            host: place(head.host.as_bytes()),
            user_agent: marks.user_agent,
            trace: marks.kept_trace().map(|trace| place(trace.as_bytes())),
            route: None,
            close: head.close || self.is_draining,
            status: 0,
            integration_status: None,
            integration_error: None,
            decide_us: None,
            integrate_us: None,
            rejection: None,
        }
    }

    /// The phases up to the call.
    fn weigh(&self, sight: &Sight<'_, '_>, errand: &mut Errand) -> Result<Call, Turn> {
        let view = errand.view.clone();
        let method = sight.head.method;
        let routed = view.snapshot().route(sight.address, method)?;
        errand.route = Some((routed.stage_index(), routed.method_index()));
        let authorized = authorize(routed, &self.shard.keys, sight.marks.api_key)?;
        let plan = routed.plan();
        let has_body = !matches!(sight.head.framing, Framing::Empty | Framing::Length(0));
        let fits = match plan {
            Plan::General => false,
            Plan::Forward { .. } => !(has_body && routed.forwards_no_body(method)) && is_bounded(&sight.head),
            Plan::Answer { .. } => sight.body.is_some() && sight.marks.is_json(),
        };
        if !fits {
            return Err(Turn::Hand);
        }
        let now_ns = self.shard.monotonic_ns(errand.arrived);
        let admitted = throttle(authorized, self.shard.ceiling.as_deref(), now_ns)?;
        match plan {
            Plan::General => Err(Turn::Hand),
            Plan::Answer { answer } => Err(Turn::Answer(answer)),
            Plan::Forward { target } => {
                let forward = admitted.forward().ok_or(Turn::Hand)?;
                let shelf =
                    view.shelf(routed.stage_index(), target, &self.shard.upstream).ok_or(Turn::Hand)?;
                self.call(sight, errand, &forward, shelf).ok_or(Turn::Hand)
            }
        }
    }

    /// Writes the call. Nothing is given back on failure but the buffer.
    fn call(
        &self,
        sight: &Sight<'_, '_>,
        errand: &mut Errand,
        forward: &Forward<'_>,
        shelf: Rc<Shelf>,
    ) -> Option<Call> {
        let head = &sight.head;
        let rest = sight.address.map_or("", |address| address.rest);
        let raw = RawHead { verb: head.method, rest, query: head.query, fields: head.fields, raw: head.raw };
        let verb = forward.verb(head.method);
        let is_head = verb == "HEAD";
        let mut out = self.desk.buffers.output();
        let Caller { address: source_ip, scheme, port } = self.caller;
        let sender = Sender { source_ip, scheme, port: *port, trace_id: errand.trace(head.raw) };
        if is_head != (head.method == "HEAD") || forward.write(&raw, &sender, &mut out).is_err() {
            self.desk.buffers.recycle(out);
            return None;
        }
        push_framing(head.framing, verb, &mut out);
        let small = sight.body.filter(|body| body.len() <= COALESCE_BYTES_MAX);
        let span = match (small, head.framing) {
            (Some(body), _) => {
                out.extend_from_slice(body);
                Span::Length(0)
            }
            (None, Framing::Chunked) => Span::Chunked(ChunkScanner::new()),
            (None, Framing::Length(length)) => Span::Length(length),
            (None, Framing::Empty) => Span::Length(0),
        };
        let is_streaming = small.is_none();
        if is_streaming {
            // The input belongs to the body from here on.
            errand.kept = self.desk.buffers.output();
            errand.kept.extend_from_slice(head.raw);
            errand.used = head.raw.len();
        }
        errand.decide_us = u64::try_from(errand.arrived.elapsed().as_micros()).ok();
        Some(Call {
            upload: Relay::new(out, span, BODY_BYTES_MAX),
            shelf,
            timeout_ms: forward.timeout_ms(),
            may_repeat: !is_streaming && is_idempotent(verb),
            is_head,
            is_streaming,
        })
    }

    /// Writes out an answer.
    fn known(&self, answer: &Answer, sight: &Sight<'_, '_>, errand: &mut Errand) -> Known {
        let mut out = self.desk.buffers.output();
        let is_head = sight.head.method == "HEAD";
        let body_bytes = write_answer(self.shard, answer, errand, is_head, &mut out);
        Known { out, body_bytes }
    }
}

/// Writes an answer that is known, and returns the bytes of its body.
pub(super) fn write_answer(
    shard: &Shard,
    answer: &Answer,
    errand: &mut Errand,
    is_head: bool,
    out: &mut Vec<u8>,
) -> u64 {
    errand.status = answer.status();
    out.extend_from_slice(answer.head());
    push_own_lines(&shard.date.borrow(), &errand.identity, out);
    if errand.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let body = if is_head { &[][..] } else { answer.body() };
    out.extend_from_slice(body);
    body.len() as u64
}

/// The body, if all of it has been read: empty for a request without one.
fn whole_body<'b>(head: &Head<'_, '_>, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let start = head.raw.len();
    match head.framing {
        Framing::Empty => Some(&[]),
        Framing::Length(length) => bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?),
        Framing::Chunked => None,
    }
}

/// A body that announces more than is allowed is refused by the general line.
fn is_bounded(head: &Head<'_, '_>) -> bool {
    match head.framing {
        Framing::Length(length) => length <= BODY_BYTES_MAX,
        Framing::Empty | Framing::Chunked => true,
    }
}

fn is_idempotent(verb: &str) -> bool {
    matches!(verb, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

/// How the body of the call ends, and the end of its head. A verb that usually has a body says so when it has none
/// (RFC 9110 §8.6).
fn push_framing(framing: Framing, verb: &str, out: &mut Vec<u8>) {
    match framing {
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if length > 0 => push_length(length, out),
        Framing::Empty | Framing::Length(_) => {
            if matches!(verb, "POST" | "PUT" | "PATCH") {
                push_length(0, out);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A Content-Length line.
pub(super) fn push_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    tidegate_gateway::push_number(out, length);
    out.extend_from_slice(b"\r\n");
}
