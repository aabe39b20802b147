//! The cache of one method without a data plane around it, asked as requests ask it: for measuring what a hit costs, and which answers
//! stay. Must never be of use to a request.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tidegate_cache::{range::Stored, terms::Terms};
use tidegate_gateway::{KeyParts, Snapshot};
use tidegate_telemetry::metrics::Registry;

use super::{
    Cache, Entry, Found, Local, Place, Store,
    entry::{Fresh, Origin},
    find,
    store::Kept,
};

/// Life of the answers, in seconds.
const LIFETIME_S: u64 = 3_600;

/// A cached method, one shard's view of its answers, and the store behind it.
pub struct CacheTrial {
    snapshot: Arc<Snapshot>,
    stage: usize,
    method: usize,
    cache: Cache,
    local: Local,
    store: Arc<Store>,
    headers: HeaderMap,
}

impl CacheTrial {
    /// Of the method at these places in the snapshot, with a store of so many bytes; `None` when the method is not cached.
    pub fn new(snapshot: Arc<Snapshot>, stage: usize, method: usize, bytes_max: u64) -> Option<Self> {
        snapshot.caches().rule(stage, method)?;
        let scope = Arc::clone(&snapshot.caches().stage(stage)?.scope);
        let cache = Cache::new(bytes_max, Instant::now(), &Registry::new(100));
        let local = Local::new(cache.seed().clone());
        let store = Arc::new(Store::new(scope, bytes_max, None));
        Some(Self { snapshot, stage, method, cache, local, store, headers: HeaderMap::new() })
    }

    /// Whether there is an answer for a path, as a request of the shard finds it: in the shard's view, else in the store.
    #[inline]
    pub fn find(&self, path: &str) -> bool {
        let caches = self.snapshot.caches();
        let (Some(stage), Some(rule)) = (caches.stage(self.stage), caches.rule(self.stage, self.method))
        else {
            return false;
        };
        let place = Place { cache: &self.cache, local: &self.local, store: &self.store, stage, rule };
        matches!(find(&place, parts(path), &self.headers, 0), Found::Answer(_))
    }

    /// Does what a shard does now and then: lets go of what was not used since the last time.
    pub fn sweep(&self) {
        self.local.sweep(0);
    }

    /// Whether there is one in the store, without a view before it.
    pub fn find_shared(&self, path: &str) -> bool {
        let key = self.key(path);
        self.store.find(self.cache.seed().hash(&key), &key).is_some()
    }

    /// Stores an answer.
    pub fn keep(&self, path: &str, body: Bytes) {
        let entry = self.entry(path, body);
        self.store.keep(self.cache.seed().hash(&entry.key), Kept::Answer(Arc::new(entry)));
    }

    /// Bytes that an answer counts for in the store.
    pub fn weight(&self, path: &str, body: Bytes) -> u64 {
        self.entry(path, body).weight()
    }

    fn entry(&self, path: &str, body: Bytes) -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let fresh = Fresh {
            status: StatusCode::OK,
            headers,
            part: Some(Stored::whole(body.len() as u64)),
            body,
            stored_ns: 0,
            stored_s: 0,
            terms: Terms { lifetime_s: LIFETIME_S, ..Terms::default() },
            origin: Origin::default(),
            sequence: 0,
        };
        Entry::new(&self.key(path), fresh)
    }

    fn key(&self, path: &str) -> Vec<u8> {
        let mut key = Vec::new();
        if let Some(rule) = self.snapshot.caches().rule(self.stage, self.method) {
            rule.write_key(parts(path), &self.headers, &mut key);
        }
        key
    }
}

fn parts(path: &str) -> KeyParts<'_> {
    KeyParts { rest: path, query: None }
}
