//! From the bytes of a head to what must be done, in one go: no wait, no allocation, no lock, nothing looked up by hash.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use tidegate_gateway::{
    Address, Answer, Forward, Plan, RawHead, Rejection, Sender, address, authorize, known_verb,
};
use tidegate_listener::{
    Body,
    direct::{
        ChunkScanner, Desk,
        head::{self, Fields, Framing, Head, Reading},
    },
};
use tidegate_proto::limits::{BODY_BYTES_MAX, COALESCE_BYTES_MAX};

use super::{
    errand::{Caller, Errand, Marks, Place},
    recall::{fetch, stored},
};
use crate::{
    cache::{Entry, may_invalidate},
    limiter::is_starved,
    publish::View,
    relay::{Relay, Span},
    respond::push_own_lines,
    shard::Shard,
    upstream::{Course, Pool},
};

/// What the head of a call usually needs: room for it is made once.
const CALL_BYTES: usize = 1_024;

/// What to do with the bytes at hand.
pub(super) enum Decision {
    /// Wait for more.
    More,
    /// Give the connection to the general line.
    Hand,
    /// Send what is ready.
    Answer(Ready),
    /// Call upstream.
    Call(Call),
    /// Let the pipeline answer, and stay.
    Fetch(Box<http::Request<Body>>),
}

/// An answer that needs no upstream.
pub(super) struct Ready {
    pub(super) out: Vec<u8>,
    /// What follows `out`, and is not copied.
    pub(super) body: Bytes,
    pub(super) body_bytes: u64,
}

/// A call that is ready to be sent.
pub(super) struct Call {
    pub(super) upload: Relay,
    pub(super) pool: Rc<Pool>,
    pub(super) course: Course,
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
pub(super) enum Turn {
    Hand,
    Reject(Rejection),
    Answer(u32),
    Stored(Arc<Entry>),
    Fetch,
}

impl From<Rejection> for Turn {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(rejection)
    }
}

/// A head, its address, and how much of its body is there.
pub(super) struct Sight<'b, 's> {
    pub(super) head: Head<'b, 's>,
    pub(super) address: Option<Address<'b>>,
    pub(super) marks: Marks<'b>,
    /// The body, when all of it is there.
    pub(super) body: Option<&'b [u8]>,
}

impl Site<'_> {
    /// Decides on the head at the start of `bytes` and fills `errand` in.
    pub(super) fn decide(&self, bytes: &[u8], errand: &mut Errand) -> Decision {
        let options = &self.desk.options;
        let mut fields = Fields::new();
        let head = match head::read(bytes, options.headers_max, &mut fields) {
            Reading::Complete(head) if head.raw.len() <= options.header_bytes_max => head,
            Reading::Partial if bytes.len() <= options.header_bytes_max => return Decision::More,
            Reading::Complete(_) | Reading::Partial | Reading::Other => return Decision::Hand,
        };
        let sight = Sight {
            marks: Marks::of(head.fields, head.raw),
            address: address(head.host, head.path),
            body: whole_body(&head, bytes),
            head,
        };
        if sight.marks.is_of_gateway() {
            return Decision::Hand;
        }
        let view = self.shard.view();
        self.fill_in(&sight, errand);
        let decision = match self.weigh(&sight, &view, errand) {
            Ok(call) => Decision::Call(call),
            // What is not all there yet may be more than this line can pass over.
            Err(Turn::Hand) => return Decision::Hand,
            Err(_) if sight.body.is_none() => return Decision::Hand,
            Err(Turn::Reject(rejection)) => {
                let pages = &self.shard.pages;
                let ready = pages.with(&rejection, |page| self.ready(page, &sight, errand));
                self.shard.admission.note(&rejection);
                errand.rejection = Some(rejection);
                Decision::Answer(ready)
            }
            Err(Turn::Answer(index)) => {
                let Some(answer) = view.answer(errand.route, index) else { return Decision::Hand };
                Decision::Answer(self.ready(answer, &sight, errand))
            }
            Err(Turn::Stored(entry)) => Decision::Answer(stored(self, &entry, &sight, errand)),
            Err(Turn::Fetch) => match fetch(&sight.head) {
                Some(request) => Decision::Fetch(request),
                None => return Decision::Hand,
            },
        };
        errand.view = Some(view);
        self.desk.note_request();
        decision
    }

    fn fill_in(&self, sight: &Sight<'_, '_>, errand: &mut Errand) {
        let Sight { head, marks, body, .. } = sight;
        let place = |part: &[u8]| Place::of(head.raw, part);
        errand.used = head.raw.len() + body.map_or(0, <[u8]>::len);
        errand.arrived_ns = self.shard.now_ns();
        errand.time_ms = self.shard.wall_ms(errand.arrived_ns);
        errand.identity = self.shard.identities.borrow_mut().identify(errand.time_ms);
        errand.method = known_verb(head.method);
        errand.path = place(head.path.as_bytes());
        errand.host = place(head.host);
        errand.user_agent = marks.user_agent;
        errand.trace = marks.kept_trace().map(|trace| place(trace.as_bytes()));
        errand.route = None;
        errand.known = None;
        errand.close = head.close || self.is_draining;
        errand.status = 0;
        errand.integration_status = None;
        errand.attempts = 0;
        errand.decide_us = None;
        (errand.is_hit, errand.may_invalidate) = (false, false);
        errand.integrate_us = None;
        errand.latency_us = None;
    }

    /// The phases up to the call.
    fn weigh(&self, sight: &Sight<'_, '_>, view: &View, errand: &mut Errand) -> Result<Call, Turn> {
        let method = sight.head.method;
        let routed = view.snapshot().route(sight.address, method)?;
        errand.route = Some((routed.stage_index(), routed.method_index()));
        let authorized = authorize(routed, || sight.marks.api_key())?;
        errand.known = authorized.known();
        if let Some(rule) = routed.cache_rule().filter(|rule| rule.answers(method)) {
            return Err(self.recall(sight, view, errand, authorized, rule));
        }
        errand.may_invalidate = may_invalidate(view, routed.stage_index(), method);
        let plan = routed.plan();
        let has_body = !matches!(sight.head.framing, Framing::Empty | Framing::Length(0));
        let fits = match plan {
            Plan::General => false,
            Plan::Forward { .. } => !(has_body && routed.forwards_no_body(method)) && is_bounded(&sight.head),
            Plan::Answer { .. } => sight.body.is_some() && sight.marks.is_json(),
        };
        // What waits for a grant, or says how much is left, has its memory and its lines on the general line.
        if !fits || authorized.has_limit_headers() {
            return Err(Turn::Hand);
        }
        let admitted =
            self.shard.admission.pass(authorized, errand.arrived_ns).map_err(|rejection| {
                if is_starved(&rejection) { Turn::Hand } else { Turn::Reject(rejection) }
            })?;
        match plan {
            Plan::General => Err(Turn::Hand),
            Plan::Answer { answer } => Err(Turn::Answer(answer)),
            Plan::Forward { target } => {
                let forward = admitted.forward().ok_or(Turn::Hand)?;
                let place = (routed.stage_index(), routed.method_index());
                let pool = view.pool(place, target, &self.shard.upstream).ok_or(Turn::Hand)?;
                self.call(sight, errand, &forward, pool).ok_or(Turn::Hand)
            }
        }
    }

    /// Writes the call. Nothing is given back on failure but the buffer.
    fn call(
        &self,
        sight: &Sight<'_, '_>,
        errand: &mut Errand,
        forward: &Forward<'_>,
        pool: Rc<Pool>,
    ) -> Option<Call> {
        let head = &sight.head;
        let rest = sight.address.map_or("", |address| address.rest);
        let Head { query, fields, raw, .. } = *head;
        let raw = RawHead { verb: head.method, rest, query, fields, raw };
        let verb = forward.verb(head.method);
        let is_head = verb == "HEAD";
        let small = sight.body.filter(|body| body.len() <= COALESCE_BYTES_MAX);
        let mut out = match small {
            Some([]) => std::mem::take(&mut errand.room),
            Some(_) | None => self.desk.buffers.output(),
        };
        out.reserve(CALL_BYTES);
        let Caller { address: source_ip, scheme, port } = self.caller;
        let sender = Sender { source_ip, scheme, port: *port, trace_id: errand.trace(head.raw) };
        if is_head != (head.method == "HEAD") || forward.write(&raw, &sender, &mut out).is_err() {
            errand.take_back(out, &self.desk.buffers);
            return None;
        }
        push_framing(head.framing, verb, &mut out);
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
            // The rest of the input is the body's.
            errand.used = head.raw.len();
        }
        if errand.may_invalidate || self.shard.log.as_ref().is_some_and(|log| log.format.reads_head()) {
            errand.keep(head.raw);
        }
        if self.shard.log.as_ref().is_some_and(|log| log.format.has_phases()) {
            errand.decide_us = Some(self.shard.us_since(errand.arrived_ns));
        }
        Some(Call {
            upload: Relay::new(out, span, BODY_BYTES_MAX),
            pool,
            course: Course::default(),
            timeout_ms: forward.timeout_ms(),
            may_repeat: !is_streaming && is_idempotent(verb),
            is_head,
            is_streaming,
        })
    }

    /// Writes out an answer.
    fn ready(&self, answer: &Answer, sight: &Sight<'_, '_>, errand: &mut Errand) -> Ready {
        let mut out = self.desk.buffers.output();
        let is_head = sight.head.method == "HEAD";
        let body_bytes = write_answer(self.shard, answer, errand, is_head, &mut out);
        Ready { out, body: Bytes::new(), body_bytes }
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
