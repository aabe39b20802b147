//! A harness for whole clusters on a virtual clock: the real consensus, log writer, forwarding and placement over a network and disks in
//! memory. A run is decided by its seed and uses one thread. Owns nodes and what carries them; must never judge what they do.

mod cluster;
#[cfg(test)]
mod tests;

pub use crate::{
    runtime::{clock::Clock, watch},
    store::memory::Disk,
    transport::memory::{Switch, Weather},
};
pub use cluster::{Cluster, Inboxes, Machines, Place, Plan};

use crate::runtime::{self, Rt};
use openraft_rt::AsyncRuntime as _;
use std::time::Duration;

/// Runs `work` to its end on a fresh virtual clock of this thread; what was spawned and still runs then is dropped.
pub fn block_on<T>(seed: u64, work: impl Future<Output = T>) -> T {
    Rt::with_seed(seed).block_on(work)
}

/// Sleeps, by the clock of the task.
pub async fn sleep(time: Duration) {
    runtime::sleep(time).await;
}

/// Waits for `future`, at most for `time` by the clock of the task; `None` when the time is over.
pub async fn timeout<T>(time: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
    runtime::timeout(time, future).await
}

/// Runs a task to its end, whoever drops what.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    runtime::spawn(future);
}

/// Runs a task for as long as the handle lives.
pub fn spawn_scoped(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(runtime::spawn_scoped(future))
}

/// A task that is cancelled when this handle is dropped.
#[must_use]
pub struct Task(#[expect(dead_code, reason = "its drop is what counts")] runtime::Task);

/// A stopwatch of virtual time, whatever clock a task runs on; started when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(runtime::Instant);

impl Stopwatch {
    /// Starts one.
    pub fn start() -> Self {
        Self(runtime::now())
    }

    /// Since the start, in nanoseconds.
    pub fn ns(&self) -> u64 {
        u64::try_from(self.0.passed().as_nanos()).unwrap_or(u64::MAX)
    }
}
