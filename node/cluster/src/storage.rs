//! A node's data directory, opened: log, checkpoints, address book. Asks the disk whether it takes anything before the engine is let
//! at it, because the engine does not end well on a disk that refuses.

use crate::{
    Error, Options,
    addresses::Addresses,
    limits, runtime,
    store::{
        LogBackend,
        checkpoint::{CheckpointFiles, CheckpointStore},
        sled::SledLog,
    },
};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

/// Written and removed by each attempt to open.
const PROBE: &str = ".probe";
/// More than a file system keeps beside a file's name.
const PROBE_BYTES: [u8; 4096] = [0x5a; 4096];

/// What a cluster service keeps on disk. One process at a time has it open.
pub struct Storage {
    pub(crate) backend: Arc<dyn LogBackend>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) addresses: Addresses,
}

impl Storage {
    /// Opens or creates what lies in [`Options::data_dir`]. To be tried again where the disk may come to itself: a failed attempt leaves
    /// nothing behind.
    ///
    /// # Errors
    /// [`Error::Storage`] when the disk takes no writes, has no room, or cannot be read.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let dir = options.data_dir.clone();
        let reserve_bytes = options.tuning.disk_reserve_bytes.unwrap_or(limits::DISK_RESERVE_BYTES);
        let opened = runtime::blocking(move || open(&dir, reserve_bytes.min(limits::OPEN_ROOM_BYTES)));
        let opened = opened.await.ok_or_else(|| Error::Storage("opening the log panicked".to_owned()))?;
        opened.map_err(|e| Error::Storage(e.to_string()))
    }
}

fn open(dir: &Path, room_bytes: u64) -> io::Result<Storage> {
    std::fs::create_dir_all(dir)?;
    probe(dir, room_bytes)?;
    Ok(Storage {
        backend: Arc::new(SledLog::open(&dir.join("log"))?),
        checkpoints: Arc::new(CheckpointFiles::open(&dir.join("checkpoints"))?),
        addresses: Addresses::open(dir)?,
    })
}

/// Whether the disk takes writes, and has room for those of a start.
fn probe(dir: &Path, room_bytes: u64) -> io::Result<()> {
    let path = dir.join(PROBE);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&PROBE_BYTES)?;
        file.sync_all()
    };
    let written = write();
    // A disk that did not take it may not let go of it either; the next attempt writes it anew.
    let removed = std::fs::remove_file(&path);
    written.map_err(|error| {
        io::Error::new(error.kind(), format!("{} cannot be written: {error}", dir.display()))
    })?;
    removed?;
    let found = rustix::fs::statvfs(dir)?;
    let room = found.f_bavail.saturating_mul(found.f_frsize);
    if room < room_bytes {
        let text = format!("{} has {room} bytes of room, {room_bytes} are needed to start", dir.display());
        return Err(io::Error::new(io::ErrorKind::StorageFull, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_or_without_writes_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        probe(dir.path(), 0).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the probe stays behind");
        let full = open(dir.path(), u64::MAX).err().unwrap();
        assert!(
            full.kind() == io::ErrorKind::StorageFull && full.to_string().contains("are needed"),
            "{full}"
        );
        let missing = probe(&dir.path().join("none"), 0).unwrap_err();
        assert!(missing.to_string().contains("cannot be written"), "{missing}");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "a failed attempt leaves something behind"
        );
    }
}
