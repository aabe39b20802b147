//! Who is calling: Signature Version 4 and ARNs. Owns the arithmetic of identity; must never look a key up, read a clock or touch a socket.

pub mod arn;
pub mod limits;
pub mod sigv4;
