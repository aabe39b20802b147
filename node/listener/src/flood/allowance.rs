//! How many frames of each costly class a connection may still carry: token buckets that time refills and that answers refill.
//! It counts; ending a connection is its owner's business.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::frames::{Frame, kind};
use crate::limits::{
    EXPLAINED_PER_ANSWER, EXPLAINED_PER_DATA, WINDOW_UPDATE_DATA_BYTES, WINDOW_UPDATES_EXPLAINED_MAX,
};
use crate::options::Http2Options;

/// Which bound was passed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum Flood {
    #[error("too many PING frames")]
    Ping,
    #[error("too many SETTINGS or GOAWAY frames")]
    Settings,
    #[error("too many PRIORITY or unknown frames")]
    Priority,
    #[error("too many streams reset by the peer")]
    Reset,
    #[error("too many streams reset because of the peer's faults")]
    ResetSent,
    #[error("too many WINDOW_UPDATE frames")]
    WindowUpdate,
    #[error("too many empty DATA, trailing HEADERS or CONTINUATION frames")]
    Fragment,
}

/// What one connection may still do.
#[derive(Debug)]
pub(super) struct Allowance {
    window: Duration,
    pings: Bucket,
    settings: Bucket,
    priorities: Bucket,
    resets: Bucket,
    resets_sent: Bucket,
    window_updates: Bucket,
    fragments: Bucket,
    /// The newest stream the peer opened.
    newest: u32,
}

impl Allowance {
    pub(super) fn new(options: &Http2Options) -> Self {
        let now = Instant::now();
        let full = |max| Bucket { left: max, max, refilled: now };
        Self {
            window: Duration::from_millis(options.flood_window_ms),
            pings: full(options.pings_max),
            settings: full(options.settings_max),
            priorities: full(options.priorities_max),
            resets: full(options.resets_max),
            resets_sent: full(options.resets_max),
            window_updates: full(options.window_updates_max),
            fragments: full(options.fragments_max),
            newest: 0,
        }
    }

    pub(super) fn newest_stream(&self) -> u32 {
        self.newest
    }

    /// Charges a frame of the peer.
    #[inline]
    pub(super) fn charge(&mut self, frame: Frame) -> Result<(), Flood> {
        let window = self.window;
        match frame.kind {
            kind::DATA if frame.length > 0 || frame.is_last_or_ack() => Ok(()),
            kind::HEADERS if frame.stream > self.newest => {
                self.newest = frame.stream;
                Ok(())
            }
            kind::DATA | kind::HEADERS | kind::CONTINUATION => self.fragments.take(window, Flood::Fragment),
            kind::RST_STREAM => self.resets.take(window, Flood::Reset),
            kind::SETTINGS | kind::GOAWAY | kind::PUSH_PROMISE => self.settings.take(window, Flood::Settings),
            kind::PING => self.pings.take(window, Flood::Ping),
            kind::WINDOW_UPDATE => self.window_updates.take(window, Flood::WindowUpdate),
            _ => self.priorities.take(window, Flood::Priority),
        }
    }

    /// Notes a frame of ours: what it explains, the peer may do beyond its allowance.
    #[inline]
    pub(super) fn note_sent(&mut self, frame: Frame) -> Result<(), Flood> {
        match frame.kind {
            kind::DATA => {
                let explained = EXPLAINED_PER_DATA + frame.length / WINDOW_UPDATE_DATA_BYTES;
                // A client may tell what it took long after all of it was sent.
                self.window_updates.give_up_to(explained, WINDOW_UPDATES_EXPLAINED_MAX);
                self.pings.give(1);
                self.note_answer(frame);
            }
            kind::HEADERS => self.note_answer(frame),
            kind::RST_STREAM => return self.resets_sent.take(self.window, Flood::ResetSent),
            kind::PING if !frame.is_last_or_ack() => self.pings.give(1),
            kind::SETTINGS if !frame.is_last_or_ack() => self.settings.give(1),
            _ => {}
        }
        Ok(())
    }

    /// A stream that was answered in full did what streams are for.
    fn note_answer(&mut self, frame: Frame) {
        if frame.is_last_or_ack() {
            self.resets.give(1);
            self.resets_sent.give(1);
            self.fragments.give(1);
            self.priorities.give(EXPLAINED_PER_ANSWER);
            self.window_updates.give_up_to(EXPLAINED_PER_ANSWER, WINDOW_UPDATES_EXPLAINED_MAX);
        }
    }
}

/// A token bucket that reads the clock only when it is empty, so a burst may be twice its size once.
#[derive(Debug)]
struct Bucket {
    left: u32,
    /// Its size, and what one window brings.
    max: u32,
    refilled: Instant,
}

impl Bucket {
    #[inline]
    fn take(&mut self, window: Duration, flood: Flood) -> Result<(), Flood> {
        if self.left == 0 {
            self.refill(window);
        }
        self.left = self.left.checked_sub(1).ok_or(flood)?;
        Ok(())
    }

    #[inline]
    fn give(&mut self, count: u32) {
        self.give_up_to(count, 0);
    }

    /// Adds what was earned, up to the bucket's size or, when that is more, up to `most`.
    #[inline]
    fn give_up_to(&mut self, count: u32, most: u32) {
        self.left = self.left.saturating_add(count).min(self.max.max(most));
    }

    #[cold]
    fn refill(&mut self, window: Duration) {
        let now = Instant::now();
        let each = window / self.max.max(1);
        let elapsed = now.saturating_duration_since(self.refilled);
        if elapsed >= window {
            (self.left, self.refilled) = (self.max, now);
            return;
        }
        let earned = elapsed.as_nanos().checked_div(each.as_nanos()).unwrap_or_default();
        self.left = u32::try_from(earned).unwrap_or(u32::MAX).min(self.max);
        // What does not make a whole token yet stays earned.
        self.refilled += each * self.left;
    }
}

#[cfg(test)]
mod tests;
