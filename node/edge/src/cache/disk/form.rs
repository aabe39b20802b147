//! A stored answer as bytes, and back. Owns that it is as old when it comes back as it would be had it stayed.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tidegate_cache::range::Stored;
use tidegate_proto::stored::{StoredV1, VariantV1};

use super::{
    super::{
        entry::{Entry, Fresh},
        form::{read_headers, read_names, read_origin, read_terms, write_headers, write_origin, write_terms},
        store::Variants,
    },
    clock::Clock,
    record::HEAD_BYTES,
};

/// An answer as it was read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stored: StoredV1,
    body: Bytes,
}

/// Room for the head of a record, then the answer: how long all but the body is (4 bytes), this, the body.
pub(super) fn write(entry: &Entry, clock: &Clock) -> Option<Vec<u8>> {
    let stored = stored(entry, clock).encode().ok()?;
    let length = u32::try_from(stored.len()).ok()?;
    let mut out = Vec::with_capacity(HEAD_BYTES + 4 + stored.len() + entry.body.len() + 64);
    out.resize(HEAD_BYTES, 0);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&stored);
    out.extend_from_slice(&entry.body);
    Some(out)
}

/// Reads what [`write`] wrote. The body stays where it is.
pub(super) fn read(record: Vec<u8>) -> Option<Opened> {
    let record = Bytes::from(record);
    let (length, rest) = record.get(HEAD_BYTES..)?.split_first_chunk::<4>()?;
    let (stored, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(Opened { stored: StoredV1::decode(stored).ok()?, body: record.slice_ref(body) })
}

impl Opened {
    /// What tells the variants of its key apart, if it is one.
    pub(super) fn variants(&self, clock: &Clock) -> Option<Variants> {
        let VariantV1 { primary_bytes, birth, since_ns } = self.stored.variant?;
        let primary = self.stored.key.get(..primary_bytes as usize)?;
        let names = read_names(&self.stored.terms.vary)?;
        Some(Variants::new(primary, &names, clock.moment_ns(since_ns).0, birth))
    }

    /// The answer; `None` if it would come from the future, because the wall clock was set back.
    pub(super) fn into_entry(self, clock: &Clock, variants: Option<&Arc<Variants>>) -> Option<Entry> {
        let StoredV1 { key, variant: _, status, headers, stored_ns, stored_s, terms, origin, sequence } =
            self.stored;
        // What lies before this process began is part of the age.
        let (moment_ns, before_ns) = clock.moment_ns(stored_ns);
        if moment_ns > clock.now_ns() {
            return None;
        }
        let fresh = Fresh {
            status: StatusCode::from_u16(status).ok()?,
            headers: read_headers(headers)?,
            part: Some(Stored::whole(self.body.len() as u64)),
            body: self.body,
            stored_ns: moment_ns,
            stored_s,
            terms: read_terms(&terms, before_ns)?,
            origin: read_origin(origin),
            sequence,
        };
        let entry = Entry::new(&key, fresh);
        variants.into_iter().for_each(|variants| entry.join(variants));
        Some(entry)
    }
}

fn stored(entry: &Entry, clock: &Clock) -> StoredV1 {
    let variant = |variants: &Arc<Variants>| VariantV1 {
        primary_bytes: u32::try_from(variants.key.len()).unwrap_or(u32::MAX),
        birth: variants.birth,
        since_ns: clock.wall_ns(variants.since_ns),
    };
    StoredV1 {
        key: entry.key.to_vec(),
        variant: entry.variants().map(variant),
        status: entry.status.as_u16(),
        headers: write_headers(&entry.headers),
        stored_ns: clock.wall_ns(entry.stored_ns),
        stored_s: entry.stored_s,
        terms: write_terms(&entry.terms),
        origin: write_origin(&entry.origin),
        sequence: entry.survived(),
    }
}
