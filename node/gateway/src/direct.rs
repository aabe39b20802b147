//! The short line through the phases: for a method whose call or answer needs nothing of a request but its head as it stands in
//! the connection's buffer. Bytes are copied in runs from one head to the next; nothing is allocated, nothing is looked up by
//! name.
//!
//! Which methods qualify is decided once, when a stage is loaded ([`Plan`]). The rest, and every request with an oddity
//! ([`NotDirect`]), takes the general line through [`crate::transform`]; for what both serve, both give the same.

mod answer;
mod call;
mod plan;
mod reply;
mod runs;
#[cfg(test)]
mod tests;

pub use answer::{Answer, write_status_line};
pub use call::{Forward, Sender};
pub(crate) use plan::Plans;
pub use plan::{Plan, Target};
pub use reply::{reply_headers, write_reply_fields};
pub use runs::push_number;

use tidegate_proto::field::Field;

use crate::{Admitted, Routed};

/// This request needs the general line after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request needs the general line")]
pub struct NotDirect;

/// A request head as it stands in the buffer, already known to be framed beyond doubt.
#[derive(Clone, Copy, Debug)]
pub struct RawHead<'r> {
    /// Verb.
    pub verb: &'r str,
    /// The part of the path after the stage.
    pub rest: &'r str,
    /// Query string without the question mark.
    pub query: Option<&'r str>,
    /// Header lines in order.
    pub fields: &'r [Field<'r>],
    /// All bytes of the head; the fields are slices of it.
    pub raw: &'r [u8],
}

impl<'s> Routed<'s> {
    /// How the method is served on the short line.
    pub fn plan(&self) -> Plan {
        self.stage().plans().of(self.method_index())
    }

    /// Whether a client's body stays behind when the method forwards this verb.
    pub fn forwards_no_body(&self, verb: &str) -> bool {
        Forward::of(*self).is_none_or(|forward| forward.sends_no_body(verb))
    }
}

impl<'s> Admitted<'s> {
    /// The call of a method whose plan is [`Plan::Forward`].
    pub fn forward(&self) -> Option<Forward<'s>> {
        Forward::of(*self.routed())
    }
}
