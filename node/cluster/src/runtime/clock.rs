//! Clocks of simulated nodes that run faster or slower than virtual time: what a node's tasks measure, sleep and wait for is in its own
//! seconds. A task runs on the clock of the task that spawned it. Points in time are those of virtual time, so that one that is handed to
//! another node stays what it is; only the distance between two is measured by whoever asks.

use openraft_rt::{AsyncRuntime, Instant as _, OptionalSend};
use openraft_rt_sim::{SimInstant, SimRuntime};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    ops::{Add, AddAssign, Sub, SubAssign},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// A clock that is right, in parts of a million.
const RIGHT_PPM: u64 = 1_000_000;

thread_local! {
    /// The clock of the task that is being polled.
    static CURRENT: RefCell<Clock> = const { RefCell::new(Clock(None)) };
}

/// A clock; cheap to clone. The default one is right for ever.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// A clock that is right until something else is said.
    pub(crate) fn new() -> Self {
        Self(Some(Arc::new(AtomicU64::new(RIGHT_PPM))))
    }

    /// From now on it counts so many seconds in a million of virtual time. What was begun before ends when it would have.
    pub fn set_rate_ppm(&self, ppm: u64) {
        if let Some(rate) = &self.0 {
            rate.store(ppm.max(1), Relaxed);
        }
    }

    /// Runs `future` on this clock, and what it spawns.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut clock = self.clone();
        let mut future = pin!(future);
        poll_fn(|task| {
            let _turn = Turn::begin(&mut clock);
            future.as_mut().poll(task)
        })
        .await
    }

    /// Does `work` on this clock.
    pub fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut clock = self.clone();
        let _turn = Turn::begin(&mut clock);
        work()
    }

    /// The clock of the task that is being polled.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    fn rate_ppm() -> u64 {
        CURRENT.with_borrow(|clock| clock.0.as_ref().map_or(RIGHT_PPM, |rate| rate.load(Relaxed)))
    }
}

/// While it lives, a clock has changed places with that of the thread.
struct Turn<'a>(&'a mut Clock);

impl<'a> Turn<'a> {
    fn begin(clock: &'a mut Clock) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, clock));
        Self(clock)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

/// How long virtual time takes for what the current clock counts as `time`, rounded up: a deadline that was slept for has come.
fn to_virtual(time: Duration) -> Duration {
    match Clock::rate_ppm() {
        RIGHT_PPM => time,
        ppm => nanos((time.as_nanos() * u128::from(RIGHT_PPM)).div_ceil(u128::from(ppm))),
    }
}

/// What the current clock counts while virtual time takes `time`.
fn from_virtual(time: Duration) -> Duration {
    match Clock::rate_ppm() {
        RIGHT_PPM => time,
        ppm => nanos(time.as_nanos() * u128::from(ppm) / u128::from(RIGHT_PPM)),
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Lets virtual time pass that no node measures: on wires, and in disks.
pub(crate) async fn pass(time: Duration) {
    SimRuntime::sleep(time).await;
}

/// A point of virtual time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instant(SimInstant);

impl Instant {
    /// Virtual time since then, by no node's clock.
    pub(crate) fn passed(self) -> Duration {
        SimInstant::now() - self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + to_virtual(time))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - to_virtual(time))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, time: Duration) {
        *self = *self - time;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        from_virtual(self.0 - earlier.0)
    }
}

impl openraft_rt::Instant for Instant {
    fn now() -> Self {
        Self(SimInstant::now())
    }
}

/// The simulator's executor with a clock for each task.
#[derive(Debug)]
pub(crate) struct Executor(SimRuntime);

impl Executor {
    /// Of a run that this seed decides.
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(SimRuntime::with_seed(seed))
    }
}

impl AsyncRuntime for Executor {
    type JoinError = <SimRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <SimRuntime as AsyncRuntime>::Sleep;
    type Instant = Instant;
    type TimeoutError = <SimRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <SimRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <SimRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <SimRuntime as AsyncRuntime>::Mpsc;
    type Watch = <SimRuntime as AsyncRuntime>::Watch;
    type Oneshot = <SimRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        let clock = Clock::current();
        SimRuntime::spawn(async move { clock.run(future).await })
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        SimRuntime::sleep(to_virtual(duration))
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        SimRuntime::sleep_until(deadline.0)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        SimRuntime::timeout(to_virtual(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        SimRuntime::timeout_at(deadline.0, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        SimRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SimRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(SimRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        SimRuntime::spawn_blocking(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn at(ppm: u64) -> Clock {
        let clock = Clock::new();
        clock.set_rate_ppm(ppm);
        clock
    }

    #[test]
    fn every_task_has_its_own_seconds() {
        Executor::with_seed(1).block_on(async {
            let second = Duration::from_secs(1);
            for (ppm, takes_ms) in [(RIGHT_PPM, 1_000), (2_000_000, 500), (500_000, 2_000), (800_000, 1_250)]
            {
                let (clock, began) = (at(ppm), Instant::now());
                let slept = clock.run(async {
                    let began = Instant::now();
                    Executor::sleep(second).await;
                    let (slept, deadline) = (began.elapsed(), began + second);
                    assert!(Instant::now() >= deadline, "{ppm}");
                    Executor::sleep_until(deadline + second).await;
                    let late = Executor::timeout(second, std::future::pending::<()>()).await;
                    assert!(late.is_err());
                    // What it spawns runs on its clock.
                    Executor::spawn(async move { Executor::sleep(second).await }).await.unwrap();
                    slept
                });
                assert_eq!(slept.await, second, "{ppm}");
                assert_eq!(began.passed(), Duration::from_millis(4 * takes_ms), "{ppm}");
                assert_eq!(Instant::now() - began, Duration::from_millis(4 * takes_ms), "{ppm}");
            }
        });
    }

    #[test]
    fn deadlines_that_were_slept_for_have_come_at_any_rate() {
        Executor::with_seed(2).block_on(async {
            for ppm in [1, 3, 333_333, 999_999, 1_000_001, 1_234_567, 7_777_777] {
                at(ppm)
                    .run(async {
                        for ns in [1, 2, 1_000, 999_999_999] {
                            let (began, time) = (Instant::now(), Duration::from_nanos(ns));
                            Executor::sleep(time).await;
                            assert!(began.elapsed() >= time && Instant::now() >= began + time, "{ppm} {ns}");
                        }
                    })
                    .await;
            }
        });
    }

    #[test]
    fn one_clock_inside_another_gives_way() {
        let (outer, inner) = (at(2_000_000), at(500_000));
        let seen = Mutex::new(Vec::new());
        let see = || seen.lock().unwrap().push(Clock::rate_ppm());
        outer.with(|| {
            see();
            inner.with(see);
            see();
        });
        see();
        assert_eq!(*seen.lock().unwrap(), [2_000_000, 500_000, 2_000_000, RIGHT_PPM]);
    }
}
