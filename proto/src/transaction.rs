//! What the configuration log carries: compare revisions, put and delete records, all or nothing.
//!
//! The proposer stamps ids and time into the documents; applying a transaction needs neither.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::frame::{self, FrameError, Kind};

/// Newest transaction version this program writes and reads.
pub const VERSION: u8 = 1;

/// One atomic change.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct TransactionV1 {
    /// All must hold, or nothing is changed.
    pub compares: Vec<CompareV1>,
    /// Records written, in order.
    pub puts: Vec<PutV1>,
    /// Records removed; absent ones are skipped.
    pub deletes: Vec<String>,
    /// Every record whose key starts with one of these is removed, before the puts.
    pub delete_prefixes: Vec<String>,
}

/// Holds while the record at `key` has `revision`; 0 means that it does not exist.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct CompareV1 {
    /// Record key.
    pub key: String,
    /// Revision seen by the proposer.
    pub revision: u64,
}

/// Writes `bytes` at `key`.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct PutV1 {
    /// Record key.
    pub key: String,
    /// The document.
    pub bytes: Vec<u8>,
}

/// What applying a transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum OutcomeV1 {
    /// All changes are in; every record written has this revision.
    Committed {
        /// Revision of the whole state.
        revision: u64,
    },
    /// Another writer was first; nothing changed.
    Conflict {
        /// The first record whose revision differed.
        key: String,
        /// Its revision, 0 when it does not exist.
        found: u64,
    },
    /// The bytes were not a transaction this version reads; nothing changed.
    Refused {
        /// Why.
        reason: String,
    },
}

impl TransactionV1 {
    /// Requires that `key` still has `revision` (0: absent).
    pub fn compare(&mut self, key: impl Into<String>, revision: u64) -> &mut Self {
        self.compares.push(CompareV1 { key: key.into(), revision });
        self
    }

    /// Writes a document.
    pub fn put(&mut self, key: impl Into<String>, document: &impl crate::document::Document) -> &mut Self {
        self.puts.push(PutV1 { key: key.into(), bytes: document.encode() });
        self
    }

    /// Removes a record.
    pub fn delete(&mut self, key: impl Into<String>) -> &mut Self {
        self.deletes.push(key.into());
        self
    }

    /// Removes every record below a prefix.
    pub fn delete_prefix(&mut self, prefix: impl Into<String>) -> &mut Self {
        self.delete_prefixes.push(prefix.into());
        self
    }

    /// Whether applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty() && self.delete_prefixes.is_empty()
    }

    /// The framed bytes for the log.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Transaction, VERSION, &body)
    }

    /// Reads framed bytes from the log.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Transaction, VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

impl OutcomeV1 {
    /// The framed bytes for the proposer.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Outcome, VERSION, &body)
    }

    /// Reads the bytes a proposal returned.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Outcome, VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests;
