//! Virtual time: nanoseconds since a simulation began. Owns the units; must never read a clock.

/// Nanoseconds of a microsecond.
pub(crate) const US: u64 = 1_000;
/// Nanoseconds of a millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of so many seconds.
pub(crate) fn ns(seconds: f64) -> u64 {
    (seconds * SECOND as f64).round() as u64
}

/// Seconds of so many nanoseconds.
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}
