//! Tests of import and export as a whole; the parts have their own beside them.

mod cache;
mod definition;
mod documents;
mod exports;
mod fuzz;
mod random;
mod refusals;
mod round_trip;
