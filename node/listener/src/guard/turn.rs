//! Whose turn it is on an HTTP/1 connection: the guard releases one head, the dispatcher answers it, then the next is read.
//! The slot also carries the verdict from one to the other, so a request the guard did not release can never be served.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::head::HeadVerdict;
use crate::refusal::Refusal;

/// What the dispatcher must do with the one request inside the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Release {
    /// The head was accepted and reached the server unchanged.
    Accepted(HeadVerdict),
    /// The head was refused and replaced by a harmless one; answer with this.
    Refused(Refusal),
}

/// What follows an answered request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Another HTTP/1 head.
    Head,
    /// The protocol was switched with status 101: bytes are no longer ours to judge.
    Raw,
}

#[derive(Debug, Default)]
struct State {
    release: Option<Release>,
    next: Option<Next>,
    fault: Option<Refusal>,
    reader: Option<Waker>,
}

/// The slot shared by guard and dispatcher of one connection; locked for a few instructions by one task.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<State>);

impl Turn {
    /// Guard: a head goes to the server.
    pub(crate) fn release(&self, release: Release) {
        let mut state = self.state();
        (state.release, state.next, state.fault) = (Some(release), None, None);
    }

    /// Guard: the body of the released request broke; its answer must be this.
    pub(crate) fn fault(&self, refusal: Refusal) {
        self.state().fault = Some(refusal);
    }

    /// Guard: waits for the answer to the released request.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state();
        match state.next {
            Some(next) => Poll::Ready(next),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Dispatcher: takes the verdict of the request that just arrived; `None` means the two sides disagree on framing.
    pub(crate) fn take(&self) -> Option<Release> {
        self.state().release.take()
    }

    /// Dispatcher: a fault found in the body meanwhile.
    pub(crate) fn take_fault(&self) -> Option<Refusal> {
        self.state().fault.take()
    }

    /// Dispatcher: the answer is complete; the first call for a request counts.
    pub(crate) fn answered(&self, next: Next) {
        let reader = {
            let mut state = self.state();
            state.next.get_or_insert(next);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
