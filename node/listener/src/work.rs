//! How busy one connection is: requests inside, answers the peer does not take, DATA on its way. It counts and ends nothing.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The work of one connection.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Requests from arrival until the last byte of the answer was handed to the server.
    inside: AtomicUsize,
    /// Those among them whose answer has more to give than the server asks for.
    held: AtomicUsize,
    /// DATA frames sent on an HTTP/2 connection.
    sent: AtomicUsize,
}

impl Work {
    pub(crate) fn begin(&self) {
        self.inside.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self) {
        self.inside.fetch_sub(1, Relaxed);
    }

    pub(crate) fn hold(&self) {
        self.held.fetch_add(1, Relaxed);
    }

    pub(crate) fn resume(&self) {
        self.held.fetch_sub(1, Relaxed);
    }

    /// Notes a DATA frame; only one task writes a connection.
    pub(crate) fn note_sent(&self) {
        self.sent.store(self.sent.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// While no request is inside, a mark that moves as long as answers are still being sent.
    pub(crate) fn idle_mark(&self) -> Option<usize> {
        (self.inside.load(Relaxed) == 0).then(|| self.sent.load(Relaxed))
    }

    /// While every request inside waits for the peer to take its answer, a mark that moves as soon as it takes some.
    pub(crate) fn stall_mark(&self) -> Option<usize> {
        let held = self.held.load(Relaxed);
        (held > 0 && held == self.inside.load(Relaxed)).then(|| self.sent.load(Relaxed))
    }
}
