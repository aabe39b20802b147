//! The options of one listener and their rules. Checking is pure; binding happens in [`Service::new`](crate::Service::new).

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::limits::{
    BACKLOG, CONNECTIONS_CEILING, CONNECTIONS_MAX, CONTROL_FRAMES_MAX, FLOOD_WINDOW_MS, FRAGMENTS_MAX,
    FRAMES_CEILING, HANDSHAKE_TIMEOUT_MS, HANDSHAKES_CEILING, HANDSHAKES_MAX, HEADER_BYTES_CEILING,
    HEADER_BYTES_MAX, HEADERS_CEILING, HEADERS_MAX, RESETS_MAX, TIMEOUT_MS_CEILING, WINDOW_UPDATES_MAX,
};

/// Settings of one listener.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where to listen; port 0 asks the system for a free one.
    pub address: SocketAddr,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// Lets several listeners share the port; the kernel spreads connections among them.
    pub reuse_port: bool,
    /// Open connections at most; a further one is answered 503 and closed.
    pub connections_max: usize,
    /// Open connections of one peer address (IPv6: one /64) at most. Leave it out behind a load balancer, which is one peer.
    pub connections_per_peer_max: Option<usize>,
    /// Bytes of one request head at most, request line included; more is answered 431.
    pub header_bytes_max: usize,
    /// Header lines of one request at most; more is answered 431.
    pub headers_max: usize,
    /// Time from the first byte of a head to its last.
    pub header_read_timeout_ms: u64,
    /// Time a connection may stay without a request.
    pub keep_alive_timeout_ms: u64,
    /// Time without a byte of a request body the handler is waiting for.
    pub body_stall_timeout_ms: u64,
    /// Time without progress while an answer is being written.
    pub write_stall_timeout_ms: u64,
    /// Time requests in flight get to finish once draining has begun.
    pub drain_timeout_ms: u64,
    /// Time that an HTTP/1.1 connection without a request gets for one more once draining has begun; the answer says that it ends. A
    /// client that sends a request at the moment in which its connection is closed cannot know whether it was carried out.
    pub drain_idle_ms: u64,
    /// Settings of HTTP/2 connections (prior knowledge on a plain port).
    pub http2: Http2Options,
    /// Settings of TLS; a plain listener has no use for them.
    pub tls: TlsOptions,
}

/// Settings of TLS connections.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsOptions {
    /// Time from accepting a connection to the end of its handshake.
    pub handshake_timeout_ms: u64,
    /// Handshakes under way at a time; a further one waits for its turn, within its time.
    pub handshakes_max: usize,
}

/// Settings of HTTP/2 connections.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2Options {
    /// Whether HTTP/2 is spoken at all.
    pub enabled: bool,
    /// Concurrent streams of one connection.
    pub streams_max: u32,
    /// Streams the peer may have reset before they were accepted (rapid reset) until the connection is ended.
    pub resets_pending_max: usize,
    /// Streams ended because of the peer's faults, in the whole life of a connection, until it is ended. Their rate is bounded
    /// by `resets_max`, and a proxy's connection lives long.
    pub resets_local_max: usize,
    /// Time in which a connection earns each of the following bounds anew. Passing one ends the connection.
    pub flood_window_ms: u64,
    /// PING frames.
    pub pings_max: u32,
    /// SETTINGS frames; a client needs one or two.
    pub settings_max: u32,
    /// PRIORITY frames and frames of unknown types.
    pub priorities_max: u32,
    /// Streams reset by the peer after they were accepted, beyond one for every answer; the same bound again for streams reset
    /// by us because of the peer's faults.
    pub resets_max: u32,
    /// WINDOW_UPDATE frames beyond what our DATA explains.
    pub window_updates_max: u32,
    /// Empty DATA frames that end nothing, second HEADERS of a stream and CONTINUATION frames.
    pub fragments_max: u32,
    /// Receive window of one stream.
    pub stream_window_bytes: u32,
    /// Receive window of one connection.
    pub connection_window_bytes: u32,
    /// Largest frame accepted.
    pub frame_bytes_max: u32,
    /// Bytes of answers buffered for one stream.
    pub send_buffer_bytes_max: usize,
    /// Silence after which a PING asks whether the peer is alive.
    pub ping_interval_ms: u64,
    /// Time the peer has to answer that PING.
    pub ping_timeout_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            backlog: BACKLOG,
            reuse_port: false,
            connections_max: CONNECTIONS_MAX,
            connections_per_peer_max: None,
            header_bytes_max: HEADER_BYTES_MAX,
            headers_max: HEADERS_MAX,
            header_read_timeout_ms: 10_000,
            keep_alive_timeout_ms: 60_000,
            body_stall_timeout_ms: 30_000,
            write_stall_timeout_ms: 30_000,
            drain_timeout_ms: 30_000,
            drain_idle_ms: 1_000,
            http2: Http2Options::default(),
            tls: TlsOptions::default(),
        }
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { handshake_timeout_ms: HANDSHAKE_TIMEOUT_MS, handshakes_max: HANDSHAKES_MAX }
    }
}

impl Default for Http2Options {
    fn default() -> Self {
        Self {
            enabled: true,
            streams_max: 100,
            resets_pending_max: 20,
            resets_local_max: 10_000,
            flood_window_ms: FLOOD_WINDOW_MS,
            pings_max: CONTROL_FRAMES_MAX,
            settings_max: CONTROL_FRAMES_MAX,
            priorities_max: CONTROL_FRAMES_MAX,
            resets_max: RESETS_MAX,
            window_updates_max: WINDOW_UPDATES_MAX,
            fragments_max: FRAGMENTS_MAX,
            stream_window_bytes: 64 * 1024,
            connection_window_bytes: 1024 * 1024,
            frame_bytes_max: 16 * 1024,
            send_buffer_bytes_max: 64 * 1024,
            ping_interval_ms: 30_000,
            ping_timeout_ms: 20_000,
        }
    }
}

impl Options {
    /// The defaults at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, ..Self::default() }
    }

    /// Checks every field against its rule.
    ///
    /// # Errors
    /// [`Error::Option`] names the first field that breaks its rule, its value and the rule.
    pub fn check(&self) -> Result<(), Error> {
        within("backlog", u64::from(self.backlog), 1, 65_535)?;
        within("connections_max", self.connections_max as u64, 1, CONNECTIONS_CEILING as u64)?;
        if let Some(places_max) = self.connections_per_peer_max {
            within("connections_per_peer_max", places_max as u64, 1, CONNECTIONS_CEILING as u64)?;
        }
        within("header_bytes_max", self.header_bytes_max as u64, 256, HEADER_BYTES_CEILING as u64)?;
        within("headers_max", self.headers_max as u64, 1, HEADERS_CEILING as u64)?;
        for (field, value) in [
            ("header_read_timeout_ms", self.header_read_timeout_ms),
            ("keep_alive_timeout_ms", self.keep_alive_timeout_ms),
            ("body_stall_timeout_ms", self.body_stall_timeout_ms),
            ("write_stall_timeout_ms", self.write_stall_timeout_ms),
            ("http2.ping_interval_ms", self.http2.ping_interval_ms),
            ("http2.ping_timeout_ms", self.http2.ping_timeout_ms),
            ("http2.flood_window_ms", self.http2.flood_window_ms),
            ("tls.handshake_timeout_ms", self.tls.handshake_timeout_ms),
        ] {
            within(field, value, 1, TIMEOUT_MS_CEILING)?;
        }
        within("drain_timeout_ms", self.drain_timeout_ms, 0, TIMEOUT_MS_CEILING)?;
        within("drain_idle_ms", self.drain_idle_ms, 0, TIMEOUT_MS_CEILING)?;
        within("tls.handshakes_max", self.tls.handshakes_max as u64, 1, HANDSHAKES_CEILING as u64)?;
        self.http2.check()
    }
}

impl Http2Options {
    fn check(&self) -> Result<(), Error> {
        const WINDOW_MAX: u64 = (1 << 31) - 1;
        within("http2.streams_max", u64::from(self.streams_max), 1, 10_000)?;
        within("http2.resets_pending_max", self.resets_pending_max as u64, 1, 10_000)?;
        within("http2.resets_local_max", self.resets_local_max as u64, 1, 10_000)?;
        for (field, value) in [
            ("http2.pings_max", self.pings_max),
            ("http2.settings_max", self.settings_max),
            ("http2.priorities_max", self.priorities_max),
            ("http2.resets_max", self.resets_max),
            ("http2.window_updates_max", self.window_updates_max),
            ("http2.fragments_max", self.fragments_max),
        ] {
            within(field, u64::from(value), 10, u64::from(FRAMES_CEILING))?;
        }
        within("http2.stream_window_bytes", u64::from(self.stream_window_bytes), 65_535, WINDOW_MAX)?;
        within("http2.connection_window_bytes", u64::from(self.connection_window_bytes), 65_535, WINDOW_MAX)?;
        within("http2.frame_bytes_max", u64::from(self.frame_bytes_max), 16_384, (1 << 24) - 1)?;
        within("http2.send_buffer_bytes_max", self.send_buffer_bytes_max as u64, 1_024, u64::from(u32::MAX))
    }
}

fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Option { field, value: value.to_string(), rule: format!("from {least} to {most}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_known_fields_only_are_read() {
        Options::default().check().unwrap();
        let read: Options =
            serde_json::from_str(r#"{"address":"127.0.0.1:0","http2":{"streams_max":7}}"#).unwrap();
        assert_eq!(read.http2.streams_max, 7);
        let refused = serde_json::from_str::<Options>(r#"{"adress":"127.0.0.1:0"}"#).unwrap_err().to_string();
        assert!(refused.contains("adress"), "{refused}");
        assert!(serde_json::from_str::<Options>(r#"{"http2":{"x":1}}"#).is_err());
    }

    #[test]
    fn a_broken_rule_names_field_value_and_rule() {
        let options = Options { header_bytes_max: 10, ..Options::default() };
        let text = options.check().unwrap_err().to_string();
        assert_eq!(text, "option header_bytes_max is 10, must be from 256 to 65536");
        let options =
            Options { http2: Http2Options { streams_max: 0, ..Default::default() }, ..Default::default() };
        assert!(options.check().unwrap_err().to_string().contains("http2.streams_max"));
    }
}
