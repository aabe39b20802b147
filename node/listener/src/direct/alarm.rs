//! Deadlines of many connections for the price of one store each: a table of words, and a sweeper that looks at all of them.
//!
//! A timer per wait costs more than the rest of a small request. Here a wait stores the moment it must end by into the
//! connection's word; [`Alarms::sweep`] runs every [`SWEEP_MS`] and wakes the tasks whose moment has passed. A deadline is
//! therefore kept up to one sweep late, never early. One thread only: no atomics.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::limits::SWEEP_MS;

/// No deadline.
const NEVER: u64 = u64::MAX;
/// The deadline has passed.
const RUNG: u64 = 0;

/// The deadlines of one shard.
#[derive(Debug)]
pub struct Alarms {
    origin: Instant,
    /// Milliseconds since the origin at the last sweep.
    now_ms: Cell<u64>,
    slots: RefCell<Slots>,
    is_draining: Cell<bool>,
    is_cutting: Cell<bool>,
    /// How often the connections of the moment were asked to leave.
    sheds: Cell<u32>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Apart from the wakers, so that a sweep over idle connections stays in a few cache lines.
    words: Vec<u64>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Alarms {
    /// No deadlines yet.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            origin: Instant::now(),
            now_ms: Cell::new(1),
            slots: RefCell::default(),
            is_draining: Cell::new(false),
            is_cutting: Cell::new(false),
            sheds: Cell::new(0),
        })
    }

    /// A deadline, not yet set, for the task that `waker` wakes.
    pub fn register(self: &Rc<Self>, waker: Waker) -> Alarm {
        let mut slots = self.slots.borrow_mut();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                slots.words.push(NEVER);
                slots.wakers.push(None);
                slots.words.len() - 1
            }
        };
        if let Some(place) = slots.wakers.get_mut(slot) {
            *place = Some(waker);
        }
        Alarm { alarms: Rc::clone(self), slot, sheds: self.sheds.get() }
    }

    /// Wakes every task whose deadline lies before `now`.
    pub fn sweep(&self, now: Instant) {
        let now_ms = self.ms(now);
        self.now_ms.set(now_ms);
        let mut slots = self.slots.borrow_mut();
        let Slots { words, wakers, .. } = &mut *slots;
        for (word, waker) in words.iter_mut().zip(wakers) {
            if *word <= now_ms && *word != RUNG {
                *word = RUNG;
                if let Some(waker) = waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Wakes every task, so that idle connections notice that draining has begun; with `cut`, all waits fail from now on.
    pub(crate) fn drain(&self, cut: bool) {
        self.is_draining.set(true);
        self.is_cutting.set(cut);
        self.slots.borrow().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }

    /// Asks the connections of the moment to end after the request at hand; later ones stay.
    pub(crate) fn shed(&self) {
        self.sheds.set(self.sheds.get().wrapping_add(1));
        self.slots.borrow().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }

    /// Whether all connections should end after the request at hand.
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    fn ms(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.origin).as_millis();
        u64::try_from(since).unwrap_or(NEVER - 1).saturating_add(1)
    }
}

/// The deadline of one connection.
#[derive(Debug)]
pub struct Alarm {
    alarms: Rc<Alarms>,
    slot: usize,
    /// Askings to leave that were before this connection.
    sheds: u32,
}

impl Alarm {
    /// Every wait from now on must end within `bound_ms`; counted from the last sweep, so a clock need not be read.
    pub fn set(&self, bound_ms: u64) {
        // Time has passed since the last sweep; a deadline may come late but not early.
        self.store(self.alarms.now_ms.get().saturating_add(bound_ms).saturating_add(SWEEP_MS));
    }

    /// Every wait from now on must end by `moment`.
    pub fn set_at(&self, moment: Instant) {
        self.store(self.alarms.ms(moment));
    }

    /// Waits may last.
    pub fn clear(&self) {
        self.store(NEVER);
    }

    /// Whether the deadline has passed.
    pub fn has_rung(&self) -> bool {
        self.alarms.is_cutting.get() || self.alarms.slots.borrow().words.get(self.slot) == Some(&RUNG)
    }

    /// Whether the connection should end after the request at hand.
    pub fn is_draining(&self) -> bool {
        self.alarms.is_draining.get() || self.alarms.sheds.get() != self.sheds
    }

    /// A wait under the deadline: what is still pending when it has passed fails with `TimedOut`.
    pub fn watch<T>(&self, wait: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match wait {
            Poll::Pending if self.has_rung() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            wait => wait,
        }
    }

    fn store(&self, word: u64) {
        if let Some(place) = self.alarms.slots.borrow_mut().words.get_mut(self.slot) {
            *place = word;
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut slots = self.alarms.slots.borrow_mut();
        if let Some(word) = slots.words.get_mut(self.slot) {
            *word = NEVER;
        }
        if let Some(waker) = slots.wakers.get_mut(self.slot) {
            *waker = None;
        }
        slots.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;
    use std::time::Duration;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn timed_out(alarm: &Alarm) -> bool {
        matches!(alarm.watch(Poll::<io::Result<()>>::Pending), Poll::Ready(Err(_)))
    }

    #[test]
    fn a_deadline_rings_once_it_has_passed_and_never_before() {
        let (alarms, count) = (Alarms::new(), Arc::new(Count::default()));
        let alarm = alarms.register(Waker::from(Arc::clone(&count)));
        let at = |ms| alarms.origin + Duration::from_millis(ms);
        alarm.set(1_000);
        for (ms, rings, is_late) in
            [(999, 0, false), (1_000 + SWEEP_MS - 1, 0, false), (1_001 + SWEEP_MS, 1, true), (9_000, 1, true)]
        {
            alarms.sweep(at(ms));
            assert_eq!((count.0.load(Relaxed), timed_out(&alarm)), (rings, is_late), "after {ms} ms");
        }
        alarm.set(5);
        assert!(!timed_out(&alarm));
        alarm.set_at(at(9_100));
        alarms.sweep(at(9_099));
        assert!(!timed_out(&alarm));
        alarms.sweep(at(9_100));
        assert!(timed_out(&alarm));
        alarm.clear();
        alarms.sweep(at(99_000));
        assert!(!timed_out(&alarm));
    }

    #[test]
    fn slots_are_used_again_and_dropped_ones_are_silent() {
        let (alarms, count) = (Alarms::new(), Arc::new(Count::default()));
        for _ in 0..100 {
            let alarm = alarms.register(Waker::from(Arc::clone(&count)));
            alarm.set(0);
        }
        alarms.sweep(alarms.origin + Duration::from_secs(1));
        assert_eq!((count.0.load(Relaxed), alarms.slots.borrow().words.len()), (0, 1));
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn only_connections_of_the_moment_are_shed() {
        let (alarms, count) = (Alarms::new(), Arc::new(Count::default()));
        let before = alarms.register(Waker::from(Arc::clone(&count)));
        alarms.shed();
        let after = alarms.register(Waker::from(Arc::clone(&count)));
        assert_eq!((before.is_draining(), after.is_draining()), (true, false));
        assert!(!timed_out(&before) && !alarms.is_draining());
        assert_eq!(count.0.load(Relaxed), 1);
    }

    #[test]
    fn draining_wakes_all_and_cutting_ends_every_wait() {
        let (alarms, count) = (Alarms::new(), Arc::new(Count::default()));
        let alarm = alarms.register(Waker::from(Arc::clone(&count)));
        alarms.drain(false);
        assert!(alarm.is_draining() && !timed_out(&alarm));
        alarms.drain(true);
        assert!(timed_out(&alarm));
        assert_eq!(count.0.load(Relaxed), 2);
    }
}
