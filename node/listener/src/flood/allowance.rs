//! How many frames of each costly class a connection may still carry: token buckets that time refills and that answers refill.
//! It counts; ending a connection is its owner's business.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::frames::{Frame, kind};
use crate::limits::{
    PRIORITIES_PER_ANSWER, WINDOW_UPDATE_DATA_BYTES, WINDOW_UPDATES_OWED_MAX, WINDOW_UPDATES_PER_DATA,
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
    sent: Sent,
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

/// What we sent and what it explains, as counters that wrap.
#[derive(Debug, Default)]
struct Sent {
    answers: u32,
    data: u32,
    window_updates: u32,
    pings: u32,
    settings: u32,
}

impl Allowance {
    pub(super) fn new(options: &Http2Options) -> Self {
        let now = Instant::now();
        let full = |max| Bucket { left: max, max, owed_max: max, paid: 0, refilled: now };
        Self {
            window: Duration::from_millis(options.flood_window_ms),
            sent: Sent::default(),
            pings: full(options.pings_max),
            settings: full(options.settings_max),
            priorities: full(options.priorities_max),
            resets: full(options.resets_max),
            resets_sent: full(options.resets_max),
            window_updates: Bucket { owed_max: WINDOW_UPDATES_OWED_MAX, ..full(options.window_updates_max) },
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
        let (window, sent) = (self.window, &self.sent);
        let (bucket, explained, flood) = match frame.kind {
            kind::DATA if frame.length > 0 || frame.is_last_or_ack() => return Ok(()),
            kind::HEADERS if frame.stream > self.newest => {
                self.newest = frame.stream;
                return Ok(());
            }
            kind::DATA | kind::HEADERS | kind::CONTINUATION => {
                (&mut self.fragments, sent.answers, Flood::Fragment)
            }
            kind::RST_STREAM => (&mut self.resets, sent.answers, Flood::Reset),
            kind::SETTINGS | kind::GOAWAY | kind::PUSH_PROMISE => {
                (&mut self.settings, sent.settings, Flood::Settings)
            }
            kind::PING => (&mut self.pings, sent.pings.wrapping_add(sent.data), Flood::Ping),
            kind::WINDOW_UPDATE => (&mut self.window_updates, sent.window_updates, Flood::WindowUpdate),
            _ => (&mut self.priorities, sent.answers.wrapping_mul(PRIORITIES_PER_ANSWER), Flood::Priority),
        };
        bucket.take(window, explained, flood)
    }

    /// Notes a frame of ours: what it explains, the peer may do beyond its allowance.
    #[inline]
    pub(super) fn note_sent(&mut self, frame: Frame) -> Result<(), Flood> {
        let sent = &mut self.sent;
        match frame.kind {
            kind::DATA => {
                sent.data = sent.data.wrapping_add(1);
                let explained = WINDOW_UPDATES_PER_DATA + frame.length / WINDOW_UPDATE_DATA_BYTES;
                sent.window_updates = sent.window_updates.wrapping_add(explained);
                sent.answers = sent.answers.wrapping_add(u32::from(frame.is_last_or_ack()));
            }
            kind::HEADERS => sent.answers = sent.answers.wrapping_add(u32::from(frame.is_last_or_ack())),
            kind::RST_STREAM => return self.resets_sent.take(self.window, sent.answers, Flood::ResetSent),
            kind::PING if !frame.is_last_or_ack() => sent.pings = sent.pings.wrapping_add(1),
            kind::SETTINGS if !frame.is_last_or_ack() => sent.settings = sent.settings.wrapping_add(1),
            _ => {}
        }
        Ok(())
    }
}

/// A token bucket that looks at the clock and at what explains its frames only when it is empty, so a burst may be a few
/// times its size.
#[derive(Debug)]
struct Bucket {
    left: u32,
    /// Its size, and what one window brings.
    max: u32,
    /// What explanations may bring at once.
    owed_max: u32,
    /// How far explanations were turned into tokens.
    paid: u32,
    refilled: Instant,
}

impl Bucket {
    #[inline]
    fn take(&mut self, window: Duration, explained: u32, flood: Flood) -> Result<(), Flood> {
        if self.left == 0 {
            self.refill(window, explained);
        }
        self.left = self.left.checked_sub(1).ok_or(flood)?;
        Ok(())
    }

    #[cold]
    fn refill(&mut self, window: Duration, explained: u32) {
        self.left = explained.wrapping_sub(self.paid).min(self.owed_max);
        self.paid = explained;
        if self.left == 0 {
            self.left = self.earn(window);
        }
    }

    fn earn(&mut self, window: Duration) -> u32 {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.refilled);
        if elapsed >= window {
            self.refilled = now;
            return self.max;
        }
        let each = window / self.max.max(1);
        let earned = elapsed.as_nanos().checked_div(each.as_nanos()).unwrap_or_default();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX).min(self.max);
        // What does not make a whole token yet stays earned.
        self.refilled += each * earned;
        earned
    }
}

#[cfg(test)]
mod tests;
