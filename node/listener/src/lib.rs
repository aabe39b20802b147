//! Sockets in, requests out: bind, accept, TLS, HTTP/1.1 and HTTP/2, limits, drain.
//!
//! The listener decides one thing about a request: whether its framing is beyond doubt. What is not is answered here and never
//! reaches a handler ([`head`], [`Refusal`]). It knows no routes, no APIs and no upstreams, and it depends on no other crate
//! of the workspace. TLS stands between accepting a stream and serving it ([`tls`]).

mod bind;
mod body;
mod connection;
mod counters;
pub mod direct;
mod dispatch;
mod flood;
pub mod forward;
mod guard;
pub mod head;
pub mod limits;
mod options;
mod peers;
mod refusal;
mod service;
mod short;
mod sniff;
mod sweep;
pub mod tls;
mod work;

pub use body::{Body, BodyError};
pub use connection::{Connection, Protocol, Scheme};
pub use counters::CounterValues;
pub use forward::strip_hop_by_hop;
pub use options::{Http2Options, Options, TlsOptions};
pub use refusal::Refusal;
pub use service::{Error, Handle, Service};
