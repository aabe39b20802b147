//! The data plane over real sockets: what the upstream saw and what the client got, to the byte.

#[path = "it/room.rs"]
mod room;

#[path = "it/answers.rs"]
mod answers;
#[path = "it/bodies.rs"]
mod bodies;
#[path = "it/cache.rs"]
mod cache;
#[path = "it/disk.rs"]
mod disk;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/lineage.rs"]
mod lineage;
#[path = "it/log.rs"]
mod log;
#[path = "it/secured.rs"]
mod secured;
#[path = "it/slow.rs"]
mod slow;
#[path = "it/swap.rs"]
mod swap;
#[path = "it/timing.rs"]
mod timing;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/upstreams.rs"]
mod upstreams;
#[path = "it/zone.rs"]
mod zone;
