//! What keeps the deadlines of one shard's fast path, frees the buffers that it does not need, and tells its connections when
//! draining begins. Without connections there is nothing to keep: then it rests, and an idle shard sleeps.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time;

use crate::connection::{Phase, Shared};
use crate::direct::Desk;
use crate::limits::{REST_MS, SWEEP_MS, TRIM_MS};

/// Sweeps between two trims.
const TRIM_SWEEPS: u64 = TRIM_MS / SWEEP_MS;
/// Sweeps without a connection until the sweeper rests.
const REST_SWEEPS: u64 = REST_MS / SWEEP_MS;

/// The sweeper of one shard.
#[derive(Debug)]
pub(crate) struct Sweeper {
    desk: Rc<Desk>,
    shared: Arc<Shared>,
    is_resting: Cell<bool>,
    arrival: Notify,
}

impl Sweeper {
    pub(crate) fn new(shared: &Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            desk: Rc::new(Desk::new(shared)),
            shared: Arc::clone(shared),
            is_resting: Cell::new(false),
            arrival: Notify::new(),
        })
    }

    /// The desk for a connection that has just arrived; while anyone holds it, deadlines are kept.
    pub(crate) fn desk(&self) -> Rc<Desk> {
        if self.is_resting.replace(false) {
            // Deadlines count from the last sweep, and that was before the rest.
            self.desk.sweep(Instant::now());
            self.arrival.notify_one();
        }
        Rc::clone(&self.desk)
    }

    /// Never ends.
    pub(crate) async fn run(self: Rc<Self>) {
        let (mut told, mut sheds) = (Phase::Serving, *self.shared.sheds.borrow());
        let mut quiet = 0;
        for sweeps in 1_u64.. {
            time::sleep(Duration::from_millis(SWEEP_MS)).await;
            self.desk.sweep(Instant::now());
            if sweeps.is_multiple_of(TRIM_SWEEPS) {
                self.desk.buffers.trim();
            }
            let phase = *self.shared.phase.borrow();
            if phase > told {
                self.desk.alarms.drain(phase == Phase::Cutting);
                told = phase;
            }
            let asked = *self.shared.sheds.borrow();
            if asked > sheds {
                self.desk.alarms.shed();
                sheds = asked;
            }
            quiet = if self.is_alone() { quiet + 1 } else { 0 };
            if quiet >= REST_SWEEPS && phase == Phase::Serving {
                self.rest().await;
                quiet = 0;
            }
        }
    }

    /// Waits for a connection, or for the end.
    async fn rest(&self) {
        self.is_resting.set(true);
        tokio::select! {
            () = self.arrival.notified() => {}
            () = self.shared.reached(Phase::Draining) => {}
        }
        self.is_resting.set(false);
    }

    fn is_alone(&self) -> bool {
        Rc::strong_count(&self.desk) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::options::Options;
    use tokio::sync::watch;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    fn shared() -> Arc<Shared> {
        let (options, counters) = (Options::default(), Arc::new(Counters::default()));
        Arc::new(Shared {
            options,
            counters,
            phase: watch::Sender::new(Phase::Serving),
            sheds: watch::Sender::new(0),
            tls: None,
        })
    }

    async fn pass(time: Duration) {
        time::advance(time).await;
        yield_now().await;
    }

    /// Virtual time goes on a sweep at a time, so that the sweeper is polled in between.
    async fn pass_sweeps(count: u64) {
        for _ in 0..count {
            pass(Duration::from_millis(SWEEP_MS)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_while_nobody_is_there() {
        let act = async {
            let sweeper = Sweeper::new(&shared());
            let held = sweeper.desk();
            spawn_local(Rc::clone(&sweeper).run());
            pass_sweeps(2 * REST_SWEEPS).await;
            assert!(!sweeper.is_resting.get(), "a connection is there");
            drop(held);
            pass_sweeps(2 * REST_SWEEPS).await;
            assert!(sweeper.is_resting.get(), "nobody is there");
            let _held = sweeper.desk();
            assert!(!sweeper.is_resting.get(), "a connection has come");
            pass_sweeps(2 * REST_SWEEPS).await;
            assert!(!sweeper.is_resting.get(), "and stays");
        };
        LocalSet::new().run_until(act).await;
    }

    #[tokio::test(start_paused = true)]
    async fn draining_ends_the_rest() {
        let act = async {
            let shared = shared();
            let sweeper = Sweeper::new(&shared);
            spawn_local(Rc::clone(&sweeper).run());
            pass_sweeps(2 * REST_SWEEPS).await;
            assert!(sweeper.is_resting.get());
            shared.phase.send_replace(Phase::Draining);
            pass_sweeps(2).await;
            assert!(sweeper.desk.alarms.is_draining() && !sweeper.is_resting.get());
        };
        LocalSet::new().run_until(act).await;
    }
}
