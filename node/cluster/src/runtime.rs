//! The seam of time and tasks: all spawning, sleeping and clock reading of the replicated part goes through here, so
//! that the same code runs on tokio and on the simulator's virtual clock. Must never read another clock.

use openraft_rt::{AsyncRuntime, Instant as _};
use std::{future::Future, time::Duration};

/// The executor: tokio in production.
#[cfg(not(feature = "sim"))]
pub(crate) type Rt = openraft_rt_tokio::TokioRuntime;
/// The executor: virtual time, one thread, seeded, a clock for each node.
#[cfg(feature = "sim")]
pub(crate) type Rt = clock::Executor;

#[cfg(feature = "sim")]
pub(crate) mod clock;
#[cfg(feature = "sim")]
pub mod watch;
/// Values that others follow.
#[cfg(not(feature = "sim"))]
pub(crate) use tokio::sync::watch;

/// A reading of the executor's monotonic clock.
pub(crate) type Instant = <Rt as AsyncRuntime>::Instant;

/// A task that is cancelled when this handle is dropped.
#[must_use]
pub(crate) struct Task(futures_util::future::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a task to its end, whoever drops what.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    drop(Rt::spawn(future));
}

/// Runs a task for as long as the handle lives.
pub(crate) fn spawn_scoped(future: impl Future<Output = ()> + Send + 'static) -> Task {
    let (future, abort) = futures_util::future::abortable(future);
    spawn(async move {
        let _cancelled = future.await;
    });
    Task(abort)
}

/// Sleeps for `time`.
pub(crate) async fn sleep(time: Duration) {
    Rt::sleep(time).await;
}

/// Waits for `future`, at most for `time`; `None` when the time is over.
pub(crate) async fn timeout<T>(time: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
    Rt::timeout(time, future).await.ok()
}

/// The clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since `then`.
pub(crate) fn elapsed_ms(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Runs blocking work away from the executor's threads; the simulator runs it in place. `None` when it panicked.
#[cfg(not(feature = "sim"))]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Runs blocking work away from the executor's threads; the simulator runs it in place. `None` when it panicked.
#[cfg(feature = "sim")]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    Some(work())
}

/// Runs a task if there is an executor to run it; used where a value is dropped.
pub(crate) fn spawn_if_possible(future: impl Future<Output = ()> + Send + 'static) {
    #[cfg(feature = "sim")]
    let possible = openraft_rt_sim::SimInstant::try_now().is_some();
    #[cfg(not(feature = "sim"))]
    let possible = tokio::runtime::Handle::try_current().is_ok();
    if possible {
        spawn(future);
    }
}
