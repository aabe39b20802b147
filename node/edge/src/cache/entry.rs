//! A stored answer: written out once, handed out many times without a copy. Owns its form; must never decide whether it is fresh enough
//! for a request.

use std::sync::{
    Arc, OnceLock,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tidegate_cache::{range::Stored, terms::Terms};
use tidegate_gateway::write_status_line;

use super::store::Variants;

/// Bytes that an entry takes besides what is in it: itself, its place in the store and in the views of shards.
const OVERHEAD_BYTES: usize = 512;
/// Bytes that a map takes for each line besides the line.
const LINE_BYTES: usize = 96;

/// A stored answer.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whole key, the variant's part included.
    pub(crate) key: Box<[u8]>,
    pub(crate) status: StatusCode,
    /// Status line and header lines with the length, without what differs per answer and without the empty line.
    pub(crate) head: Box<[u8]>,
    /// The same lines, for protocols that write them otherwise.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When it was received, on the clock of the shards.
    pub(crate) stored_ns: u64,
    /// Until when it may be served without a question.
    pub(crate) fresh_until_ns: u64,
    /// The same in seconds since 1970, for dates.
    pub(crate) stored_s: u64,
    /// What it may be used for.
    pub(crate) terms: Terms,
    /// Whether the date of the upstream is among its lines.
    pub(crate) is_dated: bool,
    /// Which part of the whole body is here; `None` for a part of which nobody knows that, which is given as it is.
    pub(crate) part: Option<Stored>,
    /// What is known for operators.
    pub(crate) origin: Origin,
    /// What tells it from the other variants of its key, if there are any, since it is kept beside them.
    variants: OnceLock<Arc<Variants>>,
    /// The newest purge of its stage that it is known to have survived.
    survived: AtomicU64,
    /// Whether it was replaced, evicted or purged: views of shards let go of it.
    is_gone: AtomicBool,
    hits: AtomicU64,
}

/// Where an entry comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// Verb of the request.
    pub(crate) verb: Box<str>,
    /// Path of the resource, with braces.
    pub(crate) resource: Box<str>,
    /// The path after the stage, as it came.
    pub(crate) path: Box<str>,
    /// What the upstream tagged it with.
    pub(crate) tags: Box<[Box<str>]>,
}

/// An answer as it comes from the upstream, mapped for the client.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) stored_ns: u64,
    pub(crate) stored_s: u64,
    pub(crate) terms: Terms,
    /// See [`Entry::part`].
    pub(crate) part: Option<Stored>,
    pub(crate) origin: Origin,
    /// The newest purge of its stage when it was asked for.
    pub(crate) sequence: u64,
}

impl Entry {
    /// Writes an answer out.
    pub(crate) fn new(key: &[u8], fresh: Fresh) -> Self {
        let Fresh { status, mut headers, body, stored_ns, stored_s, terms, part, origin, sequence } = fresh;
        headers.remove(header::CONTENT_LENGTH);
        let is_dated = headers.contains_key(header::DATE);
        let mut head = Vec::with_capacity(256);
        write_status_line(status.as_u16(), &mut head);
        for (name, value) in &headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        if has_body(status) {
            head.extend_from_slice(b"content-length: ");
            tidegate_gateway::push_number(&mut head, body.len() as u64);
            head.extend_from_slice(b"\r\n");
        }
        Self {
            key: key.into(),
            status,
            head: head.into(),
            headers,
            body,
            stored_ns,
            fresh_until_ns: fresh_until(stored_ns, &terms, part),
            stored_s,
            terms,
            is_dated,
            part,
            origin,
            variants: OnceLock::new(),
            survived: AtomicU64::new(sequence),
            is_gone: AtomicBool::new(false),
            hits: AtomicU64::new(0),
        }
    }

    /// The same answer under another key.
    pub(crate) fn under(&self, key: &[u8]) -> Self {
        Self {
            key: key.into(),
            status: self.status,
            head: self.head.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            stored_ns: self.stored_ns,
            fresh_until_ns: self.fresh_until_ns,
            stored_s: self.stored_s,
            terms: self.terms.clone(),
            is_dated: self.is_dated,
            part: self.part,
            origin: self.origin.clone(),
            variants: OnceLock::new(),
            survived: AtomicU64::new(self.survived()),
            is_gone: AtomicBool::new(false),
            hits: AtomicU64::new(0),
        }
    }

    /// How old it is, in seconds (RFC 9111 §4.2.3).
    pub(crate) fn age_s(&self, now_ns: u64) -> u64 {
        self.terms.age_s.saturating_add(self.resident_s(now_ns))
    }

    /// For how long it has been here, in seconds.
    pub(crate) fn resident_s(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.stored_ns) / 1_000_000_000
    }

    /// Whether it may be served without a question to a request that asks for nothing else.
    pub(crate) fn is_fresh(&self, now_ns: u64) -> bool {
        now_ns < self.fresh_until_ns
    }

    /// Whether all of the body is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.part.is_some_and(|part| part.is_whole())
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn weight(&self) -> u64 {
        let lines = self.headers.len() * LINE_BYTES;
        (OVERHEAD_BYTES + self.key.len() + 2 * self.head.len() + lines + self.body.len()) as u64
    }

    /// Whether it is not in the store any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Acquire)
    }

    pub(crate) fn let_go(&self) {
        self.is_gone.store(true, Release);
    }

    /// Notes beside which variants it is kept; what was noted first stays.
    pub(crate) fn join(&self, variants: &Arc<Variants>) {
        let _is_first = self.variants.set(Arc::clone(variants));
    }

    /// What tells it from the other variants of its key.
    pub(crate) fn variants(&self) -> Option<&Arc<Variants>> {
        self.variants.get()
    }

    /// The newest purge that it is known to have survived.
    pub(crate) fn survived(&self) -> u64 {
        self.survived.load(Relaxed)
    }

    pub(crate) fn survive(&self, sequence: u64) {
        self.survived.fetch_max(sequence, Relaxed);
    }

    /// Adds answers that were made of it.
    pub(crate) fn add_hits(&self, hits: u64) {
        self.hits.fetch_add(hits, Relaxed);
    }

    /// Answers that were made of it, as far as shards have told.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }
}

/// Until when an answer may be served without a question.
fn fresh_until(stored_ns: u64, terms: &Terms, part: Option<Stored>) -> u64 {
    let is_whole = part.is_some_and(|part| part.is_whole());
    let left_s =
        if terms.validate_always || !is_whole { 0 } else { terms.lifetime_s.saturating_sub(terms.age_s) };
    stored_ns.saturating_add(left_s.saturating_mul(1_000_000_000))
}

/// Whether answers of this status have a body (RFC 9110 §6.4.1).
pub(crate) fn has_body(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
