//! A stored answer for a request: found under its key, not purged. Must never decide whether it is fresh enough.

use std::sync::Arc;

use tidegate_cache::{lines::Lines, vary::write_secondary_key};
use tidegate_gateway::{KeyParts, Rule, StageCache};
use tidegate_proto::limits::CACHE_KEY_BYTES_MAX;

use super::{
    Cache, Local, Store,
    entry::Entry,
    store::{Kept, Variants, is_purged},
};

/// Where a request looks.
pub(crate) struct Place<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) local: &'a Local,
    pub(crate) store: &'a Store,
    pub(crate) stage: &'a StageCache,
    pub(crate) rule: &'a Rule,
}

/// What was found under a request's key.
#[derive(Debug)]
pub(crate) enum Found {
    /// An answer, fresh or not.
    Answer(Arc<Entry>),
    /// Its answers are not stored.
    Unfit,
    /// There is an answer per variant, and none for the request's.
    Variants(Arc<Variants>),
    Nothing,
}

/// Looks for the answer of a request.
#[inline]
pub(crate) fn find(
    place: &Place<'_>,
    parts: KeyParts<'_>,
    headers: &(impl Lines + ?Sized),
    now_ns: u64,
) -> Found {
    let Place { cache, local, store, stage, rule } = *place;
    if !cache.is_current(rule, now_ns) {
        return Found::Nothing;
    }
    let write = |out: &mut Vec<u8>| rule.write_key(parts, headers, out);
    let mut found = local.find(store, now_ns, write);
    let mut nothing = Found::Nothing;
    if let Some(Kept::Variants(variants)) = found {
        let names = &variants.names;
        let variant = local.find(store, now_ns, |out| {
            let is_written = write(out);
            write_secondary_key(names, headers, out);
            is_written && out.len() <= CACHE_KEY_BYTES_MAX
        });
        found = variant.filter(|kept| kept.is_since(variants.since_ns));
        nothing = Found::Variants(variants);
    }
    match found {
        Some(Kept::Answer(entry)) if survives(&entry, stage) => Found::Answer(entry),
        Some(Kept::Unfit(_)) => Found::Unfit,
        Some(Kept::Answer(_) | Kept::Variants(_)) | None => nothing,
    }
}

/// Whether no purge took the entry out; asked in full once per purge.
pub(super) fn survives(entry: &Entry, stage: &StageCache) -> bool {
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
