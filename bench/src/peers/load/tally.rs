//! What a run has seen: right answers and their times, and everything that was not a right answer.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::peers::{limits::ERRORS_MAX, load::message::Message};

/// Longest time that is told apart from longer ones.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Counts of one run.
pub(crate) struct Tally {
    expected_body_bytes: usize,
    counting: bool,
    answered: u64,
    latency_ns: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    first_error: Option<String>,
}

impl Tally {
    /// Nothing seen yet; right answers count once [`Tally::start`] was called, wrong ones always.
    pub(crate) fn new(expected_body_bytes: usize) -> Result<Self, String> {
        let latency_ns =
            Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).map_err(|error| error.to_string())?;
        let (errors, first_error) = (BTreeMap::new(), None);
        Ok(Self { expected_body_bytes, counting: false, answered: 0, latency_ns, errors, first_error })
    }

    /// The warm-up is over.
    pub(crate) fn start(&mut self) {
        self.counting = true;
    }

    /// The counted time is over.
    pub(crate) fn stop(&mut self) {
        self.counting = false;
    }

    /// An answer has arrived whole. Only 200 with the expected length is right.
    pub(crate) fn answer(&mut self, message: Message, took_ns: u64) {
        if message.status != 200 {
            self.error("wrong status", || format!("status {}", message.status));
        } else if message.body_bytes != self.expected_body_bytes {
            let expected = self.expected_body_bytes;
            self.error("wrong length", || format!("{} bytes instead of {expected}", message.body_bytes));
        } else if self.counting {
            self.answered += 1;
            self.latency_ns.saturating_record(took_ns);
        }
    }

    /// Something else went wrong.
    pub(crate) fn error(&mut self, kind: &str, detail: impl FnOnce() -> String) {
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
        self.first_error.get_or_insert_with(|| format!("{kind}: {}", detail()));
    }

    /// Whether anything went wrong.
    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether going on makes no sense.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.errors.values().sum::<u64>() > ERRORS_MAX
    }

    /// Right answers so far, within the counted time.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Time at a quantile in microseconds.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Errors by kind, and the first of them.
    pub(crate) fn into_errors(self) -> (BTreeMap<String, u64>, Option<String>) {
        (self.errors, self.first_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_right_answers_within_the_counted_time_count() {
        let mut tally = Tally::new(128).unwrap();
        let right = Message { status: 200, body_bytes: 128 };
        tally.answer(right, 1_000);
        tally.start();
        tally.answer(right, 5_000);
        tally.answer(right, 5_000);
        tally.answer(Message { status: 429, body_bytes: 128 }, 1);
        tally.answer(Message { status: 200, body_bytes: 127 }, 1);
        tally.stop();
        tally.answer(right, 1);
        assert_eq!(tally.answered(), 2);
        assert!((4.9..5.1).contains(&tally.latency_us(0.5)), "{}", tally.latency_us(0.5));
        let (errors, first) = tally.into_errors();
        assert_eq!(errors, BTreeMap::from([("wrong length".into(), 1), ("wrong status".into(), 1)]));
        assert_eq!(first.unwrap(), "wrong status: status 429");
    }

    #[test]
    fn a_flood_of_errors_is_hopeless() {
        let mut tally = Tally::new(0).unwrap();
        (0..ERRORS_MAX).for_each(|_| tally.error("refused", String::new));
        assert!(!tally.is_hopeless());
        tally.error("refused", String::new);
        assert!(tally.is_hopeless());
    }
}
