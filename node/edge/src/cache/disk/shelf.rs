//! The files of a node, oldest first. Owns the bounds on their bytes and number: where there is no room the oldest goes.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use tidegate_proto::limits::CACHE_DISK_SEGMENTS_MAX;

use super::{
    keys::Keys,
    segment::{self, Segment},
};

/// Files that the bytes are spread over: what goes at a time is a small part.
const PARTS: u64 = 64;
/// Bytes of a file, unless there are more or fewer bytes in all than is usual.
const SEGMENT_BYTES: u64 = 32 * 1024 * 1024;
/// Places in a file are numbers of 32 bits.
const SEGMENT_BYTES_MAX: u64 = 1 << 31;

#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    bytes_max: u64,
    segments: RwLock<VecDeque<Arc<Segment>>>,
    /// Number of the next file: none is used twice, or places in an old file would be taken for places in a new one.
    next: AtomicU32,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, bytes_max: u64) -> Self {
        Self { folder, bytes_max, segments: RwLock::default(), next: AtomicU32::new(0) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of one file.
    pub(super) fn segment_bytes(&self) -> u64 {
        let usual = SEGMENT_BYTES.min(self.bytes_max / 8);
        (self.bytes_max / PARTS).clamp(usual, SEGMENT_BYTES_MAX.max(usual))
    }

    /// Bytes that all files may have together.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.read().iter().map(|segment| segment.bytes()).sum()
    }

    pub(super) fn find(&self, number: u32) -> Option<Arc<Segment>> {
        let segments = self.read();
        let at = segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        segments.get(at).cloned()
    }

    /// All files, newest first.
    pub(super) fn newest_first(&self) -> Vec<Arc<Segment>> {
        self.read().iter().rev().cloned().collect()
    }

    /// Number of the oldest file.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.read().front().map(|segment| segment.number)
    }

    /// Whether a file will be there for a good while.
    pub(super) fn is_young(&self, number: u32) -> bool {
        let segments = self.read();
        let at = segments.binary_search_by_key(&number, |segment| segment.number);
        at.is_ok_and(|at| 2 * at >= segments.len())
    }

    /// Takes over the files of earlier processes. One that cannot be read is deleted, with all that are older: it may have said what of
    /// them is not valid.
    pub(super) fn take_over(&self, keys: &Keys) -> io::Result<()> {
        for number in segment::numbers(&self.folder)? {
            self.next.store(number.saturating_add(1), Relaxed);
            match Segment::open(&self.folder, number, keys) {
                Ok(Some(segment)) => self.write().push_back(Arc::new(segment)),
                unreadable => {
                    let error = unreadable.err();
                    tracing::warn!(number, ?error, "a file of the cache cannot be read, or has another key");
                    self.drop_to(number);
                    segment::delete(&self.folder, number);
                }
            }
        }
        Ok(())
    }

    /// Makes a new file.
    pub(super) fn add(&self, keys: &Keys) -> io::Result<Arc<Segment>> {
        let number = self.next.fetch_add(1, Relaxed);
        let segment = Arc::new(Segment::create(&self.folder, number, keys)?);
        self.write().push_back(Arc::clone(&segment));
        Ok(segment)
    }

    /// Makes room for `bytes`; `true` if something went for it.
    pub(super) fn make_room(&self, bytes: u64) -> bool {
        let mut has_dropped = false;
        loop {
            let is_full = {
                let segments = self.read();
                let sum: u64 = segments.iter().map(|segment| segment.bytes()).sum();
                !segments.is_empty()
                    && (sum.saturating_add(bytes) > self.bytes_max
                        || segments.len() > CACHE_DISK_SEGMENTS_MAX)
            };
            if !is_full {
                return has_dropped;
            }
            self.drop_oldest();
            has_dropped = true;
        }
    }

    pub(super) fn drop_oldest(&self) {
        let oldest = self.write().pop_front();
        if let Some(oldest) = oldest {
            oldest.delete();
        }
    }

    /// Deletes a file and all that are older.
    pub(super) fn drop_to(&self, number: u32) {
        while self.oldest().is_some_and(|oldest| oldest <= number) {
            self.drop_oldest();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, VecDeque<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, VecDeque<Arc<Segment>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }
}
