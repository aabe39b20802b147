//! Header lines as they stand in a buffer, each with what it is known as: a name is compared once, when its line is read, and
//! every rule after that asks by number. Nothing here reads lines.

mod known;

pub use known::{Known, is_name};

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// The name as it came: a token (RFC 9110 §5.6.2).
    pub name: &'b [u8],
    /// The value without the blanks around it.
    pub value: &'b [u8],
    /// What the name is known as.
    pub known: Known,
}

impl<'b> Field<'b> {
    /// The line of `name` and `value`.
    pub fn new(name: &'b [u8], value: &'b [u8]) -> Self {
        Self { name, value, known: Known::of(name) }
    }
}
