//! Checkpoint files of a simulated node, with a power switch: a whole file has its name, a part of one has none that anybody reads. Twin of
//! the directory; it can be told to write under the final name at once, to prove that the checks notice.

use super::{CheckpointStore, newest_good, parse};
use crate::{
    GroupId, limits,
    store::memory::next,
    wire::{record, v1::CheckpointV1},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Cuts the power of a node.
pub(crate) type Cut = Box<dyn FnOnce() + Send>;

/// A directory that outlives the stores opened on it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Directory(Arc<Mutex<Files>>);

struct Files {
    /// What can be read, by group and index.
    named: BTreeMap<(GroupId, u64), Bytes>,
    random: u64,
    cuts: u64,
    /// Called in the midst of the next file.
    cut_next: Option<Cut>,
    in_place: bool,
}

/// The directory as one running node sees it; useless after a cut.
pub(crate) struct CheckpointMemory {
    directory: Directory,
    cuts: u64,
}

impl Directory {
    /// An empty one; `seed` decides what is left of a file in whose midst the power was cut.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Files {
            named: BTreeMap::new(),
            random: seed,
            cuts: 0,
            cut_next: None,
            in_place: false,
        })))
    }

    /// Opens what survived.
    pub(crate) fn open(&self) -> CheckpointMemory {
        CheckpointMemory { directory: self.clone(), cuts: self.lock().cuts }
    }

    /// Cuts the power: what was opened before writes nothing any more.
    pub(crate) fn cut(&self) {
        self.lock().cuts += 1;
    }

    /// Cuts the power in the midst of the next file, or not after all.
    pub(crate) fn cut_next(&self, cut: Option<Cut>) {
        self.lock().cut_next = cut;
    }

    /// From now on files are written under their final names.
    pub(crate) fn write_in_place(&self, in_place: bool) {
        self.lock().in_place = in_place;
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn keep(&mut self, at: (GroupId, u64), bytes: Bytes) {
        self.named.insert(at, bytes);
        let (group, _) = at;
        let indexes: Vec<u64> = self.newest_first(group).map(|(index, _)| index).collect();
        for index in indexes.into_iter().skip(limits::CHECKPOINTS_KEPT) {
            self.named.remove(&(group, index));
        }
    }

    /// The power is cut while a file is written: a part of it is there under a name that nobody reads, or, just after the renaming, all of
    /// it under its own.
    fn tear(&mut self, at: (GroupId, u64), bytes: &Bytes) {
        let part = bytes.slice(..(next(&mut self.random) % (bytes.len() as u64 + 1)) as usize);
        if self.in_place {
            self.named.insert(at, part);
        } else if next(&mut self.random).is_multiple_of(4) {
            self.keep(at, bytes.clone());
        }
    }

    fn newest_first(&self, group: GroupId) -> impl Iterator<Item = (u64, &Bytes)> {
        self.named.range((group, 0)..=(group, u64::MAX)).rev().map(|((_, index), bytes)| (*index, bytes))
    }
}

impl CheckpointStore for CheckpointMemory {
    fn save(&self, group: GroupId, head: &CheckpointV1, data: &[u8]) -> io::Result<()> {
        let at = (group, head.last.as_ref().map_or(0, |last| last.index));
        let bytes = Bytes::from([&record::encode(head), data].concat());
        let cut_off = || io::Error::new(io::ErrorKind::BrokenPipe, "the power was cut");
        let cut = {
            let mut files = self.directory.lock();
            if files.cuts != self.cuts {
                return Err(cut_off());
            }
            let Some(cut) = files.cut_next.take() else {
                files.keep(at, bytes);
                return Ok(());
            };
            files.tear(at, &bytes);
            cut
        };
        cut();
        Err(cut_off())
    }

    fn load(&self, group: GroupId) -> io::Result<Option<(CheckpointV1, Bytes)>> {
        let files = self.directory.lock();
        newest_good(
            files.newest_first(group).map(|(index, bytes)| (format!("{group}-{index}"), parse(bytes))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::{LogIdV1, MembershipV1};

    fn save(directory: &Directory, index: u64) -> io::Result<()> {
        save_on(&directory.open(), index)
    }

    fn save_on(store: &CheckpointMemory, index: u64) -> io::Result<()> {
        let data = vec![index as u8; 1_000];
        let last = Some(LogIdV1 { term: 1, node: 1, index });
        let (bytes, crc) = (data.len() as u64, crc32c::crc32c(&data));
        let membership = MembershipV1 { configs: vec![vec![1]], nodes: Vec::new() };
        let head = CheckpointV1 { last, membership_at: None, membership, bytes, crc };
        store.save(7, &head, &data)
    }

    fn loaded(directory: &Directory) -> Option<u64> {
        let found = directory.open().load(7).expect("one of them is good");
        found.map(|(head, _)| head.last.expect("every one has an end").index)
    }

    #[test]
    fn what_was_being_written_is_there_as_a_whole_or_not_at_all() {
        let mut left = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let directory = Directory::new(seed);
            save(&directory, 5).unwrap();
            let before = directory.open();
            let cut = directory.clone();
            directory.cut_next(Some(Box::new(move || cut.cut())));
            assert!(save(&directory, 9).is_err());
            left.insert(loaded(&directory));
            assert!(save_on(&before, 10).is_err(), "its power was cut");
            save(&directory, 12).unwrap();
            assert_eq!(loaded(&directory), Some(12));
        }
        assert_eq!(left, [Some(5), Some(9)].into());
    }

    #[test]
    fn a_part_under_the_final_name_is_noticed() {
        let directory = Directory::new(1);
        directory.write_in_place(true);
        directory.cut_next(Some(Box::new(|| {})));
        assert!(save(&directory, 5).is_err());
        assert!(directory.open().load(7).is_err(), "there is one, and it is not good");
        save(&directory, 3).unwrap();
        assert_eq!(loaded(&directory), Some(3), "the one before is");
    }
}
