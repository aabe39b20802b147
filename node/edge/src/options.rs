//! The options of the data plane and their rules.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use tidegate_upstream::Zones;

use tidegate_proto::limits::{CACHE_MEMORY_BYTES_DEFAULT, SHARDS_MAX};

use crate::Error;

/// Settings of the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where and how each shard listens; the port is shared.
    pub listener: tidegate_listener::Options,
    /// Where and how each shard listens with TLS; the port is shared.
    pub tls_listener: Option<tidegate_listener::Options>,
    /// Shards, each with a thread of its own; 0 takes one per core.
    pub shards: usize,
    /// This node's own ceiling, in requests per second; a request above it is answered 429.
    pub requests_per_second_max: Option<NonZeroU32>,
    /// Whether plain HTTP/1 requests take the short line, without the HTTP server between. Off, every request takes the
    /// general line: slower, and otherwise the same. For comparing the two, and for an emergency.
    pub direct: bool,
    /// The availability zone that this node is in; calls stay in it where they can.
    pub az: String,
    /// Which zones upstream addresses are in.
    pub zones: Zones,
    /// DNS servers for the names of upstreams; without any the operating system is asked.
    pub dns: Vec<SocketAddr>,
    /// Bytes of stored answers that this node holds in memory, over all stages.
    pub cache_bytes_max: u64,
    /// Where stored answers go that memory has no room for, and where they outlive the process; nowhere when absent.
    pub cache_disk: Option<DiskOptions>,
}

/// Stored answers on disk.
#[derive(Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// A folder for this alone.
    pub folder: PathBuf,
    /// Bytes of all files together.
    pub bytes_max: u64,
    /// How long a request waits for the disk, in milliseconds.
    pub read_timeout_ms: u64,
    /// What is written is sealed with keys that are derived from it; with another one all that is there is dropped.
    pub key: [u8; 32],
}

impl fmt::Debug for DiskOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, bytes_max, read_timeout_ms, key: _ } = self;
        f.debug_struct("DiskOptions")
            .field("folder", folder)
            .field("bytes_max", bytes_max)
            .field("read_timeout_ms", read_timeout_ms)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listener: tidegate_listener::Options::default(),
            tls_listener: None,
            shards: 0,
            requests_per_second_max: None,
            direct: true,
            az: String::new(),
            zones: Zones::default(),
            dns: Vec::new(),
            cache_bytes_max: CACHE_MEMORY_BYTES_DEFAULT,
            cache_disk: None,
        }
    }
}

impl Options {
    /// The number of shards to run.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub(crate) fn shard_count(&self) -> Result<usize, Error> {
        match self.shards {
            0 => Ok(std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX)),
            asked if asked <= SHARDS_MAX => Ok(asked),
            asked => Err(Error::Option { field: "shards", value: asked.to_string(), rule: "at most 256" }),
        }
    }
}
