//! A stored answer for a request: found, fresh, not purged. Owns what it takes to serve one without a question.

use std::sync::Arc;

use tidegate_gateway::{KeyHeaders, KeyParts, Rule, StageCache};

use super::{
    Cache, Local, Store,
    entry::Entry,
    store::{Kept, is_purged},
};

/// What was found under a request's key.
#[derive(Debug)]
pub(crate) enum Hit {
    /// An answer that is served as it is.
    Fresh(Arc<Entry>),
    /// Its answers are not stored.
    Unfit,
    /// Nothing that is fresh.
    Nothing,
}

/// Where a request looks.
pub(crate) struct Place<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) local: &'a Local,
    pub(crate) store: &'a Store,
    pub(crate) stage: &'a StageCache,
    pub(crate) rule: &'a Rule,
}

/// Looks for the answer of a request.
#[inline]
pub(crate) fn find(
    place: &Place<'_>,
    parts: KeyParts<'_>,
    headers: &(impl KeyHeaders + ?Sized),
    now_ns: u64,
) -> Hit {
    let Place { cache, local, store, stage, rule } = *place;
    if !cache.is_current(rule, now_ns) {
        return Hit::Nothing;
    }
    let write = |out: &mut Vec<u8>| rule.write_key(parts, headers, out);
    let mut found = local.find(store, now_ns, write);
    if let Some(Kept::Variants(variants)) = &found {
        let names = &variants.names;
        found = local.find(store, now_ns, |out| write(out) && write_variant(names, headers, out));
    }
    match found {
        Some(Kept::Answer(entry)) if entry.is_fresh(now_ns) && survives(&entry, stage) => Hit::Fresh(entry),
        Some(Kept::Unfit(_)) => Hit::Unfit,
        Some(Kept::Answer(_) | Kept::Variants(_)) | None => Hit::Nothing,
    }
}

/// Whether no purge took the entry out; asked in full once per purge.
fn survives(entry: &Entry, stage: &StageCache) -> bool {
    if entry.survived() >= stage.sequence {
        return true;
    }
    let is_purged = is_purged(entry, &stage.purges);
    if is_purged {
        entry.let_go();
    } else {
        entry.survive(stage.sequence);
    }
    !is_purged
}

/// Appends what tells the variants of a key apart.
pub(super) fn write_variant(
    names: &[Box<str>],
    headers: &(impl KeyHeaders + ?Sized),
    out: &mut Vec<u8>,
) -> bool {
    for name in names {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut count = 0_u32;
        headers.each(name, &mut |value| {
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
            count += 1;
        });
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }
    out.len() <= tidegate_proto::limits::CACHE_KEY_BYTES_MAX
}
