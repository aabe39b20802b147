//! Every bound of the storm scenarios: how long to wait, how much to keep, how fast to go.

use std::time::Duration;

/// Wait for a fresh region to serve its sample everywhere.
pub(crate) const REGION_READY: Duration = Duration::from_secs(60);
/// Wait for a region to end after it was asked to.
pub(crate) const REGION_STOP: Duration = Duration::from_secs(20);
/// Given to `tidegate dev` between SIGTERM and SIGKILL; it gives its nodes 5 s.
pub(crate) const CHILD_STOP: Duration = Duration::from_secs(12);
/// Between two looks at a condition that is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// Attempts to find a range of free ports.
pub(crate) const PORT_DRAWS: usize = 50;
/// Bytes of a log shown when a region does not start.
pub(crate) const LOG_TAIL_BYTES: usize = 2_000;

/// A request without an answer after this time has failed.
pub(crate) const REQUEST: Duration = Duration::from_secs(2);
/// Before a client of the balancer sends a request again, as SDKs do: a process that dies closes its connections a
/// moment before its listener, so an immediate second try can meet the same process.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Largest answer a client reads, in bytes.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024;
/// Connections a stream keeps open.
pub(crate) const CONNECTIONS: usize = 8;
/// Requests on one connection before it is replaced, so that a balancer spreads the clients again after an outage.
pub(crate) const REQUESTS_PER_CONNECTION: u32 = 100;
/// Requests of one stream that may be open at a time; above it the stream counts a failure instead of sending.
pub(crate) const IN_FLIGHT: usize = 2_000;
/// Failures of one stream kept with their time and reason.
pub(crate) const FAILURES: usize = 100_000;
/// Distinct failure reasons shown.
pub(crate) const REASONS: usize = 12;

/// Writers that change a register, and as many that grow a set.
pub(crate) const WRITERS_PER_KIND: usize = 4;
/// Between two writes of one writer: after the outcome for a register, by the clock for a set.
pub(crate) const WRITE_PAUSE: Duration = Duration::from_millis(50);
/// Writes of one set that may be open at a time; a writer that reaches it waits.
pub(crate) const WRITES_IN_FLIGHT: u32 = 100;
/// A write without an answer after this time is uncertain.
pub(crate) const WRITE: Duration = Duration::from_secs(3);
/// Acknowledged writes whose times are kept.
pub(crate) const ACKS: usize = 1_000_000;
/// Largest page of a list operation.
pub(crate) const PAGE: usize = 500;

/// Traffic before the first fault.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);
/// Shortest outage.
pub(crate) const OUTAGE: Duration = Duration::from_secs(3);
/// Longest wait for a write after a kill.
pub(crate) const RECOVERY: Duration = Duration::from_secs(15);
/// Longest wait for a restarted node.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(30);
/// Traffic after a node has caught up, before the next fault.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);
/// Wait for all nodes to reach the same applied index once nobody writes.
pub(crate) const CONVERGE: Duration = Duration::from_secs(15);
/// Observed pairs of index and hash that are kept.
pub(crate) const HASHES: usize = 50_000;

/// Largest datagram that is forwarded.
pub(crate) const DATAGRAM_BYTES: usize = 64 * 1024;
/// Senders to one node that are told apart.
pub(crate) const LINKS_PER_DOOR: usize = 64;
/// Pause after a socket of a link failed.
pub(crate) const LINK_RETRY: Duration = Duration::from_millis(1);

/// Largest head that the clients and the upstream of `storm limits` read, and largest body.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;
/// Requests of one stream of `storm limits` that may be open at a time.
pub(crate) const OPEN_REQUESTS: usize = 500;
/// Wait for the control plane's changes to be served by every node.
pub(crate) const SERVED: Duration = Duration::from_secs(10);
/// Longest wait for the leaders of the ledger to be spread over the zones.
pub(crate) const LEADERS_SPREAD: Duration = Duration::from_secs(20);
/// Longest wait until a quota is used up.
pub(crate) const RUSH: Duration = Duration::from_secs(15);
/// A quota is used up when nothing was admitted of it for this long.
pub(crate) const USED_UP: Duration = Duration::from_secs(1);
/// Longest wait until everything that was used is written down.
pub(crate) const WRITTEN_DOWN: Duration = Duration::from_secs(5);

/// Bytes that wait on a line of limited bandwidth, as time: what comes later is lost.
pub(crate) const LINE_QUEUE: Duration = Duration::from_millis(100);
/// Largest packet between sites, in bytes.
pub(crate) const SITE_MTU: u16 = 1_500;
/// Packets that wait in a site's device until the emulator reads them.
pub(crate) const SITE_QUEUE: u16 = 2_000;
/// Packets on the way at a time, over all lines.
pub(crate) const PACKETS_HELD: usize = 200_000;
/// Packets read of one site before the next one's turn.
pub(crate) const PACKETS_PER_TURN: usize = 64;
/// Longest sleep of an emulator, after which it looks whether it is to end.
pub(crate) const EMULATOR_IDLE: Duration = Duration::from_millis(50);
/// Niceness of the emulator and of clients: they must not wait for the processes they watch.
pub(crate) const TOOL_NICENESS: i32 = -10;
/// Round trips of the measurement of an emulator, and how long it is flooded.
pub(crate) const COST_PROBES: usize = 200;
/// How long an emulator is flooded to learn what it can carry.
pub(crate) const COST_TIME: Duration = Duration::from_millis(300);

/// Requests of a storm whose outcome is kept.
pub(crate) const RECORDS: usize = 4_000_000;
/// A connection that is not there after this time is given up.
pub(crate) const CONNECT: Duration = Duration::from_millis(300);
/// Idle connections that a region's clients keep to one zone.
pub(crate) const IDLE_CONNECTIONS: usize = 16;

/// Between two looks at a node's figures.
pub(crate) const WATCH: Duration = Duration::from_millis(250);
/// A node whose figures do not come within this time does not answer.
pub(crate) const WATCH_ANSWER: Duration = Duration::from_secs(1);
/// Looks at one node that are kept.
pub(crate) const SIGHTINGS: usize = 100_000;
/// Between two writes of a register, and between two reads of one by a region.
pub(crate) const REGISTER_PAUSE: Duration = Duration::from_millis(300);
/// Between two reads of a register by a region.
pub(crate) const READ_PAUSE: Duration = Duration::from_millis(500);
/// A read of a register without an answer after this time is given up; long enough to outlast a node that stood still.
pub(crate) const READ: Duration = Duration::from_secs(15);
/// Wait for each step of founding and configuring a cluster.
pub(crate) const FOUNDED: Duration = Duration::from_secs(60);

/// Bytes of one file that a faulty disk keeps to undo a power cut; what is older has been written back.
pub(crate) const UNSYNCED_BYTES: usize = 64 * 1024 * 1024;
/// Requests that a faulty disk works on at a time.
pub(crate) const DISK_THREADS: usize = 4;
/// How long a kernel may remember a name or an attribute of a faulty disk; only this program changes them.
pub(crate) const DISK_TTL: Duration = Duration::from_secs(1);

/// Time in which a node whose disk fails has to give up its seat.
pub(crate) const FENCE_LOOK: Duration = Duration::from_secs(5);
/// Between the word that a node is to be replaced and SIGTERM.
pub(crate) const DRAINED: Duration = Duration::from_secs(1);
/// Longest wait for a node to end by itself.
pub(crate) const STOPPED: Duration = Duration::from_secs(40);
/// Requests per second to each API that is bad on purpose.
pub(crate) const POISONED_PER_S: u32 = 2;

/// How late a sleeper may wake up without this program having stood still.
pub(crate) const STALL: Duration = Duration::from_millis(100);
/// Naps of the sleeper whose lateness is kept.
pub(crate) const NAPS: usize = 1_000_000;
/// How long the sleeper sleeps.
pub(crate) const STALL_NAP: Duration = Duration::from_millis(10);
/// Longest wait for everything to be well after the last fault was undone.
pub(crate) const RECOVERED: Duration = Duration::from_secs(30);
/// Time without a failed request after which everything is well.
pub(crate) const WELL: Duration = Duration::from_secs(1);
/// Length of a step of a time line, in microseconds.
pub(crate) const STEP_US: u64 = 250_000;
/// Longest wait for a read of everything from a node at the end.
pub(crate) const READ_BACK: Duration = Duration::from_secs(20);

/// Time of its own that the tool must have lost before it may be why a promise looks broken, in milliseconds.
pub(crate) const STALL_EXCUSE_MS: f64 = 250.0;

/// Time in which a node that was started again on a disk that keeps nothing has to serve what it has.
pub(crate) const SERVED_AGAIN: Duration = Duration::from_secs(2);

/// Sets that the writers of a region fill in turn.
pub(crate) const SETS_PER_REGION: usize = 8;

/// APIs that a churn changes, each one change after the other: a change takes several round trips between regions.
pub(crate) const CHURN_APIS: usize = 5;
