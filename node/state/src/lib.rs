//! The replicated configuration: versioned records, transactions over them, hash, difference and whole-state encoding.
//!
//! Pure: applying the same transactions in the same order gives the same state, the same revision and the same hash on
//! every node. Ids and time were stamped by the proposer. Nothing here knows what a record means beyond its [`table`].

mod apply;
mod encode;
mod state;
pub mod table;

pub use encode::DecodeError;
pub use state::{Change, Record, State};
