//! How many connections each peer address holds, so that one address cannot take every place. Touched when a connection begins
//! and ends, never per request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections by address; holds at most one entry per open connection.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<Network, usize>>);

impl Peers {
    /// Takes a place for `address`, or nothing when it holds `places_max` already.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, places_max: usize) -> Option<Place> {
        let network = Network::of(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.entry(network).or_insert(0);
        if *held >= places_max {
            return None;
        }
        *held += 1;
        Some(Place { peers: Arc::clone(self), network })
    }
}

/// One connection of one peer.
#[derive(Debug)]
pub(crate) struct Place {
    peers: Arc<Peers>,
    network: Network,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get_mut(&self.network) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// What counts as one peer: an IPv4 address, or the /64 that an IPv6 host owns as a whole. Small, as each connection has one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Network {
    V4(u32),
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_network_and_given_back() {
        let peers = Arc::new(Peers::default());
        let admit = |address: &str| peers.admit(address.parse().unwrap(), 2);
        let (first, second) = (admit("192.0.2.1"), admit("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some() && admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        let (_one, _two) = (admit("2001:db8::1"), admit("2001:db8::2"));
        assert!(admit("2001:db8::3").is_none());
        assert!(admit("2001:db8:0:1::3").is_some());
        drop(second);
        assert_eq!(peers.0.lock().unwrap().len(), 1);
    }
}
