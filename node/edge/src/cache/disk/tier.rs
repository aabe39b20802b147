//! The answers of one stage on disk, as its store sees them. Owns which answers are worth a place, and that an answer that comes back
//! late does not replace what came meanwhile.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tidegate_proto::limits::{CACHE_DISK_LEFT_MS_MIN, CACHE_DISK_WRITE_BYTES_MAX};
use tokio::{sync::oneshot, time::timeout};

use super::{
    super::{
        entry::Entry,
        store::{Kept, Variants},
    },
    Disk, Shared,
    form::Opened,
    index::{Location, Place},
    keys::Name,
    reader::Reading,
    writer::{Job, Writing},
};

/// The part of a stage.
#[derive(Clone, Debug)]
pub(crate) struct Tier {
    disk: Arc<Disk>,
    scope: u64,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Option<Arc<Entry>>,
    /// What tells the variants of its key apart, where that was not known.
    pub(crate) variants: Option<Arc<Variants>>,
    /// What it was found by.
    trace: Vec<(Name, Location)>,
}

impl Tier {
    pub(super) fn new(disk: Arc<Disk>, scope: u64) -> Self {
        Self { disk, scope }
    }

    /// Has an answer that leaves the memory written, if it is worth it. Called while the memory is locked: whoever replaces the answer
    /// afterwards finds it waiting.
    pub(crate) fn offer(&self, entry: &Arc<Entry>) {
        let shared = &self.disk.shared;
        if entry.hits() == 0 {
            return;
        }
        let Some(writing) = self.writing(entry, shared.clock.now_ns()) else { return };
        let bytes = entry.weight();
        if shared.waiting_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes) > CACHE_DISK_WRITE_BYTES_MAX {
            shared.note_taken(entry);
            shared.counters.dropped.increment();
            return;
        }
        writing.wait(shared);
        // Seen after it was noted: whoever makes the variants invalid says so first, and then forgets them.
        let is_gone = entry.variants().is_some_and(|variants| variants.is_gone());
        if is_gone || self.disk.writer.try_send(Job::Write(writing.clone())).is_err() {
            writing.abandon(shared);
            shared.note_taken(entry);
            shared.counters.dropped.increment();
        }
    }

    /// An answer as it is written; `None` if it is not worth it, or is there already.
    pub(super) fn writing(&self, entry: &Arc<Entry>, now_ns: u64) -> Option<Writing> {
        let shared = &self.disk.shared;
        let is_gone = entry.is_gone() || entry.variants().is_some_and(|variants| variants.is_gone());
        let until_ns = now_ns.saturating_add(CACHE_DISK_LEFT_MS_MIN * 1_000_000);
        if is_gone || !entry.is_whole() || entry.fresh_until_ns <= until_ns {
            return None;
        }
        let name = self.name(entry);
        let is_there = match shared.index.find(name) {
            Some(Place::At(location)) => !location.is_example && shared.shelf.is_young(location.segment),
            Some(Place::Waiting(_) | Place::Gone) | None => false,
        };
        if is_there {
            return None;
        }
        let stem = entry.variants().map(|variants| shared.keys.name(&variants.key));
        let token = shared.tokens.fetch_add(1, Relaxed);
        Some(Writing { name, stem, scope: self.scope, token, entry: Arc::clone(entry) })
    }

    /// What is on disk of something that is kept anew, or not any more, is not valid.
    pub(crate) fn forget(&self, kept: &Kept) {
        match kept {
            Kept::Answer(entry) => self.forget_name(self.name(entry)),
            Kept::Variants(_) | Kept::Unfit(_) => self.forget_key(kept.key()),
        }
    }

    /// The same of all that is under a key, with its variants.
    pub(crate) fn forget_key(&self, key: &[u8]) {
        self.forget_name(self.disk.shared.keys.name(key));
    }

    fn forget_name(&self, name: Name) {
        if self.disk.shared.index.forget(name) {
            self.disk.shared.mark(name, &self.disk.writer);
        }
    }

    fn name(&self, entry: &Entry) -> Name {
        let keys = &self.disk.shared.keys;
        match entry.variants() {
            Some(variants) => keys.variant(&entry.key, variants.birth),
            None => keys.name(&entry.key),
        }
    }

    /// Looks for the answer under a key, or for that of the variant whose key `variant` names; `known` are the variants that memory knows.
    pub(crate) async fn find(
        &self,
        primary: &[u8],
        known: Option<Arc<Variants>>,
        variant: impl Fn(&Variants) -> Option<Vec<u8>>,
    ) -> Option<Found> {
        let Shared { counters, patience, .. } = &*self.disk.shared;
        let Ok(found) = timeout(*patience, self.look(primary, known, variant)).await else {
            counters.late.increment();
            return None;
        };
        found.inspect(|found| {
            if found.entry.is_some() {
                counters.hits.increment();
            }
        })
    }

    async fn look(
        &self,
        primary: &[u8],
        known: Option<Arc<Variants>>,
        variant: impl Fn(&Variants) -> Option<Vec<u8>>,
    ) -> Option<Found> {
        let Shared { index, keys, clock, .. } = &*self.disk.shared;
        if let Some(variants) = known {
            let wanted = variant(&variants)?;
            let name = keys.variant(&wanted, variants.birth);
            let location = index.location(name)?;
            let opened = self.read(name, location).await?;
            let entry = Some(self.entry(opened, &wanted, Some(&variants))?);
            return Some(Found { entry, variants: None, trace: vec![(name, location)] });
        }
        let name = keys.name(primary);
        let location = index.location(name)?;
        let mut trace = vec![(name, location)];
        let opened = self.read(name, location).await?;
        if !location.is_example {
            let entry = Some(self.entry(opened, primary, None)?);
            return Some(Found { entry, variants: None, trace });
        }
        let variants = Arc::new(opened.variants(clock).filter(|variants| *variants.key == *primary)?);
        let own = variant(&variants).and_then(|wanted| {
            let name = keys.variant(&wanted, variants.birth);
            Some((wanted, name, index.location(name)?))
        });
        let Some((wanted, name, own)) = own else {
            return Some(Found { entry: None, variants: Some(variants), trace });
        };
        trace.push((name, own));
        let is_it = (own.segment, own.offset) == (location.segment, location.offset);
        let opened = if is_it { Some(opened) } else { self.read(name, own).await };
        let entry = opened.and_then(|opened| self.entry(opened, &wanted, Some(&variants)));
        Some(Found { entry, variants: Some(variants), trace })
    }

    /// Whether nothing was forgotten meanwhile of what an answer was found by.
    pub(crate) fn holds(&self, found: &Found) -> bool {
        let index = &self.disk.shared.index;
        found.trace.iter().all(|(name, location)| index.location(*name) == Some(*location))
    }

    /// The answer, if it is that of the key.
    fn entry(&self, opened: Opened, key: &[u8], variants: Option<&Arc<Variants>>) -> Option<Arc<Entry>> {
        if opened.stored.key != key || opened.stored.variant.is_some() != variants.is_some() {
            return None;
        }
        Some(Arc::new(opened.into_entry(&self.disk.shared.clock, variants)?))
    }

    async fn read(&self, name: Name, location: Location) -> Option<Opened> {
        let (told, seen) = oneshot::channel();
        let readers = &self.disk.readers;
        let reader = readers.get((name.0 % readers.len().max(1) as u64) as usize)?;
        if reader.try_send(Reading { name, location, told }).is_err() {
            self.disk.shared.counters.late.increment();
            return None;
        }
        seen.await.ok().flatten()
    }
}
