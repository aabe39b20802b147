//! The answers of one stage in memory, shared by all shards. Owns the bound on their bytes and which go first when it is reached
//! (S3-FIFO, which a scan does not flush); must never be asked on the way of a hit that a shard has in its own view.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

use http::HeaderName;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync::Cache};
use tidegate_cache::{lines::Lines, vary::write_secondary_key};
use tidegate_gateway::StageCache;
use tidegate_proto::{
    compiled::caches::PurgeV1,
    limits::{CACHE_BODY_BYTES_MAX, CACHE_KEY_BYTES_MAX},
};

use super::{disk::Tier, entry::Entry, hash::Seed};

/// Bytes that an entry takes on average, for the first size of tables.
const ENTRY_BYTES: u64 = 8 * 1024;
/// A part of the store must hold some of the largest entries, or it would refuse them.
const PART_BYTES_MIN: u64 = 8 * CACHE_BODY_BYTES_MAX as u64;
const PARTS_MAX: u64 = 16;
/// Weight of what is remembered about a key that has no answer.
const NOTE_BYTES: u64 = 256;

/// What is kept under a key.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// An answer.
    Answer(Arc<Entry>),
    /// There is an answer per variant.
    Variants(Arc<Variants>),
    /// Answers were not fit for storing.
    Unfit(Arc<Unfit>),
}

/// The headers that choose among the answers of a key.
#[derive(Debug)]
pub(crate) struct Variants {
    pub(crate) key: Box<[u8]>,
    /// Whether it is not in the store any more: views of shards let go of it, or its answers would outlive it.
    pub(crate) is_gone: AtomicBool,
    /// Names, sorted.
    pub(crate) names: Box<[HeaderName]>,
    /// Answers that were asked for before are from before the key was made invalid, on the clock of the shards.
    pub(crate) since_ns: u64,
    /// Tells them from variants of the same key that were made invalid, for those who keep time by another clock.
    pub(crate) birth: u64,
}

/// A key whose answers are not stored for a while: requests for it do not wait for each other.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) key: Box<[u8]>,
    pub(crate) is_gone: AtomicBool,
    pub(crate) until_ns: u64,
}

/// The answers of a stage.
#[derive(Debug)]
pub(crate) struct Store {
    /// See [`StageCache::scope`].
    scope: Arc<[u8]>,
    cache: Cache<u64, Kept, Weight, DefaultHashBuilder, Farewell>,
    /// Where answers go that leave.
    tier: Option<Tier>,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<u64, Kept> for Weight {
    fn weight(&self, _: &u64, kept: &Kept) -> u64 {
        match kept {
            Kept::Answer(entry) => entry.weight(),
            Kept::Variants(variants) => NOTE_BYTES + variants.key.len() as u64,
            Kept::Unfit(unfit) => NOTE_BYTES + unfit.key.len() as u64,
        }
    }
}

/// Tells views that an entry is not in the store any more, and the disk.
#[derive(Clone, Debug)]
struct Farewell(Option<Tier>);

impl Lifecycle<u64, Kept> for Farewell {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: u64, kept: Kept) {
        if let (Some(tier), Kept::Answer(entry)) = (&self.0, &kept) {
            tier.offer(entry);
        }
        kept.let_go();
    }
}

impl Kept {
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Answer(entry) => &entry.key,
            Self::Variants(variants) => &variants.key,
            Self::Unfit(unfit) => &unfit.key,
        }
    }

    /// Whether it is not in the store any more, or says nothing any more.
    pub(crate) fn is_gone(&self, now_ns: u64) -> bool {
        match self {
            Self::Answer(entry) => entry.is_gone(),
            Self::Variants(variants) => variants.is_gone(),
            Self::Unfit(unfit) => unfit.until_ns <= now_ns || unfit.is_gone.load(Acquire),
        }
    }

    /// Whether it is no answer that was asked for before.
    pub(crate) fn is_since(&self, since_ns: u64) -> bool {
        !matches!(self, Self::Answer(entry) if entry.stored_ns < since_ns)
    }

    fn let_go(&self) {
        match self {
            Self::Answer(entry) => entry.let_go(),
            Self::Variants(variants) => variants.let_go(),
            Self::Unfit(unfit) => unfit.is_gone.store(true, Release),
        }
    }
}

impl Variants {
    pub(crate) fn new(key: &[u8], names: &[HeaderName], since_ns: u64, birth: u64) -> Self {
        Self { key: key.into(), is_gone: AtomicBool::new(false), names: names.into(), since_ns, birth }
    }

    /// The key of a request's variant; `None` when it would be too long.
    pub(crate) fn key_of(&self, headers: &(impl Lines + ?Sized)) -> Option<Vec<u8>> {
        let mut key = self.key.to_vec();
        write_secondary_key(&self.names, headers, &mut key);
        (key.len() <= CACHE_KEY_BYTES_MAX).then_some(key)
    }

    /// Whether they are not in the store any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Acquire)
    }

    pub(crate) fn let_go(&self) {
        self.is_gone.store(true, Release);
    }
}

impl Store {
    /// An empty store of at most `bytes_max`, but of room for some of the largest answers at least.
    pub(crate) fn new(scope: Arc<[u8]>, bytes_max: u64, tier: Option<Tier>) -> Self {
        let bytes_max = bytes_max.max(PART_BYTES_MIN);
        let parts = (bytes_max / PART_BYTES_MIN).clamp(1, PARTS_MAX);
        let items = usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX);
        let mut options = OptionsBuilder::new();
        options.weight_capacity(bytes_max).estimated_items_capacity(items.clamp(1_000, 1 << 20));
        options.shards(parts as usize);
        let farewell = Farewell(tier.clone());
        let cache = match options.build() {
            Ok(options) => Cache::with_options(options, Weight, DefaultHashBuilder::default(), farewell),
            // Only absent options fail.
            Err(_) => Cache::with(items, bytes_max, Weight, DefaultHashBuilder::default(), farewell),
        };
        Self { scope, cache, tier }
    }

    /// Whether it is the store of this cache; a flush or another deployment makes it another cache.
    pub(crate) fn is_of(&self, cache: &StageCache) -> bool {
        self.scope == cache.scope
    }

    /// Changes the bound.
    pub(crate) fn resize(&self, bytes_max: u64) {
        let bytes_max = bytes_max.max(PART_BYTES_MIN);
        if self.cache.capacity() != bytes_max {
            self.cache.set_capacity(bytes_max);
        }
    }

    /// What is kept under a key.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Kept> {
        self.cache.get(&hash).filter(|kept| kept.key() == key)
    }

    /// Tells that a key is in use, so that it stays.
    pub(crate) fn touch(&self, hash: u64) {
        self.cache.get(&hash);
    }

    /// Keeps something new under its key, in the place of what was there.
    pub(crate) fn keep(&self, hash: u64, kept: Kept) {
        let new = self.tier.as_ref().map(|tier| (tier, kept.clone()));
        self.put(hash, kept);
        if let Some((tier, new)) = new {
            tier.forget(&new);
        }
    }

    /// Keeps what came back from disk.
    pub(crate) fn put(&self, hash: u64, kept: Kept) {
        let before = self.cache.peek(&hash);
        self.cache.insert(hash, kept);
        if let Some(before) = before {
            before.let_go();
        }
    }

    /// Keeps something under its key unless there is something else.
    pub(crate) fn note(&self, hash: u64, kept: Kept) {
        if !matches!(self.cache.peek(&hash), Some(Kept::Answer(_) | Kept::Variants(_))) {
            self.keep(hash, kept);
        }
    }

    /// Takes out what is under a key.
    pub(crate) fn remove(&self, hash: u64, key: &[u8]) -> bool {
        let removed = self.cache.remove(&hash).map(|(_, kept)| kept);
        removed.iter().for_each(Kept::let_go);
        if let Some(tier) = &self.tier {
            tier.forget_key(key);
            removed.iter().for_each(|kept| tier.forget(kept));
        }
        removed.is_some()
    }

    /// The disk behind it.
    pub(crate) fn tier(&self) -> Option<&Tier> {
        self.tier.as_ref()
    }

    /// All answers.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let answers = self.cache.iter().filter_map(|(_, kept)| match kept {
            Kept::Answer(entry) => Some(entry),
            Kept::Variants(_) | Kept::Unfit(_) => None,
        });
        answers.collect()
    }

    /// Answers, notes included.
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.cache.iter().for_each(|(_, kept)| kept.let_go());
    }
}

/// Keeps an answer under its key, and beside the other variants of `primary` where it is one. A newer one stays.
pub(crate) fn keep(store: &Store, seed: &Seed, primary: &[u8], entry: &Arc<Entry>) {
    let names = &entry.terms.vary.names;
    if names.is_empty() != (*entry.key == *primary) {
        return;
    }
    let hash = seed.hash(&entry.key);
    let is_newer = |kept: Kept| matches!(kept, Kept::Answer(known) if known.stored_ns > entry.stored_ns);
    if store.find(hash, &entry.key).is_some_and(is_newer) {
        return;
    }
    let answer = Kept::Answer(Arc::clone(entry));
    if names.is_empty() {
        store.keep(hash, answer);
        return;
    }
    let place = seed.hash(primary);
    let since_ns = match store.find(place, primary) {
        Some(Kept::Variants(known)) if *known.names == **names => {
            entry.join(&known);
            store.keep(hash, answer);
            return;
        }
        Some(Kept::Variants(known)) => known.since_ns,
        Some(Kept::Answer(_) | Kept::Unfit(_)) | None => entry.stored_ns,
    };
    let variants = Arc::new(Variants::new(primary, names, since_ns, rand::random()));
    entry.join(&variants);
    store.keep(hash, answer);
    store.keep(place, Kept::Variants(variants));
}

/// Whether an entry was taken out by a purge that came after it. Asked only when there was a purge since it was last asked.
pub(crate) fn is_purged(entry: &Entry, purges: &[PurgeV1]) -> bool {
    let survived = entry.survived();
    purges.iter().filter(|purge| purge.sequence > survived).any(|purge| {
        let origin = &entry.origin;
        (purge.verb.is_empty() || *purge.verb == *origin.verb)
            && (purge.resource.is_empty() || *purge.resource == *origin.resource)
            && origin.path.starts_with(purge.prefix.as_str())
            && (purge.tag.is_empty() || origin.tags.iter().any(|tag| **tag == *purge.tag))
    })
}
