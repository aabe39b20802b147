//! The log on disk in one sled tree. sled's own `flush` never asks the disk to empty its cache and never syncs the files
//! it creates, so this wrapper does both; without it acknowledged entries are lost in a power cut.

use super::{Batch, Key, LogBackend};
use futures_util::future::BoxFuture;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

const CACHE_BYTES: u64 = 64 << 20;

/// A sled database with durable commits.
pub(crate) struct SledLog {
    db: sled::Db,
    file: File,
}

impl SledLog {
    /// Opens or creates the database in `dir`. Blocking.
    ///
    /// # Errors
    /// The database cannot be read. It is never deleted: move the directory away and join as a new node.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let db = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None)
            .cache_capacity(CACHE_BYTES)
            .open()
            .map_err(to_io)?;
        db.flush().map_err(to_io)?;
        sync_tree(dir)?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { file: File::open(dir.join("db"))?, db })
    }

    fn commit_now(&self, batch: Batch, durable: bool) -> io::Result<()> {
        if !batch.changes.is_empty() {
            let mut staged = sled::Batch::default();
            for (key, value) in batch.changes {
                match value {
                    Some(value) => staged.insert(&key, value),
                    None => staged.remove(&key),
                }
            }
            self.db.apply_batch(staged).map_err(to_io)?;
        }
        if durable {
            self.db.flush().map_err(to_io)?;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl LogBackend for SledLog {
    fn commit(&self, batch: Batch, durable: bool) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(self.commit_now(batch, durable)))
    }

    fn get(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        Ok(self.db.get(key).map_err(to_io)?.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        from: &Key,
        to: &Key,
        visit: &mut dyn FnMut(&Key, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for pair in self.db.range(from.as_slice()..=to.as_slice()) {
            let (key, value) = pair.map_err(to_io)?;
            let key = Key::try_from(key.as_ref()).map_err(io::Error::other)?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.db.size_on_disk().map_err(to_io)
    }
}

/// Syncs every file and directory below `dir`, and `dir` itself.
fn sync_tree(dir: &Path) -> io::Result<()> {
    let mut dirs: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(&dir)?.sync_all()?;
    }
    Ok(())
}

fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
