//! The listener through real sockets: framing, limits, protocols, draining.

mod corpus;
mod drain;
mod floods;
mod frames;
mod framing;
mod harness;
mod http2;
mod http2_heads;
mod http2_life;
mod limits;
mod local;
mod tls;
mod tls_client;
mod upgrade;
