//! Free ports of 127.0.0.1 for programs that cannot say which one they got.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

/// Hands out ports that were free a moment ago, each one once.
#[derive(Default)]
pub(crate) struct Ports {
    given: BTreeSet<u16>,
}

/// Draws before giving up; the operating system repeats itself rarely.
const DRAWS: usize = 100;

impl Ports {
    /// A port that is free for TCP and for UDP.
    pub(crate) fn next(&mut self) -> io::Result<SocketAddr> {
        for _ in 0..DRAWS {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            if UdpSocket::bind(address).is_ok() && self.given.insert(address.port()) {
                return Ok(address);
            }
        }
        Err(io::Error::other("no free port on 127.0.0.1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut ports = Ports::default();
        let given: BTreeSet<u16> = (0..50).map(|_| ports.next().unwrap().port()).collect();
        assert_eq!(given.len(), 50);
    }
}
