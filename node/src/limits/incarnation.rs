//! Counts the lives of a node, so that what was granted to an earlier one is never taken for granted to this one. A count that was damaged
//! is replaced by the time, which is far above any count; one that cannot be written leaves the life without a number.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// File name of the count in the data directory.
const FILE: &str = "incarnation";

/// One life of a node.
#[derive(Debug)]
pub(super) struct Life {
    folder: PathBuf,
    /// Once it is on disk.
    number: Option<u64>,
}

impl Life {
    /// Begins a life; its number is on disk if the disk takes it now.
    pub(super) fn begin(folder: &Path) -> Self {
        let mut life = Self { folder: folder.to_owned(), number: None };
        if let Err(error) = life.count() {
            tracing::error!(%error, "this start cannot be counted; nothing is agreed with other nodes until it is");
        }
        life
    }

    /// The number: 1 for the first life, 0 as long as it has none.
    pub(super) fn number(&self) -> u64 {
        self.number.unwrap_or(0)
    }

    /// Whether there may have been an earlier life.
    pub(super) fn may_be_later(&self) -> bool {
        self.number != Some(1)
    }

    /// The number, which is on disk when this returns.
    pub(super) fn count(&mut self) -> io::Result<u64> {
        if let Some(number) = self.number {
            return Ok(number);
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = next(&self.folder, since.as_secs())?;
        self.number = Some(number);
        Ok(number)
    }
}

fn next(folder: &Path, now_s: u64) -> io::Result<u64> {
    let path = folder.join(FILE);
    let before = match fs::read(&path) {
        Ok(bytes) => read(&bytes).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), now_s, "the count of starts is damaged; it goes on from the time");
            now_s
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let (number, partial) = (before.saturating_add(1), path.with_extension("partial"));
    let mut file = fs::File::create(&partial)?;
    writeln!(file, "{number} {:08x}", checksum(number))?;
    file.sync_all()?;
    fs::rename(&partial, &path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(number)
}

/// The count in a file, if it is as it was written. Earlier versions wrote no checksum.
fn read(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end();
    let Some((number, sum)) = text.split_once(' ') else { return text.parse().ok() };
    let number = number.parse().ok()?;
    (u32::from_str_radix(sum, 16).ok()? == checksum(number)).then_some(number)
}

fn checksum(number: u64) -> u32 {
    crc32c::crc32c(&number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!([1, 2, 3].map(|_| next(folder.path(), 1_000).unwrap()), [1, 2, 3]);
        fs::write(folder.path().join(FILE), "41\n").unwrap();
        assert_eq!(next(folder.path(), 1_000).unwrap(), 42, "of an earlier version");
    }

    #[test]
    fn no_flipped_bit_makes_a_count_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "41\n").unwrap();
        next(folder.path(), 1_000).unwrap();
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &damaged).unwrap();
            let number = next(folder.path(), 1_000).unwrap();
            assert!(number == 43 || number == 1_001, "bit {bit}: {number}");
        }
    }

    #[test]
    fn a_life_without_a_number_gets_one_when_the_disk_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("later");
        let mut life = Life::begin(&missing);
        assert!(life.number() == 0 && life.may_be_later());
        assert!(life.count().is_err());
        fs::create_dir(&missing).unwrap();
        assert_eq!((life.count().unwrap(), life.count().unwrap(), life.number()), (1, 1, 1));
        assert_eq!(Life::begin(&missing).number(), 2);
    }
}
