//! One target of an upstream: where it is, and the words in which its record is kept. Owns when a target is an outlier and for how long;
//! must never know the others, on whose number it depends whether it is ejected.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicU8, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use tidegate_proto::limits::{
    EJECTION_BASE_MS, EJECTION_MS_MAX, TARGET_ERROR_BYTES_MAX, TARGET_FAILURES_MAX,
};

/// What counted as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It could not be reached, or the connection broke before it answered, or it did not answer in time.
    Network,
    /// It answered with a server error.
    Answer,
}

/// A target, shared by all shards and by all sets that it is in.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    az: Option<Box<str>>,
    /// Failures since the last success.
    failures: AtomicU32,
    /// How often it was ejected; goes down again while nothing happens.
    ejections: AtomicU32,
    /// When its last ejection ends, in milliseconds; 0 without one.
    until_ms: AtomicU64,
    /// Whether it was a network failure that ejected it.
    by_network: AtomicU8,
    /// Calls under way, as the shards said last.
    outstanding: AtomicU32,
    last_error: Mutex<Option<Box<str>>>,
}

impl Target {
    /// A target without a record. `az` is empty where its availability zone is not known.
    pub fn new(address: SocketAddr, az: &str) -> Self {
        Self {
            address,
            az: (!az.is_empty()).then(|| az.into()),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            until_ms: AtomicU64::new(0),
            by_network: AtomicU8::new(0),
            outstanding: AtomicU32::new(0),
            last_error: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its availability zone, where that is known.
    pub fn az(&self) -> Option<&str> {
        self.az.as_deref()
    }

    /// How often it was ejected of late.
    pub fn ejections(&self) -> u32 {
        self.ejections.load(Relaxed)
    }

    /// Failures since it last succeeded.
    pub fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Calls that are under way to it, as the shards said last.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Relaxed)
    }

    /// A shard has `now` calls under way to it, and had `before` when it said so last.
    pub fn note_outstanding(&self, before: u32, now: u32) {
        self.outstanding.fetch_add(now.wrapping_sub(before), Relaxed);
    }

    /// The last failure, as it was told.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(str::to_owned)
    }

    /// Notes a success. Reads one word in the usual case.
    #[inline]
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Notes a failure; true when it is one too many.
    pub(crate) fn failed(&self, why: &str) -> bool {
        let end = why.floor_char_boundary(TARGET_ERROR_BYTES_MAX);
        let text = why.get(..end).unwrap_or_default();
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
        self.failures.fetch_add(1, AcqRel).saturating_add(1) >= TARGET_FAILURES_MAX
    }

    /// Begins an ejection and returns how long it lasts: longer each time.
    pub(crate) fn eject(&self, cause: Cause, now_ms: u64) -> u64 {
        let count = self.ejections.fetch_add(1, AcqRel).saturating_add(1);
        let for_ms = EJECTION_BASE_MS.saturating_mul(count.into()).min(EJECTION_MS_MAX);
        self.by_network.store(u8::from(cause == Cause::Network), Relaxed);
        self.failures.store(0, Relaxed);
        self.until_ms.store(now_ms.saturating_add(for_ms), Release);
        for_ms
    }

    /// When its ejection ends; 0 when it is over or there was none.
    pub(crate) fn ejected_until_ms(&self, now_ms: u64) -> u64 {
        let until_ms = self.until_ms.load(Acquire);
        if until_ms > now_ms { until_ms } else { 0 }
    }

    /// Ends an ejection before its time.
    pub(crate) fn readmit(&self) {
        self.until_ms.store(0, Release);
    }

    /// Whether a connection alone shows that the reason for its ejection is gone.
    pub(crate) fn was_ejected_by_network(&self) -> bool {
        self.by_network.load(Relaxed) == 1
    }

    /// Forgets one ejection for each [`EJECTION_BASE_MS`] that it has served without another.
    pub(crate) fn forgive(&self, now_ms: u64) {
        let count = self.ejections.load(Relaxed);
        let until_ms = self.until_ms.load(Acquire);
        if count > 0 && now_ms >= until_ms.saturating_add(EJECTION_BASE_MS) {
            self.ejections.store(count - 1, Relaxed);
            self.until_ms.store(now_ms, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::new("10.0.0.1:80".parse().unwrap(), "a")
    }

    #[test]
    fn five_failures_in_a_row_are_too_many() {
        let target = target();
        for _ in 0..3 {
            assert!((1..TARGET_FAILURES_MAX).all(|_| !target.failed("no")));
            target.succeeded();
        }
        assert!((1..TARGET_FAILURES_MAX).all(|_| !target.failed("no")));
        assert!(target.failed("refused"));
        assert_eq!(target.last_error().as_deref(), Some("refused"));
    }

    #[test]
    fn each_ejection_is_longer_and_good_conduct_is_rewarded() {
        let target = target();
        let lengths: Vec<u64> = (0..12).map(|_| target.eject(Cause::Network, 0) / 1_000).collect();
        assert_eq!(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
        assert_eq!(target.ejected_until_ms(299_999), 300_000);
        assert_eq!(target.ejected_until_ms(300_000), 0);
        target.forgive(329_999);
        assert_eq!(target.ejections(), 12);
        for (now_ms, left) in [(330_000, 11), (330_001, 11), (359_999, 11), (360_000, 10)] {
            target.forgive(now_ms);
            assert_eq!(target.ejections(), left, "{now_ms}");
        }
    }

    #[test]
    fn errors_are_cut_between_characters() {
        let target = target();
        target.failed(&"é".repeat(TARGET_ERROR_BYTES_MAX));
        let text = target.last_error().unwrap();
        assert!(text.len() <= TARGET_ERROR_BYTES_MAX && text.ends_with('é'));
    }
}
