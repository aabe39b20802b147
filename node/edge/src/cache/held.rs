//! What is stored on this node, as an operator sees it. Owns what is told of an answer and in which order; must never be asked on a
//! request's way, because it looks at everything.

use std::{
    cmp::Reverse,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use http::HeaderMap;
use tidegate_cache::reuse::ttl_s;
use tidegate_gateway::{Address, KeyParts, StageCache};
use tidegate_proto::{
    limits::{CACHE_REPORT_BYTES_MAX, CACHE_TOP_COUNT_MAX},
    peer::{CacheEntryV1, CacheHeldV1, CacheLookV1, CacheStageV1, CacheTopV1},
};
use tidegate_telemetry::metrics::{CacheCounts, RouteTable};

use super::{Entry, Store, store::is_purged};
use crate::publish::Published;

/// The verb whose answers are looked for.
const VERB: &str = "GET";

/// A stage that caches, and what is stored of it.
struct Shelf<'p> {
    api: &'p str,
    stage: &'p str,
    cache: &'p StageCache,
    store: &'p Store,
}

/// All stages that the question is about, and the most used answers of them together.
pub(crate) fn top(
    published: &Published,
    routes: &RouteTable,
    question: &CacheTopV1,
    now_ns: u64,
) -> CacheHeldV1 {
    let is_asked_for = |shelf: &Shelf<'_>| {
        (question.api.is_empty() || question.api == shelf.api)
            && (question.stage.is_empty() || question.stage == shelf.stage)
    };
    let shelves: Vec<Shelf<'_>> = shelves(published).filter(is_asked_for).collect();
    let summaries = routes.summaries();
    let counts = |shelf: &Shelf<'_>| {
        let own =
            summaries.iter().filter(|one| one.labels.api == shelf.api && one.labels.stage == shelf.stage);
        own.fold(CacheCounts::default(), |sum, one| add(sum, one.cache))
    };
    let stages = shelves.iter().map(|shelf| shelf.figures(counts(shelf))).collect();
    let stored = shelves.iter().flat_map(|shelf| shelf.entries().map(move |entry| (shelf, entry)));
    let count = usize::try_from(question.count).unwrap_or(usize::MAX).min(CACHE_TOP_COUNT_MAX);
    CacheHeldV1 { stages, entries: tell(stored.collect(), count, now_ns) }
}

/// The stored answers to GET of a path, whatever tells them apart besides a query that is asked for.
pub(crate) fn look(published: &Published, question: &CacheLookV1, now_ns: u64) -> Vec<CacheEntryV1> {
    let CacheLookV1 { api, stage, path, query } = question;
    let Some(shelf) = shelves(published).find(|shelf| shelf.api == api && shelf.stage == stage) else {
        return Vec::new();
    };
    let mut start = Vec::new();
    if !query.is_empty() {
        let address = Address { api: api.as_bytes(), stage, rest: path, by_host: false };
        let routed = published.snapshot().route(Some(address), VERB).ok();
        let Some(rule) = routed.and_then(|routed| routed.cache_rule()) else { return Vec::new() };
        // What Vary tells apart comes behind it in a key.
        if !rule.write_key(KeyParts { rest: path, query: Some(query) }, &HeaderMap::new(), &mut start) {
            return Vec::new();
        }
    }
    let is_asked_for = |entry: &Arc<Entry>| {
        *entry.origin.verb == *VERB && *entry.origin.path == **path && entry.key.starts_with(&start)
    };
    let stored = shelf.entries().filter(is_asked_for).map(|entry| (&shelf, entry));
    tell(stored.collect(), CACHE_TOP_COUNT_MAX, now_ns)
}

fn shelves(published: &Published) -> impl Iterator<Item = Shelf<'_>> {
    let snapshot = published.snapshot();
    snapshot.stages().iter().enumerate().filter_map(|(place, table)| {
        let (cache, store) = (snapshot.caches().stage(place)?, published.store(place)?);
        Some(Shelf { api: table.api(), stage: table.name(), cache, store })
    })
}

impl Shelf<'_> {
    fn entries(&self) -> impl Iterator<Item = Arc<Entry>> {
        self.store.entries().into_iter().filter(|entry| {
            let is_older = entry.survived() < self.cache.sequence;
            !(entry.is_gone() || is_older && is_purged(entry, &self.cache.purges))
        })
    }

    fn figures(&self, counts: CacheCounts) -> CacheStageV1 {
        let CacheCounts { hits, misses, stale, coalesced, bypassed } = counts;
        CacheStageV1 {
            api: self.api.to_owned(),
            stage: self.stage.to_owned(),
            entries: self.store.len() as u64,
            bytes: self.store.bytes(),
            hits,
            misses,
            stale,
            coalesced,
            bypassed,
        }
    }

    fn entry(&self, entry: &Entry, now_ns: u64) -> CacheEntryV1 {
        let origin = &entry.origin;
        // Its keys are fixed, so that all nodes come to the same number.
        let mut hasher = DefaultHasher::new();
        entry.key.hash(&mut hasher);
        CacheEntryV1 {
            key: hasher.finish(),
            api: self.api.to_owned(),
            stage: self.stage.to_owned(),
            verb: origin.verb.clone().into(),
            resource: origin.resource.clone().into(),
            path: origin.path.clone().into(),
            status: entry.status.as_u16(),
            bytes: entry.weight(),
            age_s: entry.age_s(now_ns),
            ttl_s: ttl_s(&entry.terms, entry.resident_s(now_ns)),
            hits: entry.hits(),
            tags: origin.tags.iter().map(|tag| tag.clone().into()).collect(),
        }
    }
}

/// The most used of the answers, as many as are asked for and may be told at once.
fn tell(mut stored: Vec<(&Shelf<'_>, Arc<Entry>)>, count: usize, now_ns: u64) -> Vec<CacheEntryV1> {
    stored.sort_by_cached_key(|(_, entry)| Reverse((entry.hits(), entry.stored_ns)));
    stored.truncate(count);
    let mut bytes = 0;
    let told = stored.iter().map(|(shelf, entry)| shelf.entry(entry, now_ns));
    told.take_while(|entry| {
        bytes += entry.path.len() + entry.tags.iter().map(String::len).sum::<usize>();
        bytes <= CACHE_REPORT_BYTES_MAX
    })
    .collect()
}

fn add(sum: CacheCounts, one: CacheCounts) -> CacheCounts {
    CacheCounts {
        hits: sum.hits + one.hits,
        misses: sum.misses + one.misses,
        stale: sum.stale + one.stale,
        coalesced: sum.coalesced + one.coalesced,
        bypassed: sum.bypassed + one.bypassed,
    }
}
