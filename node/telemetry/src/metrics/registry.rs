//! The table of all metrics of a node. Registration takes a lock and may allocate; counting never comes here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::handle::{Buckets, Counter, Gauge, Histogram};
use super::process;
use super::route::RouteTable;
use super::sample::{Encoder, Labels, Value, own};
use crate::limits::{ROUTES_MAX, SERIES_MAX};

/// The content type of [`Registry::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The prefix of every name.
const PREFIX: &str = "tidegate";

#[derive(Clone, Debug)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Entry {
    help: &'static str,
    series: Vec<(Labels, Metric)>,
}

type Collect = Box<dyn Fn(&mut Encoder) + Send + Sync>;

#[derive(Default)]
struct Inner {
    entries: Mutex<Entries>,
    collectors: Mutex<Vec<Collect>>,
    routes: RouteTable,
}

#[derive(Debug, Default)]
struct Entries {
    by_name: BTreeMap<&'static str, Entry>,
    count: usize,
    refused: u64,
}

/// The metrics of one node; cloning shares them.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// An empty table that meters at most `routes_max` routes one by one.
    pub fn new(routes_max: usize) -> Self {
        Self(Arc::new(Inner { routes: RouteTable::new(routes_max.min(ROUTES_MAX * 20)), ..Inner::default() }))
    }

    /// The counter of this name and these labels; made when new. Give the name without `tidegate_` and `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        match self.resolve(name, help, labels, || Metric::Counter(Counter::default())) {
            Metric::Counter(counter) => counter,
            Metric::Gauge(_) | Metric::Histogram(_) => Counter::default(),
        }
    }

    /// The gauge of this name and these labels; made when new.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.resolve(name, help, labels, || Metric::Gauge(Gauge::default())) {
            Metric::Gauge(gauge) => gauge,
            Metric::Counter(_) | Metric::Histogram(_) => Gauge::default(),
        }
    }

    /// The histogram of this name and these labels; made when new. The buckets of the first registration hold.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        buckets: Buckets,
    ) -> Histogram {
        match self.resolve(name, help, labels, || Metric::Histogram(Histogram::new(buckets))) {
            Metric::Histogram(histogram) => histogram,
            Metric::Counter(_) | Metric::Gauge(_) => Histogram::new(buckets),
        }
    }

    /// Adds a function that reports computed values at every scrape. It must not block.
    pub fn collector(&self, collect: impl Fn(&mut Encoder) + Send + Sync + 'static) {
        lock(&self.0.collectors).push(Box::new(collect));
    }

    /// The metrics of routes.
    pub fn routes(&self) -> &RouteTable {
        &self.0.routes
    }

    /// Reports what this binary is as `tidegate_build_info`.
    pub fn build_info(&self, version: &str, revision: &str) {
        let labels = [("version", version), ("revision", revision)];
        self.gauge("build_info", "Version and source revision of this binary; always 1", &labels).set(1.0);
    }

    /// Everything, in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut encoder = Encoder::default();
        {
            let entries = lock(&self.0.entries);
            for (name, entry) in &entries.by_name {
                for (labels, metric) in &entry.series {
                    let value = match metric {
                        Metric::Counter(counter) => Value::Counter(counter.value()),
                        Metric::Gauge(gauge) => Value::Gauge(gauge.value()),
                        Metric::Histogram(histogram) => Value::Histogram(histogram.distribution()),
                    };
                    encoder.push(name, entry.help, labels.clone(), value);
                }
            }
            encoder.counter(
                "metric_series_refused",
                "Series not metered because the table is full or the name has another kind",
                &[],
                entries.refused,
            );
        }
        self.0.routes.report(&mut encoder);
        for collect in lock(&self.0.collectors).iter() {
            collect(&mut encoder);
        }
        let mut process = Encoder::default();
        process::report(&mut process);
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(process));
        registry.sub_registry_with_prefix(PREFIX).register_collector(Box::new(encoder));
        let mut text = String::new();
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &registry) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }

    /// Finds or makes a series. What is refused still gets a working handle, which nobody scrapes.
    fn resolve(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        make: impl Fn() -> Metric,
    ) -> Metric {
        let labels = own(labels);
        let made = make();
        let mut entries = lock(&self.0.entries);
        let Entries { by_name, count, refused } = &mut *entries;
        let entry = by_name.entry(name).or_insert_with(|| Entry { help, series: Vec::new() });
        let is_same_kind = |metric: &Metric| std::mem::discriminant(metric) == std::mem::discriminant(&made);
        if let Some((_, metric)) = entry.series.iter().find(|(known, _)| *known == labels) {
            if !is_same_kind(metric) {
                *refused += 1;
                return made;
            }
            return metric.clone();
        }
        if *count >= SERIES_MAX || !entry.series.first().is_none_or(|(_, metric)| is_same_kind(metric)) {
            *refused += 1;
            return made;
        }
        *count += 1;
        entry.series.push((labels, made.clone()));
        made
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_every_kind_once() {
        let registry = Registry::default();
        registry.build_info("1.2.3", "abc");
        registry.counter("things", "Things done", &[("kind", "a\"b\\c\n")]).add(3);
        registry.counter("things", "Things done", &[("kind", "a\"b\\c\n")]).add(4);
        registry.gauge("level", "Level", &[]).set(1.5);
        registry.histogram("wait_seconds", "Waiting", &[], Buckets::DURATION).observe(700);
        registry.collector(|encoder| encoder.gauge("raft_term", "Term", &[("group", "config")], 7.0));
        registry.collector(|encoder| encoder.counter("things", "Things done", &[("kind", "other")], 1));
        let text = registry.render();
        for line in [
            "# TYPE tidegate_things counter",
            "tidegate_things_total{kind=\"a\\\"b\\\\c\\n\"} 7",
            "tidegate_things_total{kind=\"other\"} 1",
            "tidegate_level 1.5",
            "tidegate_build_info{version=\"1.2.3\",revision=\"abc\"} 1.0",
            "tidegate_wait_seconds_bucket{le=\"0.0005\"} 0",
            "tidegate_wait_seconds_bucket{le=\"0.001\"} 1",
            "tidegate_wait_seconds_bucket{le=\"+Inf\"} 1",
            "tidegate_wait_seconds_sum 0.0007",
            "tidegate_raft_term{group=\"config\"} 7.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in:\n{text}");
        }
        assert_eq!(text.matches("# TYPE tidegate_things ").count(), 1);
        assert!(!cfg!(target_os = "linux") || text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn a_name_keeps_its_kind() {
        let registry = Registry::default();
        registry.counter("one", "One", &[]).increment();
        registry.gauge("one", "One", &[("x", "y")]).set(5.0);
        let text = registry.render();
        assert!(text.contains("tidegate_one_total 1\n"), "{text}");
        assert!(text.contains("tidegate_metric_series_refused_total 1\n"), "{text}");
    }
}
