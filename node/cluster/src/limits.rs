//! Every bound of this crate in one place: sizes in bytes, counts, and times that no profile changes.

use std::time::Duration;

/// Largest command one proposal may carry.
pub const COMMAND_BYTES_MAX: usize = 16 << 20;
/// Largest message, and largest answer, of [`crate::Handle::call`].
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Largest checkpoint that is accepted from a leader or read back from disk.
pub const CHECKPOINT_BYTES_MAX: u64 = 1 << 30;

/// Largest body of one frame: a full append plus one command of maximal size.
pub(crate) const FRAME_BYTES_MAX: usize = 20 << 20;
/// An append stops collecting entries once it holds this many bytes.
pub(crate) const APPEND_BYTES_TARGET: usize = 1 << 20;
/// Log entries kept in memory per group; older ones are read from disk.
pub(crate) const LOG_CACHE_BYTES: usize = 256 << 10;
/// Operations that wait for the log writer.
pub(crate) const WRITE_QUEUE_MAX: usize = 4096;
/// Keys removed by one ride-along step of a purge; one large batch stalls commits for hundreds of ms.
pub(crate) const PURGE_KEYS_PER_COMMIT: u64 = 256;
/// While a purge is waiting, an idle writer takes its next step after this time.
pub(crate) const PURGE_IDLE: Duration = Duration::from_millis(2);
/// What waits for the next batch (the commit mark, purges) reaches the disk after this much idle time.
pub(crate) const IDLE_SYNC: Duration = Duration::from_millis(20);
/// Checkpoint files kept per group.
pub(crate) const CHECKPOINTS_KEPT: usize = 2;
/// One write of a checkpoint stream.
pub(crate) const CHECKPOINT_CHUNK_BYTES: usize = 64 << 10;
/// Slowest pace of a checkpoint stream, bytes per second.
pub(crate) const CHECKPOINT_PACE_MIN: u64 = 1 << 20;
/// Requests one peer may have open at once.
pub(crate) const STREAMS_PER_PEER: u32 = 1024;
/// Bytes in flight towards one peer.
pub(crate) const SEND_WINDOW_BYTES: u64 = 8 << 20;
/// Bytes in flight on one stream.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// A packet that this many later ones have overtaken is taken for lost (RFC 9002, section 6.1.1), if an eighth of a round trip has not
/// told before. With the usual 3, a path that reorders looks like one that loses, and a node is caught up at a tenth of the rate.
pub(crate) const REORDERING_PACKETS: u32 = 64;
/// Handshakes that may be unfinished at once; more are refused.
pub(crate) const HANDSHAKES_MAX: usize = 256;
/// A handshake, dialed or accepted, ends within this time.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A request that arrives on a stream is complete within this time.
pub(crate) const REQUEST_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Joining connections served at once.
pub(crate) const JOINS_MAX: usize = 16;
/// Largest joining request and answer.
pub(crate) const JOIN_BYTES_MAX: usize = 1 << 20;
/// A joining connection is closed after this time.
pub(crate) const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Addresses in one join token.
pub(crate) const TOKEN_ADDRESSES_MAX: usize = 16;
/// Length of a printed join token.
pub(crate) const TOKEN_CHARS_MAX: usize = 4096;
/// First and longest pause between attempts of a forwarded request.
pub(crate) const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
/// Nodes in one group, voters and learners together.
pub(crate) const NODES_MAX: usize = 256;
/// Largest number of a node, over all nodes that have ever joined; a leader's term has 24 bits for it.
pub(crate) const NODE_ID_MAX: u64 = (1 << 24) - 1;
/// Length of an address, region or availability-zone name.
pub(crate) const NAME_BYTES_MAX: usize = 253;
/// A command for the leader (membership, transfer) is answered within this time.
pub(crate) const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The reconciler looks again after this time when no event woke it.
pub(crate) const RECONCILE_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after a membership change of the reconciler once the group has stood for a while.
pub(crate) const RECONCILE_PAUSE: Duration = Duration::from_millis(500);
/// Membership changes the reconciler may make without a pause, so that a new cluster forms at once.
pub(crate) const RECONCILE_BURST: u32 = 8;
/// A learner this many entries behind counts as caught up.
pub(crate) const CAUGHT_UP_ENTRIES: u64 = 100;
/// Closing waits this long for a change of voters to end, for leadership to move, and for connections to drain, each.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Groups whose promises are marked beside the log: as many as one block holds.
pub(crate) const MARKS_MAX: usize = 80;
/// What was made durable is marked after this time.
pub(crate) const MARK_PAUSE: Duration = Duration::from_millis(100);
/// Damaged files kept for whoever wants to look, of each kind.
pub(crate) const DAMAGED_KEPT: usize = 2;
/// Room on disk without which a log is not opened, in bytes, where less is not reserved: the engine takes its space in large pieces.
pub(crate) const OPEN_ROOM_BYTES: u64 = 16 << 20;
/// A commit that takes longer than this counts as a failed disk: the node stops instead of hanging half alive.
pub(crate) const COMMIT_STALL: Duration = Duration::from_secs(20);
/// A commit that takes longer than this makes the disk a slow one: leadership goes elsewhere.
pub(crate) const COMMIT_SLOW: Duration = Duration::from_secs(3);
/// A disk counts as slow for this long after its last slow commit.
pub(crate) const SLOW_MEMORY: Duration = Duration::from_secs(10);
/// Room on disk below which nothing is taken in, in bytes, where no option says otherwise: what has been taken in before, and the
/// bookkeeping of leaving and of catching up again, must fit.
pub(crate) const DISK_RESERVE_BYTES: u64 = 64 << 20;
