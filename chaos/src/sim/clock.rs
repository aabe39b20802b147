//! The clocks of a node: a monotonic one that runs a little fast or slow, and a wall clock that can be wrong.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use tidegate_cluster_sim::{NodeId, sim::Stopwatch};
use tidegate_throttle::Now;

/// The clock of leases is ahead of that of decisions, so that one taken for the other shows.
const BOOT_AHEAD_NS: u64 = 77_000_000_000;
/// Clocks run apart by up to this, in parts of a million.
pub(crate) const DRIFT_PPM: i64 = 200;
/// When every run begins, in seconds since 1970-01-01: two minutes before a midnight.
pub(crate) const BEGAN_S: i64 = 20_000 * 86_400 - 120;
const DAY_S: i64 = 86_400;

/// The clocks of one node.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Stopwatch,
    ppm: i64,
    off_s: AtomicI64,
}

impl Clock {
    /// The clocks of a node: neighbours differ by much of the drift that is allowed.
    pub(crate) fn new(began: Stopwatch, node: NodeId) -> Self {
        let ppm = [0, DRIFT_PPM, -DRIFT_PPM][(node % 3) as usize];
        Self { began, ppm, off_s: AtomicI64::new(0) }
    }

    /// Both monotonic clocks.
    pub(crate) fn now(&self) -> Now {
        let ns = i128::from(self.began.ns());
        let now_ns = u64::try_from(ns + ns * i128::from(self.ppm) / 1_000_000).unwrap_or(0);
        Now { now_ns, boot_ns: now_ns + BOOT_AHEAD_NS }
    }

    /// Days since 1970-01-01, as this node has it.
    pub(crate) fn today(&self) -> u32 {
        let now_s = BEGAN_S + (self.began.ns() / 1_000_000_000) as i64 + self.off_s.load(Relaxed);
        u32::try_from(now_s / DAY_S).unwrap_or(0)
    }

    /// From now on the wall clock is wrong by this much.
    pub(crate) fn set_off(&self, seconds: i64) {
        self.off_s.store(seconds, Relaxed);
    }
}
