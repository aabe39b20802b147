//! The crate as its users see it: real sockets, real disks, real time, a toy machine.
#![cfg(not(feature = "sim"))]

mod bench;
mod cluster;
mod failures;
mod joining;
mod kill;
mod leading;
mod ledgers;
mod members;
mod recover;
mod toy;
mod writes;
