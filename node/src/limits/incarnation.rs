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
/// File name of its checksum: apart, so that a version without one can be gone back to.
const SUM_FILE: &str = "incarnation.sum";

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
        Ok(bytes) => read(&bytes, &checksum_of(folder)?).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), now_s, "the count of starts is damaged; it goes on from the time");
            now_s
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let number = before.saturating_add(1);
    // A count whose checksum is another one's goes on from the time, whichever of the two is older.
    replace(&folder.join(SUM_FILE), &format!("{:08x}\n", checksum(number)))?;
    replace(&path, &format!("{number}\n"))?;
    fs::File::open(folder)?.sync_all()?;
    Ok(number)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = fs::File::create(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// The checksum beside the count; nothing where an earlier version has written the count.
fn checksum_of(folder: &Path) -> io::Result<Vec<u8>> {
    match fs::read(folder.join(SUM_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The count in a file, if it is as it was written.
fn read(bytes: &[u8], sum: &[u8]) -> Option<u64> {
    let text = |bytes| std::str::from_utf8(bytes).ok().map(str::trim_end);
    let (number, sum) = (text(bytes)?.parse().ok()?, text(sum)?);
    (sum.is_empty() || u32::from_str_radix(sum, 16).ok()? == checksum(number)).then_some(number)
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
        fs::write(folder.path().join(FILE), "4\n").unwrap();
        assert_eq!(next(folder.path(), 1_000).unwrap(), 1_001, "an earlier version has counted in between");
        fs::remove_file(folder.path().join(SUM_FILE)).unwrap();
        fs::write(folder.path().join(FILE), "41\n").unwrap();
        assert_eq!(next(folder.path(), 1_000).unwrap(), 42, "of an earlier version");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "42\n", "which can read it");
    }

    #[test]
    fn no_flipped_bit_makes_a_count_go_back() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "41\n").unwrap();
        next(folder.path(), 1_000).unwrap();
        let paths = [FILE, SUM_FILE].map(|name| folder.path().join(name));
        let whole = paths.each_ref().map(|path| fs::read(path).unwrap());
        for (path, bytes) in paths.iter().zip(&whole) {
            for bit in 0..bytes.len() * 8 {
                paths.iter().zip(&whole).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                fs::write(path, &damaged).unwrap();
                let number = next(folder.path(), 1_000).unwrap();
                assert!(number == 43 || number == 1_001, "{} bit {bit}: {number}", path.display());
            }
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
