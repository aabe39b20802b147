//! The listener through real sockets: framing, limits, protocols, draining.

mod corpus;
mod drain;
mod framing;
mod harness;
mod http2;
mod limits;
mod local;
mod tls;
mod tls_client;
mod upgrade;
