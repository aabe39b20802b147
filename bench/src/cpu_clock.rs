//! The processor time of this thread: what an operation costs, whatever else the machine does meanwhile.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment on the thread's own clock, which stands still while the thread does not run.
#[derive(Clone, Copy, Debug)]
pub struct CpuInstant(Duration);

impl CpuInstant {
    /// This moment.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Self(Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32))
    }

    /// Processor time since then, on the same thread.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_free_and_work_is_not() {
        let start = CpuInstant::now();
        std::thread::sleep(Duration::from_millis(30));
        assert!(start.elapsed() < Duration::from_millis(15), "{:?}", start.elapsed());
        let (start, mut sum) = (CpuInstant::now(), 0_u64);
        while start.elapsed() < Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
