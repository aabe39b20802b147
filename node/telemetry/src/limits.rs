//! Bounds of the telemetry crate. It depends on no other crate of the workspace, so it keeps its own table.

/// Series of plain metrics one registry holds.
pub const SERIES_MAX: usize = 50_000;
/// Default bound of routes metered one by one; the rest shares one overflow block.
pub const ROUTES_MAX: usize = 5_000;
/// Bytes of one label value; longer ones are cut.
pub const LABEL_BYTES_MAX: usize = 256;
/// Threads that count without meeting each other; more threads share.
pub(crate) const SLOTS: usize = 16;

/// Bytes of an access-log format, as in AWS.
pub const FORMAT_BYTES_MAX: usize = 3_072;
/// Bytes of one rendered value; longer ones are cut.
pub const VALUE_BYTES_MAX: usize = 4_096;
/// Bytes of one log line.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Unwritten log bytes of one slot from which on the writer is woken before its time: few enough to still be in the processor's
/// cache when they are written.
pub(crate) const LOG_WAKE_BYTES: usize = 128 * 1024;
/// Room that a buffer of the access log keeps when few lines come.
pub(crate) const LOG_KEPT_BYTES: usize = 16 << 10;
/// Default bound of unwritten log bytes of one slot.
pub const LOG_SLOT_BYTES_MAX: usize = 1024 * 1024;

/// Time the last lines get when the process ends: a disk that stalls must not keep it.
pub(crate) const LOG_SHUTDOWN_TIMEOUT_MS: u64 = 5_000;

/// Spans waiting for export; further ones are dropped.
pub const SPAN_QUEUE_MAX: usize = 4_096;
/// Spans of one export.
pub const SPAN_BATCH_MAX: usize = 512;
/// Bytes read of a collector's answer.
pub const COLLECTOR_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Time one export may take, connecting included.
pub const EXPORT_TIMEOUT_MS: u64 = 5_000;
/// Time the last spans get when the process ends.
pub const EXPORT_SHUTDOWN_TIMEOUT_MS: u64 = 5_000;
/// Characters of one `X-Amzn-Trace-Id` or `traceparent` that are looked at.
pub const TRACE_HEADER_BYTES_MAX: usize = 512;

/// Health checks of one kind.
pub const CHECKS_MAX: usize = 64;
