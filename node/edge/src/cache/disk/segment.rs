//! One file of records: written to its end once, read at any place, deleted as a whole. Owns that a place is never written twice, which
//! the sealing relies on.
//!
//! It begins with `TIDEGATE`, a salt (32 bytes), a proof that it was written with the same secret (16), and the crc32c of all this.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    index::Location,
    keys::{CHECK_BYTES, FILE_SALT_BYTES, FileKey, Keys},
};

/// Bytes before the first record.
pub(super) const START_BYTES: usize = 60;
const MAGIC: [u8; 8] = *b"TIDEGATE";
const CRC_AT: usize = START_BYTES - 4;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) key: FileKey,
    pub(super) file: File,
    path: PathBuf,
    bytes: AtomicU64,
}

impl Segment {
    /// Makes a file; there must be none of this number.
    pub(super) fn create(folder: &Path, number: u32, keys: &Keys) -> io::Result<Self> {
        let salt: [u8; FILE_SALT_BYTES] = rand::random();
        let key = keys.file(&salt).map_err(io::Error::other)?;
        let mut start = Vec::with_capacity(START_BYTES);
        start.extend_from_slice(&MAGIC);
        start.extend_from_slice(&salt);
        start.extend_from_slice(&key.check);
        let crc = crc32c::crc32c(&start);
        start.extend_from_slice(&crc.to_le_bytes());
        let path = folder.join(name(number));
        let file = File::options().create_new(true).read(true).write(true).mode(0o600).open(&path)?;
        file.write_all_at(&start, 0)?;
        Ok(Self { number, key, file, path, bytes: AtomicU64::new(START_BYTES as u64) })
    }

    /// Opens a file of an earlier process; `None` if it was not written with this secret.
    pub(super) fn open(folder: &Path, number: u32, keys: &Keys) -> io::Result<Option<Self>> {
        let path = folder.join(name(number));
        let file = File::options().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let mut start = [0; START_BYTES];
        if bytes < START_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut start, 0)?;
        let Some((salt, check)) = read_start(&start) else { return Ok(None) };
        let key = keys.file(&salt).map_err(io::Error::other)?;
        let is_ours = key.check == check;
        Ok(is_ours.then_some(Self { number, key, file, path, bytes: AtomicU64::new(bytes) }))
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Writes a record that was sealed for the end of the file.
    pub(super) fn append(&self, record: &[u8]) -> io::Result<()> {
        self.file.write_all_at(record, self.bytes())?;
        self.bytes.fetch_add(record.len() as u64, Relaxed);
        Ok(())
    }

    /// Reads the bytes of a record.
    pub(super) fn read(&self, location: Location) -> io::Result<Vec<u8>> {
        let mut record = vec![0; location.bytes as usize];
        self.file.read_exact_at(&mut record, location.offset.into())?;
        Ok(record)
    }

    /// Cuts what was not written to its end.
    pub(super) fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    /// Deletes the file; who reads it may go on.
    pub(super) fn delete(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a file of the cache cannot be deleted");
        }
    }
}

/// The numbers of the files in a folder, in ascending order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.file_name();
        let number = file.to_str().and_then(|file| file.strip_suffix(".answers"));
        numbers.extend(number.and_then(|number| u32::from_str_radix(number, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Deletes a file that is of no use.
pub(super) fn delete(folder: &Path, number: u32) {
    let path = folder.join(name(number));
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "a file of the cache cannot be deleted");
    }
}

fn name(number: u32) -> String {
    format!("{number:08x}.answers")
}

fn read_start(start: &[u8; START_BYTES]) -> Option<([u8; FILE_SALT_BYTES], [u8; CHECK_BYTES])> {
    let (said, crc) = start.split_at(CRC_AT);
    if crc32c::crc32c(said) != u32::from_le_bytes(crc.try_into().ok()?) {
        return None;
    }
    let (salt, check) = said.strip_prefix(&MAGIC)?.split_at(FILE_SALT_BYTES);
    Some((salt.try_into().ok()?, check.try_into().ok()?))
}
