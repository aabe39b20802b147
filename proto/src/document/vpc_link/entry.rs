//! One target as a tag writes it.

use std::{net::SocketAddr, str::FromStr};

/// What one word of a tag names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetEntry {
    /// `10.1.0.7:8080` or `[2001:db8::7]:8080`.
    Address(SocketAddr),
    /// `orders.internal:8080`: all addresses of a name.
    Name {
        /// The name, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
    /// `srv:_http._tcp.orders.internal`: all hosts and ports that the name's SRV records list (RFC 2782).
    Service(String),
}

const RULE: &str =
    "must be ADDRESS:PORT, NAME:PORT or srv:_SERVICE._PROTOCOL.NAME, several with a blank between them";

impl FromStr for TargetEntry {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if let Some(name) = word.strip_prefix("srv:") {
            let mut labels = name.split('.');
            let is_service =
                |label: Option<&str>| label.is_some_and(|label| label.len() > 1 && label.starts_with('_'));
            let is_srv = is_service(labels.next()) && is_service(labels.next()) && labels.next().is_some();
            return (is_srv && is_name(name)).then(|| Self::Service(name.to_ascii_lowercase())).ok_or(RULE);
        }
        if let Ok(address) = word.parse::<SocketAddr>() {
            return (address.port() > 0).then_some(Self::Address(address)).ok_or(RULE);
        }
        let (host, port) = word.rsplit_once(':').ok_or(RULE)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(RULE)?;
        // What ends in a number would be an address (WHATWG URL §3.5), and is not a good one.
        let ends_in_number =
            host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        (is_name(host) && !ends_in_number)
            .then(|| Self::Name { host: host.to_ascii_lowercase(), port })
            .ok_or(RULE)
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_inner) && !label.starts_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
