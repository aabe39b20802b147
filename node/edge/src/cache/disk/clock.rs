//! The two clocks of answers that outlive a process. Owns that what was written before is as old as the wall clock said at the start,
//! and grows older with the clock that nobody sets.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since 1970 that never goes back while the process runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Origin of the clock of the shards.
    origin: Instant,
    /// What the wall clock said then, in nanoseconds since 1970.
    origin_ns: u64,
}

impl Clock {
    /// Takes the wall clock for right as it is now.
    pub(super) fn new(origin: Instant) -> Self {
        Self::at(origin, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// A clock that says now that so much has passed since 1970.
    pub(super) fn at(origin: Instant, wall: Duration) -> Self {
        Self { origin, origin_ns: nanos(wall.saturating_sub(origin.elapsed())) }
    }

    /// Now, on the clock of the shards, in nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        nanos(self.origin.elapsed())
    }

    /// Now, in milliseconds since 1970.
    pub(super) fn wall_ms(&self) -> u64 {
        self.wall_ns(self.now_ns()) / 1_000_000
    }

    /// What the clock of the shards calls `moment_ns`, in nanoseconds since 1970.
    pub(super) fn wall_ns(&self, moment_ns: u64) -> u64 {
        self.origin_ns.saturating_add(moment_ns)
    }

    /// A moment since 1970 on the clock of the shards, and what of it lies before that clock began; both in nanoseconds.
    pub(super) fn moment_ns(&self, wall_ns: u64) -> (u64, u64) {
        (wall_ns.saturating_sub(self.origin_ns), self.origin_ns.saturating_sub(wall_ns))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
