//! Rate limits: one algorithm for every side that counts. Pure: the time is an argument.

mod bucket;

pub use bucket::Bucket;
