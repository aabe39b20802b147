//! One restartable time bound. Setting it costs one clock read; the timer itself is touched only when something must wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Duration, Instant, Sleep, sleep_until};

/// A deadline that can be moved cheaply.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Moves the deadline to `bound` from now.
    pub(crate) fn set(&mut self, bound: Duration) {
        self.deadline = Instant::now().checked_add(bound);
    }

    /// Waits for nothing any more.
    pub(crate) fn clear(&mut self) {
        self.deadline = None;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.deadline.is_some()
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Ready once the deadline has passed; registers for it otherwise.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(())
    }
}
