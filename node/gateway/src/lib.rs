//! The mind of the data plane: compiles definitions into stage tables, holds them in snapshots, and decides each
//! phase of a request. Pure: no IO, no clock, no randomness; what a phase needs from outside is an argument.

mod address;
mod archive;
mod caches;
mod compile;
mod direct;
mod limits;
mod links;
mod phase;
mod rejection;
mod request;
mod router;
mod snapshot;
mod table;
#[cfg(test)]
mod testing;
mod transform;

pub use address::{Address, address};
pub use caches::{Asked, Caches, KeyParts, Plainness, Rule, StageCache};
pub use compile::{CompileError, compile};
pub use direct::{
    Answer, Forward, NotDirect, Plan, RawHead, Sender, Target, push_number, reply_headers,
    write_reply_fields, write_status_line,
};
pub use limits::{
    Gate, KeyTable, Known, Level, Limits, Shortage, Subject, holders, plan_limit_name,
    subjects as limit_subjects,
};
pub use links::{Links, link_uses};
pub use phase::{Admitted, Authorized, Pass, Routed, Turnstile, authorize, throttle};
pub use rejection::{Fault, Rejection, Rendered, ResponseType};
pub use request::{Facts, Request, common_log_time, verb};
pub use router::{Parameters, known_verb, verb_index};
pub use snapshot::Snapshot;
pub use table::{LoadError, Route, StageTable};
pub use transform::{Call, CallBody, Carry, Intake, Response, ResponseBody, Selected, Step, is_protected};
