//! The durable side of a node: one ordered log writer for all groups, marks of what they have promised, and checkpoint files. Knows keys and batches, not
//! Raft. A write error is final: it is reported once and nothing is written afterwards.

pub(crate) mod checkpoint;
pub(crate) mod damage;
pub(crate) mod mark;
pub(crate) mod marker;
#[cfg(feature = "sim")]
pub(crate) mod memory;
#[cfg(not(feature = "sim"))]
pub(crate) mod sled;
pub(crate) mod writer;

pub(crate) use writer::{Done, Op, Queue};

use crate::GroupId;
use futures_util::future::BoxFuture;
use mark::Marks;
use std::io;

/// `[kind][group, big endian][index, big endian]`: entries of one group lie together, in order.
pub(crate) type Key = [u8; 17];

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    Entry = 1,
    Vote = 2,
    Purged = 3,
    Committed = 4,
}

/// Changes that reach the disk together or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    /// In order; a later change of the same key wins. `None` removes.
    pub(crate) changes: Vec<(Key, Option<Vec<u8>>)>,
}

/// An ordered map of bytes that survives power cuts.
pub(crate) trait LogBackend: Send + Sync + 'static {
    /// Writes a batch after all earlier ones; with `durable`, returns only when it is on stable storage.
    fn commit(&self, batch: Batch, durable: bool) -> BoxFuture<'_, io::Result<()>>;
    /// Reads one value.
    fn get(&self, key: &Key) -> io::Result<Option<Vec<u8>>>;
    /// Reads all values of the inclusive range, in order. Only used before the writer starts.
    fn scan(
        &self,
        from: &Key,
        to: &Key,
        visit: &mut dyn FnMut(&Key, &[u8]) -> io::Result<()>,
    ) -> io::Result<()>;
    /// The marks as they were when this was opened.
    fn marks(&self) -> Marks;
    /// Makes marks durable, with `twice` so that no single damage takes them back. Those of an `order` before the last one saved are
    /// passed over. Blocking.
    fn save_marks(&self, order: u64, marks: &Marks, twice: bool) -> io::Result<()>;
    /// Bytes that the disk still has room for.
    fn room_bytes(&self) -> io::Result<u64>;
    /// Bytes on disk.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// The key of a value.
pub(crate) fn key(slot: Slot, group: GroupId, index: u64) -> Key {
    let mut key = [0; 17];
    key[0] = slot as u8;
    key[1..9].copy_from_slice(&group.to_be_bytes());
    key[9..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The index in a key.
pub(crate) fn index_of(key: &Key) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|i| key[9 + i]))
}
