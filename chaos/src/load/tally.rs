//! What one stream counted, and which of its failures count against a promise.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Schedule;
use crate::{
    clock::Span,
    limits::{FAILURES, REQUEST},
};

/// A request that was not answered right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// From when it was due to when it was given up.
    pub(crate) span: Span,
    /// What the client saw.
    pub(crate) reason: String,
}

/// Counters of one stream.
pub(crate) struct Tally {
    /// When requests are due.
    pub(crate) schedule: Schedule,
    /// When the stream stopped to send.
    pub(crate) ended_us: Option<u64>,
    /// Right answers.
    pub(crate) ok: u64,
    /// Requests sent a second time.
    pub(crate) retries: u64,
    /// Requests that were due and could not be sent: too many were open.
    pub(crate) unsent: u64,
    failures: Vec<Failure>,
    failures_uncounted: u64,
    latency_us: Histogram<u64>,
}

impl Tally {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            ended_us: None,
            ok: 0,
            retries: 0,
            unsent: 0,
            failures: Vec::new(),
            failures_uncounted: 0,
            latency_us: histogram(),
        }
    }

    pub(super) fn count(&mut self, due_us: u64, ended_us: u64, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.ok += 1;
                self.latency_us.saturating_record(ended_us.saturating_sub(due_us));
            }
            Err(reason) if self.failures.len() < FAILURES => {
                self.failures.push(Failure { span: Span { from_us: due_us, to_us: ended_us }, reason });
            }
            Err(_) => self.failures_uncounted += 1,
        }
    }

    /// Requests with an outcome, and those that could not be sent.
    pub(crate) fn total(&self) -> u64 {
        self.ok + self.failures.len() as u64 + self.failures_uncounted + self.unsent
    }

    /// Requests that were due, of which each must be in [`Tally::total`] once the stream has finished.
    pub(crate) fn due(&self) -> u64 {
        self.ended_us.map_or(0, |at_us| self.schedule.due_before(at_us))
    }

    /// Failures outside `excused`: nothing of their life overlaps a stretch in which the target was known to be down.
    pub(crate) fn failures<'a>(&'a self, excused: &'a [Span]) -> impl Iterator<Item = &'a Failure> {
        self.failures.iter().filter(|failure| !excused.iter().any(|span| span.overlaps(&failure.span)))
    }

    /// Number of failures outside `excused`; those whose time was not kept and those never sent count.
    pub(crate) fn failed(&self, excused: &[Span]) -> u64 {
        self.failures(excused).count() as u64 + self.failures_uncounted + self.unsent
    }

    /// Failures whose life overlaps `span`.
    pub(crate) fn failed_in(&self, span: Span, excused: &[Span]) -> u64 {
        self.failures(excused).filter(|failure| failure.span.overlaps(&span)).count() as u64
    }

    /// Latency of right answers in milliseconds at a quantile between 0 and 1.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Adds the reasons of failures outside `excused` to `reasons`.
    pub(crate) fn collect_reasons(&self, excused: &[Span], reasons: &mut BTreeMap<String, u64>) {
        self.failures(excused).for_each(|failure| *reasons.entry(failure.reason.clone()).or_insert(0) += 1);
    }
}

/// Up to the request timeout and a scheduling delay of as much, three digits.
fn histogram() -> Histogram<u64> {
    let highest_us = REQUEST.as_micros() as u64 * 2;
    Histogram::new_with_max(highest_us, 3).expect("three digits and a constant maximum are valid")
}
