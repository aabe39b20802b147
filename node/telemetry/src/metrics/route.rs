//! Metrics of routes: one block per (api, stage, route, method), found once when a snapshot is compiled and then held by it.
//!
//! Counting one request is a handful of additions on memory of the current thread. The number of blocks is bounded; routes
//! beyond it share one block labelled `_other`. Blocks no snapshot holds any more disappear with [`RouteTable::sweep`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::handle::{Buckets, Cells};
use super::sample::{Distribution, Encoder};
use crate::limits::{ROUTES_MAX, SLOTS};
use crate::slot;

/// Status codes counted one by one; others are counted as their class (`2xx`).
const CODES: [u16; 25] = [
    101, 200, 201, 202, 204, 301, 302, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 429, 431,
    500, 502, 503, 504,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const BUCKETS: Buckets = Buckets::DURATION;
/// What a cache can do with a request.
const CACHE_PLACES: usize = 5;

/// Who a block counts for. All four come from configuration.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RouteLabels {
    /// API id.
    pub api: String,
    /// Stage name.
    pub stage: String,
    /// Resource path or route key, never the requested path.
    pub route: String,
    /// Method of the route, `ANY` included.
    pub method: String,
}

/// Whether the response cache took part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CacheOutcome {
    /// Caching is off for the route.
    #[default]
    Off,
    /// A stored answer that lives.
    Hit,
    /// Nothing was stored, or it had to be asked whether it is still right.
    Miss,
    /// A stored answer whose life is over.
    Stale,
    /// The answer to another request, which this one has waited for.
    Coalesced,
    /// What was stored could not be its answer.
    Bypass,
}

impl CacheOutcome {
    /// As access logs name it; nothing where caching is off.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Hit => Some("hit"),
            Self::Miss => Some("miss"),
            Self::Stale => Some("stale"),
            Self::Coalesced => Some("coalesced"),
            Self::Bypass => Some("bypass"),
        }
    }
}

/// Requests by what the response cache did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheCounts {
    /// See [`CacheOutcome::Hit`].
    pub hits: u64,
    /// See [`CacheOutcome::Miss`].
    pub misses: u64,
    /// See [`CacheOutcome::Stale`].
    pub stale: u64,
    /// See [`CacheOutcome::Coalesced`].
    pub coalesced: u64,
    /// See [`CacheOutcome::Bypass`].
    pub bypassed: u64,
}

impl CacheCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.hits + self.misses + self.stale + self.coalesced + self.bypassed
    }
}

/// One answered request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observation {
    /// Status sent to the client.
    pub status: u16,
    /// From the arrival of the head to the end of the answer's head.
    pub latency_us: u64,
    /// Time spent in the integration, when there was one.
    pub integration_us: Option<u64>,
    /// What the cache did.
    pub cache: CacheOutcome,
}

#[derive(Debug)]
struct Block {
    codes: [AtomicU64; CODES.len() + CLASSES.len()],
    cache: [AtomicU64; CACHE_PLACES],
    latency: Cells,
    integration: Cells,
}

impl Block {
    fn new() -> Self {
        Self {
            codes: [const { AtomicU64::new(0) }; CODES.len() + CLASSES.len()],
            cache: [const { AtomicU64::new(0) }; CACHE_PLACES],
            latency: Cells::new(BUCKETS),
            integration: Cells::new(BUCKETS),
        }
    }
}

/// The block of one route. Memory per thread is made on the thread's first request.
#[derive(Debug)]
pub struct RouteMetrics {
    labels: RouteLabels,
    slots: [OnceLock<Box<Block>>; SLOTS],
}

impl RouteMetrics {
    fn new(labels: RouteLabels) -> Self {
        Self { labels, slots: [const { OnceLock::new() }; SLOTS] }
    }

    /// Counts one answered request.
    pub fn record(&self, observation: &Observation) {
        let Some(slot) = self.slots.get(slot::index()) else { return };
        let block = slot.get_or_init(|| Box::new(Block::new()));
        if let Some(count) = block.codes.get(code_place(observation.status)) {
            slot::add(count, 1);
        }
        block.latency.observe(BUCKETS, observation.latency_us);
        if let Some(integration_us) = observation.integration_us {
            block.integration.observe(BUCKETS, integration_us);
        }
        let [hits, misses, stale, coalesced, bypassed] = &block.cache;
        match observation.cache {
            CacheOutcome::Off => {}
            CacheOutcome::Hit => slot::add(hits, 1),
            CacheOutcome::Miss => slot::add(misses, 1),
            CacheOutcome::Stale => slot::add(stale, 1),
            CacheOutcome::Coalesced => slot::add(coalesced, 1),
            CacheOutcome::Bypass => slot::add(bypassed, 1),
        }
    }

    /// Everything counted so far.
    pub fn summary(&self) -> RouteSummary {
        let mut summary = RouteSummary {
            labels: self.labels.clone(),
            codes: Vec::new(),
            latency: Distribution::new(BUCKETS),
            integration: Distribution::new(BUCKETS),
            cache: CacheCounts::default(),
        };
        let mut codes = [0u64; CODES.len() + CLASSES.len()];
        for block in self.slots.iter().filter_map(OnceLock::get) {
            for (total, count) in codes.iter_mut().zip(&block.codes) {
                *total += count.load(Relaxed);
            }
            block.latency.add_to(BUCKETS, &mut summary.latency);
            block.integration.add_to(BUCKETS, &mut summary.integration);
            let CacheCounts { hits, misses, stale, coalesced, bypassed } = &mut summary.cache;
            for (total, count) in [hits, misses, stale, coalesced, bypassed].into_iter().zip(&block.cache) {
                *total += count.load(Relaxed);
            }
        }
        let names = CODES.iter().map(u16::to_string).chain(CLASSES.map(str::to_owned));
        summary.codes = names.zip(codes).filter(|(_, count)| *count > 0).collect();
        summary
    }
}

/// The place of a status among the counts; nonsense counts as a server error.
fn code_place(status: u16) -> usize {
    const PLACES: [u8; 600] = {
        let mut places = [0; 600];
        let mut status = 0;
        while status < places.len() {
            let class = status / 100;
            places[status] = (CODES.len() + if class == 0 { 4 } else { class - 1 }) as u8;
            status += 1;
        }
        let mut at = 0;
        while at < CODES.len() {
            places[CODES[at] as usize] = at as u8;
            at += 1;
        }
        places
    };
    PLACES.get(usize::from(status)).map_or(CODES.len() + 4, |place| usize::from(*place))
}

/// What one route has counted; the source of CloudWatch-like figures (Count, 4XXError, Latency, …).
#[derive(Clone, Debug)]
pub struct RouteSummary {
    /// Who it is for.
    pub labels: RouteLabels,
    /// Requests by status code or class (`404`, `4xx` for rare codes); only those seen.
    pub codes: Vec<(String, u64)>,
    /// Whole latency, in seconds.
    pub latency: Distribution,
    /// Integration latency, in seconds.
    pub integration: Distribution,
    /// What the cache did; nothing where caching is off.
    pub cache: CacheCounts,
}

impl RouteSummary {
    /// All requests.
    pub fn count(&self) -> u64 {
        self.codes.iter().map(|(_, count)| count).sum()
    }

    /// Requests whose status begins with this digit.
    pub fn class_count(&self, class: char) -> u64 {
        self.codes.iter().filter(|(code, _)| code.starts_with(class)).map(|(_, count)| count).sum()
    }
}

/// All blocks of a node.
#[derive(Debug)]
pub struct RouteTable {
    blocks: Mutex<HashMap<RouteLabels, Arc<RouteMetrics>>>,
    overflow: Arc<RouteMetrics>,
    routes_max: usize,
}

impl Default for RouteTable {
    fn default() -> Self {
        Self::new(ROUTES_MAX)
    }
}

impl RouteTable {
    pub(crate) fn new(routes_max: usize) -> Self {
        let other = || "_other".to_owned();
        let labels = RouteLabels { api: other(), stage: other(), route: other(), method: other() };
        Self { blocks: Mutex::new(HashMap::new()), overflow: Arc::new(RouteMetrics::new(labels)), routes_max }
    }

    /// The block of a route; the same one as before when the route was known. Call it while compiling, not per request.
    pub fn resolve(&self, labels: RouteLabels) -> Arc<RouteMetrics> {
        let mut blocks = self.blocks();
        if let Some(block) = blocks.get(&labels) {
            return Arc::clone(block);
        }
        if blocks.len() >= self.routes_max {
            return Arc::clone(&self.overflow);
        }
        let block = Arc::new(RouteMetrics::new(labels.clone()));
        blocks.insert(labels, Arc::clone(&block));
        block
    }

    /// The block shared by routes beyond the bound.
    pub fn overflow(&self) -> Arc<RouteMetrics> {
        Arc::clone(&self.overflow)
    }

    /// Forgets blocks that no snapshot holds; returns how many. Call it after a new snapshot has replaced the old.
    pub fn sweep(&self) -> usize {
        let mut blocks = self.blocks();
        let before = blocks.len();
        blocks.retain(|_, block| Arc::strong_count(block) > 1);
        before - blocks.len()
    }

    /// Summaries of all blocks, ordered by labels; the overflow block last and only when it was used.
    pub fn summaries(&self) -> Vec<RouteSummary> {
        let blocks: Vec<_> = self.blocks().values().cloned().collect();
        let mut summaries: Vec<_> = blocks.iter().map(|block| block.summary()).collect();
        summaries.sort_by(|left, right| order(&left.labels).cmp(&order(&right.labels)));
        summaries.extend(Some(self.overflow.summary()).filter(|summary| summary.count() > 0));
        summaries
    }

    /// Requests of a stage that were answered, and those answered with a status of 500 or above, since the node started.
    pub fn stage_counts(&self, api: &str, stage: &str) -> (u64, u64) {
        let of_stage = |block: &&Arc<RouteMetrics>| block.labels.api == api && block.labels.stage == stage;
        let blocks: Vec<_> = self.blocks().values().filter(of_stage).cloned().collect();
        let summaries = blocks.iter().map(|block| block.summary());
        summaries.fold((0, 0), |(requests, errors), summary| {
            (requests + summary.count(), errors + summary.class_count('5'))
        })
    }

    pub(crate) fn report(&self, encoder: &mut Encoder) {
        for summary in self.summaries() {
            let RouteLabels { api, stage, route, method } = &summary.labels;
            let labels = [("api", api.as_str()), ("stage", stage), ("route", route), ("method", method)];
            for (code, count) in &summary.codes {
                let [api, stage, route, method] = labels;
                let labels = [api, stage, route, method, ("code", code)];
                encoder.counter("http_requests", "Requests answered", &labels, *count);
            }
            if summary.count() == 0 {
                continue;
            }
            let help = "Time from the arrival of a request to its answer";
            encoder.histogram("http_request_duration_seconds", help, &labels, summary.latency.clone());
            if summary.integration.count() > 0 {
                let help = "Time spent waiting for the integration";
                encoder.histogram("integration_duration_seconds", help, &labels, summary.integration.clone());
            }
            if summary.cache.total() > 0 {
                report_cache(encoder, &labels, &summary.cache);
            }
        }
    }

    fn blocks(&self) -> MutexGuard<'_, HashMap<RouteLabels, Arc<RouteMetrics>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report_cache(encoder: &mut Encoder, labels: &[(&str, &str)], counts: &CacheCounts) {
    for (name, help, count) in [
        ("cache_hits", "Answers from the response cache", counts.hits),
        ("cache_misses", "Lookups the response cache could not answer", counts.misses),
        ("cache_stale", "Answers from the response cache although their life was over", counts.stale),
        ("cache_coalesced", "Requests that were sent the answer of another one", counts.coalesced),
        ("cache_bypassed", "Requests that went to the integration whatever was stored", counts.bypassed),
    ] {
        encoder.counter(name, help, labels, count);
    }
}

fn order(labels: &RouteLabels) -> [&str; 4] {
    [&labels.api, &labels.stage, &labels.route, &labels.method]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(route: &str) -> RouteLabels {
        RouteLabels { api: "a1".into(), stage: "prod".into(), route: route.into(), method: "GET".into() }
    }

    #[test]
    fn requests_are_counted_by_code_class_and_time() {
        let table = RouteTable::new(10);
        let block = table.resolve(labels("/pets"));
        for (status, cache) in [
            (200, CacheOutcome::Hit),
            (200, CacheOutcome::Miss),
            (404, CacheOutcome::Stale),
            (418, CacheOutcome::Bypass),
            (999, CacheOutcome::Off),
        ] {
            block.record(&Observation { status, latency_us: 800, integration_us: Some(600), cache });
        }
        let summary = block.summary();
        let expected = [("200", 2), ("404", 1), ("4xx", 1), ("5xx", 1)];
        assert_eq!(summary.codes, expected.map(|(code, count)| (code.to_owned(), count)));
        assert_eq!((summary.count(), summary.class_count('4')), (5, 2));
        let cache = CacheCounts { hits: 1, misses: 1, stale: 1, coalesced: 0, bypassed: 1 };
        assert_eq!(summary.cache, cache);
        assert_eq!(summary.latency.quantile_bound(0.5), Some(0.001));
    }

    #[test]
    fn a_known_route_keeps_its_block_and_the_table_is_bounded() {
        let table = RouteTable::new(2);
        let first = table.resolve(labels("/1"));
        first.record(&Observation { status: 200, ..Observation::default() });
        assert!(Arc::ptr_eq(&first, &table.resolve(labels("/1"))));
        let second = table.resolve(labels("/2"));
        assert!(Arc::ptr_eq(&table.resolve(labels("/3")), &table.overflow()));
        drop(second);
        assert_eq!(table.sweep(), 1);
        assert!(!Arc::ptr_eq(&table.resolve(labels("/3")), &table.overflow()));
        assert_eq!(first.summary().count(), 1);
    }

    #[test]
    fn every_status_has_a_place() {
        for status in 0..=u16::MAX {
            assert!(code_place(status) < CODES.len() + CLASSES.len(), "{status}");
        }
    }

    #[test]
    fn a_scrape_has_the_labels() {
        let registry = crate::metrics::Registry::new(10);
        let block = registry.routes().resolve(labels("/pets/{id}"));
        block.record(&Observation { status: 200, latency_us: 1_200, ..Observation::default() });
        let text = registry.render();
        let line = "tidegate_http_requests_total{api=\"a1\",stage=\"prod\",route=\"/pets/{id}\",method=\"GET\",code=\"200\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("tidegate_http_request_duration_seconds_bucket{le=\"0.0025\",api=\"a1\""),
            "{text}"
        );
    }
}
