//! One scrape: samples collected by name, then encoded. Gathering first lets several places contribute to one metric, which the
//! exposition format demands to appear once.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::handle::Buckets;
use crate::limits::{LABEL_BYTES_MAX, SERIES_MAX};

/// Labels of one series.
pub(crate) type Labels = Vec<(String, String)>;

/// Copies labels, cutting values that are too long.
pub(crate) fn own(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), cut(value).to_owned())).collect()
}

fn cut(value: &str) -> &str {
    value.get(..value.floor_char_boundary(LABEL_BYTES_MAX)).unwrap_or_default()
}

/// Counts per bucket in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Distribution {
    pub(crate) fn new(buckets: Buckets) -> Self {
        let bounds = buckets.bounds.iter().map(|&bound| bound as f64 / buckets.per_base_unit as f64);
        Self { buckets: bounds.chain([f64::INFINITY]).map(|bound| (bound, 0)).collect(), sum: 0.0 }
    }

    pub(crate) fn add(&mut self, place: usize, count: u64) {
        if let Some(bucket) = self.buckets.get_mut(place) {
            bucket.1 += count;
        }
    }

    pub(crate) fn add_sum(&mut self, buckets: Buckets, sum: u64) {
        self.sum += sum as f64 / buckets.per_base_unit as f64;
    }

    /// Upper bounds in base units with the number of values in each bucket; the last bound is `f64::INFINITY`.
    pub fn buckets(&self) -> &[(f64, u64)] {
        &self.buckets
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The sum of all values, in base units.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The upper bound of the bucket that holds the `quantile` (0 to 1) smallest value; `None` when there is no value or it
    /// lies above all bounds.
    pub fn quantile_bound(&self, quantile: f64) -> Option<f64> {
        let rank = (self.count() as f64 * quantile).ceil().max(1.0);
        let mut passed = 0;
        for (bound, count) in &self.buckets {
            passed += count;
            if passed > 0 && passed as f64 >= rank {
                return Some(*bound).filter(|bound| *bound < f64::INFINITY);
            }
        }
        None
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Counter(u64),
    Seconds(f64),
    Gauge(f64),
    Histogram(Distribution),
}

impl Value {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) | Self::Seconds(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(value) => encoder.encode_counter::<NoLabelSet, u64, u64>(value, None),
            Self::Seconds(value) => encoder.encode_counter::<NoLabelSet, f64, u64>(value, None),
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Histogram(value) => {
                encoder.encode_histogram::<NoLabelSet>(value.sum(), value.count(), value.buckets(), None)
            }
        }
    }
}

#[derive(Debug)]
struct Family {
    help: String,
    series: Vec<(Labels, Value)>,
}

/// Receives the samples of one scrape. Names are without the `tidegate_` prefix; counters without `_total`.
#[derive(Debug, Default)]
pub struct Encoder {
    families: BTreeMap<String, Family>,
    series: usize,
}

impl Encoder {
    /// A number that only grows.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.push(name, help, own(labels), Value::Counter(value));
    }

    /// Time that only grows, in seconds.
    pub fn seconds(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.push(name, help, own(labels), Value::Seconds(value));
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.push(name, help, own(labels), Value::Gauge(value));
    }

    /// A distribution.
    pub fn histogram(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: Distribution) {
        self.push(name, help, own(labels), Value::Histogram(value));
    }

    /// Samples beyond the bound, and samples of another kind than the metric's first, are left out.
    pub(crate) fn push(&mut self, name: &str, help: &str, labels: Labels, value: Value) {
        if self.series >= SERIES_MAX.saturating_mul(4) {
            return;
        }
        let family = match self.families.get_mut(name) {
            Some(family) => family,
            None => self
                .families
                .entry(name.to_owned())
                .or_insert_with(|| Family { help: help.replace('\n', " "), series: Vec::new() }),
        };
        if let Some((_, first)) = family.series.first()
            && std::mem::discriminant(first) != std::mem::discriminant(&value)
        {
            tracing::error!(metric = name, "metric reported with two kinds");
            return;
        }
        self.series += 1;
        family.series.push((labels, value));
    }
}

impl Collector for Encoder {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, family) in &self.families {
            let Some((_, first)) = family.series.first() else { continue };
            let mut metric = encoder.encode_descriptor(name, &family.help, None, first.kind())?;
            for (labels, value) in &family.series {
                if labels.is_empty() {
                    value.encode(&mut metric)?;
                } else {
                    value.encode(&mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bucket_bounds() {
        let mut distribution = Distribution::new(Buckets::DURATION);
        assert_eq!(distribution.quantile_bound(0.5), None);
        distribution.add(0, 98);
        distribution.add(4, 1);
        distribution.add(17, 1);
        for (quantile, expected) in
            [(0.5, Some(0.000_5)), (0.98, Some(0.000_5)), (0.99, Some(0.01)), (1.0, None)]
        {
            assert_eq!(distribution.quantile_bound(quantile), expected, "{quantile}");
        }
    }
}
