//! Free ports for a development region: the range it takes from its two base ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use rand::Rng;

use crate::limits::PORT_DRAWS;

/// Below the range from which operating systems draw the ports of outgoing connections.
const BASES: std::ops::Range<u16> = 10_000..31_000;

/// Base ports of a region: control plane and data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// `tidegate dev --port`
    pub(crate) control: u16,
    /// `tidegate dev --gateway-port`
    pub(crate) gateway: u16,
}

/// Draws base ports until everything that `tidegate dev` takes for `azs` zones is free.
pub(crate) fn draw(azs: u16, random: &mut impl Rng) -> Option<Ports> {
    (0..PORT_DRAWS).find_map(|_| {
        let control = random.random_range(BASES);
        let ports = Ports { control, gateway: control + 200 };
        let (tcp, udp) = ports.taken(azs);
        let free = tcp.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            && udp.iter().all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        free.then_some(ports)
    })
}

impl Ports {
    /// Where the nodes listen for each other, in UDP.
    pub(crate) fn cluster(self, azs: u16) -> Vec<SocketAddr> {
        (1..=azs).map(|i| SocketAddr::from((Ipv4Addr::LOCALHOST, self.control + i))).collect()
    }

    /// TCP and UDP ports of a region: balancers, then nodes above them, TLS 40, admin 50 and the sample upstream 90 above.
    fn taken(self, azs: u16) -> (Vec<u16>, Vec<u16>) {
        let nodes = 1..=azs;
        let udp = self.cluster(azs).iter().map(SocketAddr::port).collect();
        let tcp = [self.control, self.gateway, self.gateway + 40, self.gateway + 90]
            .into_iter()
            .chain(nodes.flat_map(|i| {
                [self.control + i, self.control + 50 + i, self.gateway + i, self.gateway + 40 + i]
            }))
            .collect();
        (tcp, udp)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn no_port_is_planned_twice() {
        let (tcp, udp) = Ports { control: 10_000, gateway: 10_200 }.taken(9);
        assert_eq!((tcp.iter().collect::<BTreeSet<_>>().len(), udp.len()), (tcp.len(), 9));
        assert_eq!(tcp.len(), 4 + 4 * 9);
    }

    #[test]
    fn a_drawn_range_is_free() {
        let ports = draw(3, &mut StdRng::seed_from_u64(7)).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", ports.gateway + 90)).is_ok());
    }
}
