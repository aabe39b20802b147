//! How long this program itself stood still: a thread that only sleeps notes when it wakes up late. What a busy machine does to a
//! sleeper it does to the processes under test, so a time that was missed then says little about them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use serde::Serialize;

use super::measure;
use crate::{
    clock::{Clock, Span},
    limits::{NAPS, STALL, STALL_NAP},
};

/// A running measurement; ends when dropped.
pub(crate) struct StallWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    stalls: Mutex<Vec<Span>>,
    /// How late each nap ended, in microseconds.
    late_us: Mutex<Vec<u64>>,
}

/// Stretches in which this program stood still.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stalls(pub(crate) Vec<Span>);

impl StallWatch {
    /// Starts to sleep.
    pub(crate) fn start(clock: Clock) -> Self {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let sleeper = move || {
            while !own.ends.load(Ordering::Relaxed) {
                let (begin, from_us) = (Instant::now(), clock.now_us());
                std::thread::sleep(STALL_NAP);
                let late_us = begin.elapsed().saturating_sub(STALL_NAP).as_micros() as u64;
                let mut naps = own.late_us.lock().unwrap_or_else(PoisonError::into_inner);
                if naps.len() < NAPS {
                    naps.push(late_us);
                }
                drop(naps);
                if begin.elapsed() > STALL_NAP + STALL {
                    let span =
                        Span { from_us: from_us + STALL_NAP.as_micros() as u64, to_us: clock.now_us() };
                    own.stalls.lock().unwrap_or_else(PoisonError::into_inner).push(span);
                }
            }
        };
        // Without a thread nothing is measured, and nothing excused.
        let thread = std::thread::Builder::new().name("stall".into()).spawn(sleeper).ok();
        Self { shared, thread }
    }

    /// 99th percentile of how late the sleeper woke up, in milliseconds: what this machine adds to any short time.
    pub(crate) fn late_p99_ms(&self) -> f64 {
        let naps = self.shared.late_us.lock().unwrap_or_else(PoisonError::into_inner);
        measure::quantile_ms(naps.iter().copied(), 0.99).unwrap_or_default()
    }

    /// What was measured so far.
    pub(crate) fn stalls(&self) -> Stalls {
        Stalls(self.shared.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Stalls {
    /// Time that was lost within a span, in milliseconds.
    pub(crate) fn lost_ms(&self, span: Span) -> f64 {
        let inside = self.0.iter().filter(|stall| stall.overlaps(&span));
        let lost = inside.map(|stall| stall.to_us.min(span.to_us) - stall.from_us.max(span.from_us));
        lost.sum::<u64>() as f64 / 1e3
    }

    /// The longest, in milliseconds.
    pub(crate) fn longest_ms(&self) -> f64 {
        self.0.iter().map(|stall| stall.to_us - stall.from_us).max().unwrap_or_default() as f64 / 1e3
    }

    /// Whether a span touches a time in which this program stood still.
    pub(crate) fn touch(&self, span: Span) -> bool {
        self.0.iter().any(|stall| stall.overlaps(&span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_time_is_cut_to_the_span() {
        let span = |from_us, to_us| Span { from_us, to_us };
        let stalls = Stalls(vec![span(1_000, 3_000), span(10_000, 50_000)]);
        for (window, lost, touched) in
            [(span(0, 2_000), 1.0, true), (span(4_000, 9_000), 0.0, false), (span(0, 100_000), 42.0, true)]
        {
            assert_eq!((stalls.lost_ms(window), stalls.touch(window)), (lost, touched));
        }
        assert_eq!(stalls.longest_ms(), 40.0);
    }
}
