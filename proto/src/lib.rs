//! The shared language of Tidegate: documents, record keys, transactions, peer messages, compiled tables and limits.
//!
//! Pure: nothing here reads a clock, draws randomness or performs IO. Bytes that leave a process carry a
//! [`frame`] header, so that another version's bytes are refused instead of misread.

pub mod cache;
pub mod compiled;
pub mod dev;
pub mod document;
pub mod field;
pub mod frame;
pub mod id;
pub mod key;
pub mod ledger;
pub mod limits;
pub mod peer;
pub mod status;
pub mod stored;
pub mod transaction;
