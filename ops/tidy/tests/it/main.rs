//! One binary for all house rules; each module is one family of rules.

mod arrows;
mod files;
mod functions;
mod readme;
mod tree;
mod words;
