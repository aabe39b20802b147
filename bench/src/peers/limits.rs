//! Every bound of `bench peers`: times, counts, sizes.

use std::time::Duration;

/// A gateway listens on all its ports by then.
pub(crate) const GATEWAY_START: Duration = Duration::from_secs(30);
/// A gateway that was asked to stop has ended by then; it is killed otherwise.
pub(crate) const GATEWAY_STOP: Duration = Duration::from_secs(3);
/// Between two looks at something that takes a while.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// A freshly deployed API is served by then.
pub(crate) const PROVISION: Duration = Duration::from_secs(30);
/// One probe of a gateway that may not answer yet.
pub(crate) const PROBE: Duration = Duration::from_secs(2);
/// Answers still owed when a run ends must arrive within this.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// A TCP connection on loopback is up by then.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// The load process answers an order this much later than its own times at the latest.
pub(crate) const ORDER_GRACE: Duration = Duration::from_secs(30);
/// Memory is read this long after the last answer, so that what a gateway frees at once is freed.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// `--version` of a peer answers by then.
pub(crate) const VERSION: Duration = Duration::from_secs(10);

/// A run with more wrong answers than this ends at once.
pub(crate) const ERRORS_MAX: u64 = 200;
/// Most connections that wait for their first answer while a crowd of idle ones is built up.
pub(crate) const OPENING_MAX: usize = 64;
/// Most scheduled requests that wait for a free connection; beyond it the gateway cannot keep the rate.
pub(crate) const OVERDUE_MAX: usize = 100_000;
/// Longest head of a message.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes taken from a socket at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;
/// Events taken from the kernel at once.
pub(crate) const EVENTS: usize = 512;
/// Longest order.
pub(crate) const ORDER_BYTES_MAX: usize = 64 * 1024;
/// Processes of one gateway.
pub(crate) const PROCESSES_MAX: usize = 1_000;
/// Rounds a person may ask for.
pub(crate) const ROUNDS_MAX: u32 = 1_000;
/// Seconds of one run a person may ask for.
pub(crate) const SECONDS_MAX: f64 = 600.0;
