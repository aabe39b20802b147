//! How many connections each peer address holds, so that one address cannot take every place. Touched when a connection begins
//! and ends, never per request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections by address; holds at most one entry per open connection.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Peers {
    /// Takes a place for `address`, or nothing when it holds `places_max` already.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, places_max: usize) -> Option<Place> {
        let network = network(address);
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
    network: IpAddr,
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

/// An IPv6 host owns its whole /64, so that is what counts as one peer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
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
