//! Bounds of the listener: defaults of [`Options`](crate::Options) and ceilings that no option may exceed.
//! They concern no other crate, so they are not in the workspace's table.

/// Default bound of one request head (request line, header lines and the closing empty line): the AWS quota.
pub const HEADER_BYTES_MAX: usize = 10_240;
/// Ceiling for `header_bytes_max`; hyper's read buffer is sized from it.
pub const HEADER_BYTES_CEILING: usize = 64 * 1024;
/// Default bound of header lines in one head.
pub const HEADERS_MAX: usize = 100;
/// Ceiling for `headers_max`; the parser keeps its table on the stack.
pub const HEADERS_CEILING: usize = 128;
/// Longest method token; the longest registered one has 16 characters.
pub const METHOD_BYTES_MAX: usize = 24;
/// Longest Host value: 253 characters of DNS name, a colon and five digits, rounded up.
pub const HOST_BYTES_MAX: usize = 261;

/// Longest chunk-size line, extension included; extensions carry nothing we use.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Most hexadecimal digits of a chunk size: 2^48 bytes is beyond every body bound.
pub const CHUNK_DIGITS_MAX: usize = 12;
/// Extension bytes one body may carry in total, so that one-byte chunks cannot multiply traffic.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 4_096;
/// Trailer section of one chunked body.
pub const TRAILER_BYTES_MAX: usize = 4_096;

/// Default bound of open connections of one listener.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Ceiling for `connections_max`.
pub const CONNECTIONS_CEILING: usize = 4_000_000;
/// Default length of the kernel's accept queue.
pub const BACKLOG: u32 = 1_024;
/// Ceiling of every time bound of the options: one day.
pub const TIMEOUT_MS_CEILING: u64 = 86_400_000;

/// Default window of the bounds against floods over HTTP/2: each bound is a burst, and what one window brings back.
pub const FLOOD_WINDOW_MS: u64 = 10_000;
/// Default bound of PING, of SETTINGS (with GOAWAY) and of PRIORITY (with unknown types) per window, each.
pub const CONTROL_FRAMES_MAX: u32 = 100;
/// Default bound of reset streams per window in each direction, beyond one for every answer: a proxy gives up all of its
/// streams at once, several times in a row, while an upstream hangs.
pub const RESETS_MAX: u32 = 500;
/// Default bound of WINDOW_UPDATE per window beyond what answers explain: every stream may begin with one.
pub const WINDOW_UPDATES_MAX: u32 = 1_000;
/// Default bound of empty DATA, trailers and CONTINUATION per window; a legitimate head fits into one frame.
pub const FRAGMENTS_MAX: u32 = 100;
/// Ceiling of every bound of frames per window.
pub const FRAMES_CEILING: u32 = 1_000_000;
/// WINDOW_UPDATE frames that one DATA frame explains: for its stream and for the connection.
pub(crate) const WINDOW_UPDATES_PER_DATA: u32 = 2;
/// Bytes of DATA that explain one more WINDOW_UPDATE: some clients report every 4 KiB they took, in two frames.
pub(crate) const WINDOW_UPDATE_DATA_BYTES: u32 = 2 * 1024;
/// WINDOW_UPDATE frames that a connection may be owed because of DATA sent before (100 MiB of it), since a client may tell what
/// it took long after all of it was sent.
pub(crate) const WINDOW_UPDATES_OWED_MAX: u32 = 65_536;
/// PRIORITY frames that one answer explains: one before its request, one while it came.
pub(crate) const PRIORITIES_PER_ANSWER: u32 = 2;

/// Default bound of TLS handshakes under way at a time in one listener; a further one waits for its turn.
pub const HANDSHAKES_MAX: usize = 2_048;
/// Ceiling for `tls.handshakes_max`.
pub const HANDSHAKES_CEILING: usize = 1_000_000;
/// Default time from accepting a connection to the end of its TLS handshake.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 5_000;
/// Largest session ticket that is looked at; ours are some hundred bytes.
pub(crate) const TICKET_BYTES_MAX: usize = 4 * 1024;

/// Bytes asked from a socket in one read while a head or a chunk header is being looked for.
pub(crate) const READ_BYTES: usize = 8 * 1024;
/// Bytes of a following request kept while the current one is being answered.
pub(crate) const AHEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a closed connection keeps reading, so that the last answer is not destroyed by a reset.
pub(crate) const LINGER_MS: u64 = 1_000;
/// How much a closed connection reads and throws away.
pub(crate) const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// Pause after `accept` failed for want of descriptors or memory.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 50;

/// How often deadlines of the fast path are looked at: what one may be late by.
pub const SWEEP_MS: u64 = 50;
/// How often buffers that were not needed are freed: what a burst left is gone within two seconds.
pub(crate) const TRIM_MS: u64 = 250;
/// How long a shard is without connections until its sweeper rests; by then a burst's buffers are freed.
pub(crate) const REST_MS: u64 = 15_000;
/// Bytes of one buffer: holds the largest head with the start of its body.
pub const INPUT_BYTES: usize = 16 * 1024;
/// Bytes of a buffer for long streams, where each call costs more than the copying.
pub const LARGE_INPUT_BYTES: usize = 256 * 1024;
/// Free buffers of one shard that are kept, of each kind: 16 MiB.
pub(crate) const BUFFERS_KEPT_MAX: usize = 1_024;
/// Free large buffers of one shard that are kept: 8 MiB.
pub(crate) const LARGE_BUFFERS_KEPT_MAX: usize = 32;
/// Sessions of TLS 1.2 clients without tickets that one listener remembers.
pub(crate) const SESSIONS_MAX: usize = 1_024;
/// Session tickets that follow a handshake: a client of an API keeps one connection, and gets a new ticket when it resumes.
pub(crate) const TICKETS_PER_HANDSHAKE: usize = 1;
