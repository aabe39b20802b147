//! The state itself: an ordered, immutable-by-clone map of records with a revision and an order-independent hash.

use std::{ops::Bound, sync::Arc};

use imbl::{OrdMap, ordmap::DiffItem};
use xxhash_rust::xxh3::Xxh3;

/// One record: opaque bytes and the revision of the transaction that wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Revision of the whole state at the last write; never 0.
    pub revision: u64,
    /// The document.
    pub bytes: Arc<[u8]>,
}

/// All replicated configuration. Cloning is O(1), so readers keep a whole consistent view while writers go on.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) records: OrdMap<Arc<str>, Record>,
    pub(crate) revision: u64,
    pub(crate) hash: u128,
    pub(crate) bytes: usize,
}

/// A record that differs between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Written after the older state.
    Put {
        /// Record key.
        key: Arc<str>,
        /// What it holds now.
        record: Record,
    },
    /// Removed after the older state.
    Delete {
        /// Record key.
        key: Arc<str>,
    },
}

impl State {
    /// Revision of the last committed transaction; 0 when none was.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Hash over all records and their revisions; equal states have equal hashes on every node.
    pub fn hash(&self) -> u128 {
        self.hash ^ u128::from(self.revision)
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all keys and documents.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The record at `key`.
    pub fn get(&self, key: &str) -> Option<&Record> {
        self.records.get(key)
    }

    /// Revision of the record at `key`, 0 when there is none: what a compare expects.
    pub fn revision_of(&self, key: &str) -> u64 {
        self.get(key).map_or(0, |record| record.revision)
    }

    /// All records whose key starts with `prefix`, in key order.
    pub fn prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Record)> {
        self.records
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, record)| (&**key, record))
    }

    /// What changed since `older`, in key order. Costs what changed, not what exists, when one grew from the other.
    pub fn changes_since(&self, older: &Self) -> Vec<Change> {
        let put = |key: &Arc<str>, record: &Record| Change::Put { key: key.clone(), record: record.clone() };
        older
            .records
            .diff(&self.records)
            .map(|item| match item {
                DiffItem::Add(key, record) | DiffItem::Update { new: (key, record), .. } => put(key, record),
                DiffItem::Remove(key, _) => Change::Delete { key: key.clone() },
            })
            .collect()
    }

    pub(crate) fn put(&mut self, key: Arc<str>, record: Record) {
        self.hash ^= record_hash(&key, &record);
        self.bytes += key.len() + record.bytes.len();
        let fresh = key.clone();
        if let Some(old) = self.records.insert(key, record) {
            self.hash ^= record_hash(&fresh, &old);
            self.bytes -= fresh.len() + old.bytes.len();
        }
    }

    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(old) = self.records.remove(key) {
            self.hash ^= record_hash(key, &old);
            self.bytes -= key.len() + old.bytes.len();
        }
    }
}

/// XOR of these over all records is the state hash, so a write costs one record, not the whole state.
fn record_hash(key: &str, record: &Record) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(&record.revision.to_le_bytes());
    hasher.update(&record.bytes);
    hasher.digest128()
}
