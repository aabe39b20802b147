//! The log on disk in one sled tree. sled's own `flush` never asks the disk to empty its cache and never syncs the files
//! it creates, so this wrapper does both; without it acknowledged entries are lost in a power cut.

#[cfg(test)]
mod flips;
#[cfg(all(test, target_os = "linux"))]
mod powercut;

use super::{
    Batch, Key, LogBackend, damage,
    mark::{MarkFile, Marks},
};
use futures_util::future::BoxFuture;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Pages that sled keeps in memory: entries are written once, and read by followers that lag behind.
const CACHE_BYTES: u64 = 2 << 20;
/// sled writes values and nodes over a quarter of a segment to files of their own; larger segments make that rare, and are held in
/// memory while they are filled. A database keeps the size that it was made with.
const SEGMENT_BYTES: usize = 1 << 20;
/// What the engine takes for a size of segments.
const SEGMENTS: std::ops::RangeInclusive<usize> = 256..=16 << 20;
/// Directory times have the grain of the kernel's clock tick; a directory younger than this may have changed again.
const TIME_GRAIN: Duration = Duration::from_millis(50);

/// A sled database with durable commits.
pub(crate) struct SledLog {
    db: sled::Db,
    file: File,
    large: File,
    large_synced: Mutex<Option<SystemTime>>,
    mark_file: MarkFile,
    marks: Marks,
}

impl SledLog {
    /// Opens or creates the database in `dir`, and the marks beside it. One that is damaged so that it cannot be read is moved aside where
    /// marks say what it had promised. Blocking.
    ///
    /// # Errors
    /// The database or the marks cannot be read.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (mark_file, marks, is_new) = MarkFile::open(&dir.with_extension("marks"))?;
        let db = match open_whole(dir) {
            Err(error) if is_damage(&error) && !is_new => {
                let aside = damage::move_aside(dir, "log")?;
                tracing::error!(%error, aside = %aside.display(), "the log is damaged; it begins anew and is filled by the other nodes");
                open_whole(dir)
            }
            opened => opened,
        };
        let db = db.map_err(to_io)?;
        db.flush().map_err(to_io)?;
        sync_tree(dir)?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            file: File::open(dir.join("db"))?,
            large: File::open(dir.join("blobs"))?,
            large_synced: Mutex::default(),
            mark_file,
            marks,
            db,
        })
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
            self.sync_large()?;
        }
        Ok(())
    }

    /// sled syncs the file of a large value, but not the directory that names it.
    fn sync_large(&self) -> io::Result<()> {
        let changed = self.large.metadata()?.modified()?;
        let mut synced = self.large_synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced == Some(changed) {
            return Ok(());
        }
        self.large.sync_all()?;
        let settled = changed.elapsed().is_ok_and(|age| age > TIME_GRAIN);
        *synced = settled.then_some(changed);
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

    fn marks(&self) -> Marks {
        self.marks.clone()
    }

    fn save_marks(&self, order: u64, marks: &Marks, twice: bool) -> io::Result<()> {
        self.mark_file.save(order, marks, twice)
    }

    fn room_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(&self.file)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.db.size_on_disk().map_err(to_io)
    }
}

/// Opens the database and reads all of it, because damage shows only where something is read.
fn open_whole(dir: &Path) -> Result<sled::Db, sled::Error> {
    std::fs::create_dir_all(dir)?;
    // The engine opens its files to everybody, and what they hold includes secrets.
    #[cfg(unix)]
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let db = sled::Config::new()
        .path(dir)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(None)
        .cache_capacity(CACHE_BYTES)
        .segment_size(segment_bytes(dir))
        .open()?;
    for pair in db.iter() {
        pair?;
    }
    Ok(db)
}

/// The size of segments that the database in `dir` was made with; the engine opens it with no other.
fn segment_bytes(dir: &Path) -> usize {
    let made = std::fs::read(dir.join("conf")).ok().and_then(|conf| {
        let line = conf.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"segment_size: "))?;
        std::str::from_utf8(line).ok()?.parse::<usize>().ok()
    });
    made.filter(|size| size.is_power_of_two() && SEGMENTS.contains(size)).unwrap_or(SEGMENT_BYTES)
}

/// Whether the content is wrong, rather than the disk out of reach or the directory in use.
fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Io(error) => {
            error.raw_os_error().is_none()
                && matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::Unsupported(_)
        | sled::Error::CollectionNotFound(_) => true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_keeps_the_size_of_its_segments() {
        for (made, then) in [(4 << 20, 4 << 20), (512 << 10, 512 << 10)] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("log");
            drop(sled::Config::new().path(&dir).segment_size(made).open().unwrap());
            assert_eq!(segment_bytes(&dir), then);
            SledLog::open(&dir).unwrap();
        }
    }

    #[test]
    fn what_is_no_size_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for conf in ["", "segment_size: ", "segment_size: 12345\n", "segment_size: 33554432\n", "\u{0}\n: 8"]
        {
            std::fs::write(folder.path().join("conf"), conf).unwrap();
            assert_eq!(segment_bytes(folder.path()), SEGMENT_BYTES, "{conf:?}");
        }
    }
}
