//! One request on the short line: where its parts stand in the buffer, and what became of it.

use std::{cell::RefCell, rc::Rc};

use tidegate_gateway::{Plainness, Rejection};
use tidegate_listener::{
    direct::{Buffers, Line},
    limits::INPUT_BYTES,
};
use tidegate_proto::{
    field::{Field, Known},
    limits::{ERRAND_BOXES_MAX, ERRAND_BYTES_MAX, TRACE_BYTES_MAX},
};

use crate::{
    identity::Identity,
    publish::View,
    upstream::{Course, Shelf},
};

/// What is known about the client of a connection.
#[derive(Debug)]
pub(super) struct Caller {
    /// The peer's address as text, written once.
    pub(super) address: Box<str>,
    pub(super) port: u16,
    pub(super) scheme: &'static str,
}

impl Caller {
    pub(super) fn of<S>(line: &Line<S>) -> Self {
        Self {
            address: line.peer.ip().to_string().into(),
            port: line.local.port(),
            scheme: if line.is_encrypted { "https" } else { "http" },
        }
    }
}

/// A part of the head, by its place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    start: u16,
    end: u16,
}

impl Place {
    /// Where `part` stands in `raw`, of which it is a slice.
    pub(super) fn of(raw: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
        let end = start.wrapping_add(part.len());
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    /// The part.
    pub(super) fn in_head<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        head.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

/// One request. It is filled in where it stays: moving it about would cost more than most of what is in it.
#[derive(Default)]
pub(crate) struct Errand {
    /// Bytes of the input that are the request's, as far as they are still there.
    pub(super) used: usize,
    /// The head for the log, once the input has moved on.
    kept: Vec<u8>,
    /// Room for the head of a call. A call that waits for its answer holds these few bytes, and none of the large buffers: many
    /// that wait would push each other out of the processor's cache.
    pub(super) room: Vec<u8>,
    /// What is served to this request; there is one as long as there is a request.
    pub(super) view: Option<View>,
    /// On the clock of [`crate::shard::Shard::now_ns`].
    pub(super) arrived_ns: u64,
    pub(super) time_ms: u64,
    pub(super) identity: Identity,
    pub(super) method: &'static str,
    pub(super) path: Place,
    pub(super) host: Place,
    pub(super) user_agent: Option<Place>,
    pub(super) trace: Option<Place>,
    /// Places of the stage and the method.
    pub(super) route: Option<(usize, usize)>,
    /// The API key that let it in.
    pub(super) known: Option<tidegate_gateway::Known>,
    /// The connection ends after this request.
    pub(super) close: bool,
    pub(super) status: u16,
    pub(super) integration_status: Option<u16>,
    pub(super) integration_error: Option<String>,
    /// Where the call was tried last.
    pub(super) upstream: Option<Rc<Shelf>>,
    /// How often the call was tried.
    pub(super) attempts: u8,
    /// Whether it may make stored answers invalid; its head is then kept.
    pub(super) may_invalidate: bool,
    /// Whether a stored answer was found.
    pub(super) is_hit: bool,
    /// From arrival to the decision, where the log shows it.
    pub(super) decide_us: Option<u64>,
    /// From arrival to the upstream's answer.
    pub(super) integrate_us: Option<u64>,
    /// From arrival to the end of the answer, where that is known without another look at the clock.
    pub(super) latency_us: Option<u64>,
    pub(super) rejection: Option<Rejection>,
}

/// The lines of a head that the gateway itself reads.
#[derive(Default)]
pub(super) struct Marks<'b> {
    api_key: Option<&'b [u8]>,
    content_type: Option<&'b [u8]>,
    pub(super) user_agent: Option<Place>,
    trace: Option<&'b [u8]>,
    has_api_id: bool,
    plainness: Plainness,
}

impl<'b> Marks<'b> {
    /// Looks for them among `fields`.
    pub(super) fn of(fields: &[Field<'b>], raw: &[u8]) -> Self {
        let mut marks = Self::default();
        for field in fields {
            marks.plainness.see(field);
            match field.known {
                Known::ApiKey if marks.api_key.is_none() => marks.api_key = Some(field.value),
                Known::ContentType if marks.content_type.is_none() => {
                    marks.content_type = Some(field.value);
                }
                Known::TraceId if marks.trace.is_none() => marks.trace = Some(field.value),
                Known::ApiId => marks.has_api_id = true,
                Known::UserAgent if marks.user_agent.is_none() => {
                    marks.user_agent = Some(Place::of(raw, field.value));
                }
                _ => {}
            }
        }
        marks
    }

    /// Whether it says nothing to caches.
    pub(super) fn is_plain(&self) -> bool {
        self.plainness.is_plain()
    }

    /// The API key, if it is text.
    pub(super) fn api_key(&self) -> Option<&'b str> {
        std::str::from_utf8(self.api_key?).ok().filter(|key| key.is_ascii())
    }

    /// Whether the body, if any, would be mapped as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.content_type.is_none_or(|kind| kind == b"application/json")
    }

    /// Whether a gateway sent it, and its trace has to say that it came here.
    pub(super) fn is_of_gateway(&self) -> bool {
        self.has_api_id && self.trace.is_some()
    }

    /// The trace that the client began, if it is one.
    pub(super) fn kept_trace(&self) -> Option<&'b str> {
        let trace = std::str::from_utf8(self.trace?).ok()?;
        let is_trace = trace.len() <= TRACE_BYTES_MAX && trace.is_ascii() && trace.contains("Root=");
        is_trace.then_some(trace)
    }
}

impl Errand {
    /// Keeps the head, as the input will not.
    pub(super) fn keep(&mut self, head: &[u8]) {
        self.kept.extend_from_slice(head);
    }

    /// Notes where a call went.
    pub(super) fn follow(&mut self, course: &Course) {
        self.upstream = course.at();
        self.attempts = course.failed_tries().saturating_add(1);
    }

    /// Takes the buffer of a call that is done with it.
    pub(super) fn take_back(&mut self, mut buffer: Vec<u8>, buffers: &Buffers) {
        match buffer.capacity() {
            0 => {}
            1..INPUT_BYTES => {
                buffer.clear();
                self.room = buffer;
            }
            INPUT_BYTES.. => buffers.recycle(buffer),
        }
    }

    /// The head's bytes: kept, or still at the front of the input, or gone where nobody asks for them.
    pub(super) fn head<'h>(&'h self, input: &'h [u8]) -> &'h [u8] {
        match (self.kept.is_empty(), self.used) {
            (false, _) => &self.kept,
            (true, 0) => &[],
            (true, _) => input,
        }
    }

    /// Path and query, as they stand in the request line.
    pub(super) fn target<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        let line = head.get(usize::from(self.path.start)..).unwrap_or_default();
        line.split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    /// The trace, kept or begun here.
    pub(super) fn trace<'h>(&'h self, head: &'h [u8]) -> &'h [u8] {
        self.trace.as_ref().map_or_else(|| self.identity.root.as_bytes(), |place| place.in_head(head))
    }
}

/// The errand of a connection, in a box that is the shard's: a connection without a request holds none.
#[derive(Default)]
pub(super) struct Held(Option<Box<Errand>>);

/// Boxes that no connection needs at the moment.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "boxes go from here to connections and back; what is in them stays where it is"
)]
pub(crate) struct Boxes(RefCell<Vec<Box<Errand>>>);

impl Boxes {
    /// An errand without a request.
    pub(super) fn take(&self) -> Box<Errand> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the box of an errand that is done; what the errand held on to is let go.
    pub(super) fn give(&self, mut errand: Box<Errand>) {
        errand.view = None;
        errand.rejection = None;
        errand.integration_error = None;
        errand.upstream = None;
        for bytes in [&mut errand.kept, &mut errand.room] {
            bytes.clear();
            bytes.shrink_to(ERRAND_BYTES_MAX);
        }
        let mut boxes = self.0.borrow_mut();
        if boxes.len() < ERRAND_BOXES_MAX {
            boxes.push(errand);
        }
    }
}

impl Held {
    /// Takes an errand on.
    pub(super) fn hold(&mut self, errand: Box<Errand>) {
        self.0 = Some(errand);
    }

    pub(super) fn as_ref(&self) -> Option<&Errand> {
        self.0.as_deref()
    }

    pub(super) fn as_mut(&mut self) -> Option<&mut Errand> {
        self.0.as_deref_mut()
    }

    /// The errand is done.
    pub(super) fn give_back(&mut self, boxes: &Boxes) {
        if let Some(errand) = self.0.take() {
            boxes.give(errand);
        }
    }
}
