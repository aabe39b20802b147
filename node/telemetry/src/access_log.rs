//! The access log: one line per request, written in AWS's `$context` language, never at the cost of the request.
//!
//! A [`Format`] is compiled once. [`Handle::write`] renders [`Facts`], such as a [`Record`], into a buffer of the current thread
//! and returns; a background thread empties the buffers. What does not fit is dropped and counted. A value can never break out of its place in
//! a line, whatever a client sent.

mod clock;
mod digits;
mod escape;
mod format;
mod literal;
mod record;
mod service;
mod variable;

pub use format::{DEFAULT_FORMAT, Format, FormatError};
pub use record::{PhaseTimes, Record};
pub use service::{CounterValues, Destination, Error, Handle, Options, Service};
pub use variable::{Facts, Value, Variable};
