//! What was written and not yet made durable, as what there was before: a power cut puts it back. Directories are durable at once.

use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt, path::Path};

use rand::{Rng, rngs::StdRng};

use crate::limits::UNSYNCED_BYTES;

/// A sector: what a disk writes whole.
const SECTOR: u64 = 512;

/// The writes to one file since it was last made durable, oldest first.
#[derive(Default)]
pub(super) struct Unsynced {
    undos: VecDeque<Undo>,
    bytes: usize,
    /// Writes that were noted, ever.
    noted: u64,
}

/// What a write replaced.
struct Undo {
    offset: u64,
    old: Vec<u8>,
    old_length: u64,
    new_end: u64,
}

impl Unsynced {
    /// Notes what `length` bytes at `offset` are about to replace.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn note_write(&mut self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        let old_length = file.metadata()?.len();
        let kept = old_length.saturating_sub(offset).min(length);
        self.note(file, offset, kept, old_length, offset + length)
    }

    /// Notes what a change of the length is about to cut off.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn note_length(&mut self, file: &File, length: u64) -> io::Result<()> {
        let old_length = file.metadata()?.len();
        self.note(file, length.min(old_length), old_length.saturating_sub(length), old_length, length)
    }

    fn note(&mut self, file: &File, offset: u64, kept: u64, old_length: u64, new_end: u64) -> io::Result<()> {
        let mut old = vec![0; kept as usize];
        file.read_exact_at(&mut old, offset)?;
        self.bytes += old.len();
        self.undos.push_back(Undo { offset, old, old_length, new_end });
        self.noted += 1;
        // A system writes back by itself at some time; with so much in memory this one does.
        while self.bytes > UNSYNCED_BYTES && self.forget_first() {}
        Ok(())
    }

    /// What has been noted so far, for [`Unsynced::settle`].
    pub(super) fn mark(&self) -> u64 {
        self.noted
    }

    /// Everything up to a mark is durable; what came while it was made so is not.
    pub(super) fn settle(&mut self, mark: u64) {
        while self.noted - (self.undos.len() as u64) < mark && self.forget_first() {}
    }

    fn forget_first(&mut self) -> bool {
        let first = self.undos.pop_front();
        self.bytes -= first.as_ref().map_or(0, |undo| undo.old.len());
        first.is_some()
    }

    /// Puts back what there was when the file was last made durable; with `tear`, the last write stays in part. Says how many writes
    /// were undone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn undo(&mut self, path: &Path, tear: Option<&mut StdRng>) -> io::Result<usize> {
        let undos = std::mem::take(&mut self.undos);
        self.bytes = 0;
        if undos.is_empty() {
            return Ok(0);
        }
        let file = File::options().read(true).write(true).open(path)?;
        let torn = match (tear, undos.back()) {
            (Some(random), Some(last)) => torn(&file, last, random)?,
            _ => None,
        };
        for undo in undos.iter().rev() {
            file.write_all_at(&undo.old, undo.offset)?;
            file.set_len(undo.old_length)?;
        }
        if let Some((offset, bytes)) = torn {
            file.write_all_at(&bytes, offset)?;
        }
        Ok(undos.len())
    }
}

/// The first sectors of the last write, some of them.
fn torn(file: &File, last: &Undo, random: &mut StdRng) -> io::Result<Option<(u64, Vec<u8>)>> {
    let end = last.new_end.min(file.metadata()?.len());
    let sectors = end.saturating_sub(last.offset) / SECTOR;
    if sectors == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; (random.random_range(0..sectors) * SECTOR) as usize];
    file.read_exact_at(&mut bytes, last.offset)?;
    Ok(Some((last.offset, bytes)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn write(unsynced: &mut Unsynced, file: &File, offset: u64, bytes: &[u8]) {
        unsynced.note_write(file, offset, bytes.len() as u64).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    #[test]
    fn a_power_cut_leaves_what_was_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut unsynced = Unsynced::default();
        let content = || std::fs::read(&path).unwrap();
        write(&mut unsynced, &file, 0, b"durable");
        unsynced.settle(unsynced.mark());
        write(&mut unsynced, &file, 2, b"XX");
        write(&mut unsynced, &file, 5, b"longer than before");
        unsynced.note_length(&file, 3).unwrap();
        file.set_len(3).unwrap();
        write(&mut unsynced, &file, 1, b"YYYY");
        assert_eq!(content(), b"dYYYY");
        assert_eq!(unsynced.undo(&path, None).unwrap(), 4);
        assert_eq!(content(), b"durable");
        assert_eq!(unsynced.undo(&path, None).unwrap(), 0);
    }

    #[test]
    fn what_is_written_while_a_file_is_made_durable_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut unsynced = Unsynced::default();
        write(&mut unsynced, &file, 0, b"before");
        let mark = unsynced.mark();
        write(&mut unsynced, &file, 0, b"during");
        unsynced.settle(mark);
        assert_eq!(
            (unsynced.undo(&path, None).unwrap(), std::fs::read(&path).unwrap()),
            (1, b"before".to_vec())
        );
    }

    #[test]
    fn a_torn_write_stays_in_whole_sectors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            let mut unsynced = Unsynced::default();
            write(&mut unsynced, &file, 0, &[1; 2_000]);
            unsynced.undo(&path, Some(&mut StdRng::seed_from_u64(seed))).unwrap();
            let content = std::fs::read(&path).unwrap();
            assert!(content.iter().all(|byte| *byte == 1));
            lengths.insert(content.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 512, 1_024]);
    }
}
