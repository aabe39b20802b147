//! Which processes, folders and ports a development region has. Pure planning, and the check that the ports are free.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

use super::{DevArgs, DevError};

/// Ports between two regions, and between listeners of one kind.
const REGION_STEP: u16 = 100;
const ADMIN_OFFSET: u16 = 50;
/// From a listener of the data plane to its twin with TLS.
const TLS_OFFSET: u16 = 40;
const UPSTREAM_OFFSET: u16 = 90;

/// All processes of a development region.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Data directory.
    pub(crate) data: PathBuf,
    /// Regions in order; the first one is the default.
    pub(crate) regions: Vec<RegionPlan>,
    /// The sample upstream.
    pub(crate) upstream: SocketAddr,
    /// Zones per region.
    pub(crate) azs: u8,
    /// Nodes per zone.
    pub(crate) nodes_per_az: u8,
}

/// A region and its balancers.
#[derive(Clone, Debug)]
pub(crate) struct RegionPlan {
    /// Name.
    pub(crate) name: String,
    /// Balancer of the control plane.
    pub(crate) control: SocketAddr,
    /// Balancer of the data plane.
    pub(crate) gateway: SocketAddr,
    /// Balancer of the data plane's TLS.
    pub(crate) gateway_tls: SocketAddr,
    /// Zone by zone.
    pub(crate) nodes: Vec<NodePlan>,
}

/// A node process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodePlan {
    /// Region.
    pub(crate) region: String,
    /// Availability zone.
    pub(crate) az: String,
    /// Name of its process and its folder: the zone, and a number for further nodes of it.
    pub(crate) name: String,
    /// Control listener; the cluster transport has the same port in UDP.
    pub(crate) control: SocketAddr,
    /// Data-plane listener.
    pub(crate) gateway: SocketAddr,
    /// Data-plane listener with TLS.
    pub(crate) gateway_tls: SocketAddr,
    /// Admin listener.
    pub(crate) admin: SocketAddr,
    /// Where other nodes reach the cluster transport, when not at its own address.
    pub(crate) advertise: Option<SocketAddr>,
    /// Data directory of the node.
    pub(crate) folder: PathBuf,
}

/// A port that somebody else holds.
#[derive(Debug, thiserror::Error)]
#[error("port {port} for {purpose} is in use: stop what listens there, or choose another range with {flag}")]
pub(crate) struct PortTaken {
    port: u16,
    purpose: String,
    flag: &'static str,
}

impl NodePlan {
    /// Where other nodes reach it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.advertise.unwrap_or(self.control)
    }
}

impl Layout {
    /// Plans the region that the flags describe.
    pub(crate) fn plan(args: &DevArgs, data: &Path) -> Self {
        let region = |r: u16| {
            let name = format!("local-{}", r + 1);
            let (control, gateway) = (args.port + r * REGION_STEP, args.gateway_port + r * REGION_STEP);
            let (per_az, count) = (u16::from(args.nodes_per_az), u16::from(args.azs * args.nodes_per_az));
            let node = |i: u16| {
                let az = format!("{name}{}", char::from(b'a' + (i / per_az) as u8));
                let own = match i % per_az {
                    0 => az.clone(),
                    further => format!("{az}-{}", further + 1),
                };
                NodePlan {
                    region: name.clone(),
                    folder: data.join(&own),
                    az,
                    name: own,
                    control: loopback(control + 1 + i),
                    gateway: loopback(gateway + 1 + i),
                    gateway_tls: loopback(gateway + TLS_OFFSET + 1 + i),
                    admin: loopback(control + ADMIN_OFFSET + 1 + i),
                    advertise: args.advertise.get(usize::from(r * count + i)).copied(),
                }
            };
            let nodes = (0..count).map(node).collect();
            let gateway_tls = loopback(gateway + TLS_OFFSET);
            RegionPlan { nodes, control: loopback(control), gateway: loopback(gateway), gateway_tls, name }
        };
        Self {
            data: data.to_owned(),
            regions: (0..u16::from(args.regions)).map(region).collect(),
            upstream: loopback(args.gateway_port + UPSTREAM_OFFSET),
            azs: args.azs,
            nodes_per_az: args.nodes_per_az,
        }
    }

    /// All nodes, region by region.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodePlan> {
        self.regions.iter().flat_map(|region| &region.nodes)
    }

    /// Fails where some nodes would be reached through a forwarder and others not.
    pub(crate) fn check_advertised(&self, args: &DevArgs) -> Result<(), DevError> {
        let (nodes, given) = (self.nodes().count(), args.advertise.len());
        match given == 0 || given == nodes {
            true => Ok(()),
            false => Err(DevError::Refused(format!(
                "--advertise names {given} addresses, and there are {nodes} nodes; name one for each"
            ))),
        }
    }

    /// Fails on the first port that is taken.
    pub(crate) fn check_ports(&self) -> Result<(), PortTaken> {
        for region in &self.regions {
            tcp(region.control, "--port", || format!("the control balancer of {}", region.name))?;
            tcp(region.gateway, "--gateway-port", || format!("the gateway balancer of {}", region.name))?;
            tcp(region.gateway_tls, "--gateway-port", || format!("the TLS balancer of {}", region.name))?;
            for node in &region.nodes {
                tcp(node.control, "--port", || format!("the control listener of {}", node.name))?;
                tcp(node.admin, "--port", || format!("the admin listener of {}", node.name))?;
                tcp(node.gateway, "--gateway-port", || format!("the gateway listener of {}", node.name))?;
                tcp(node.gateway_tls, "--gateway-port", || format!("the TLS listener of {}", node.name))?;
                let free = UdpSocket::bind(node.control).is_ok();
                let purpose = format!("the cluster transport (UDP) of {}", node.name);
                free.then_some(()).ok_or(PortTaken { port: node.control.port(), purpose, flag: "--port" })?;
            }
        }
        tcp(self.upstream, "--gateway-port", || "the sample upstream".into())
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn tcp(address: SocketAddr, flag: &'static str, purpose: impl FnOnce() -> String) -> Result<(), PortTaken> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(_) => Err(PortTaken { port: address.port(), purpose: purpose(), flag }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn args(azs: u8, regions: u8, port: u16, gateway_port: u16) -> DevArgs {
        let advertise = Vec::new();
        DevArgs { azs, nodes_per_az: 1, regions, port, gateway_port, advertise, reset: false, verb: None }
    }

    #[test]
    fn no_port_is_planned_twice() {
        let args = DevArgs { nodes_per_az: 4, ..args(9, 9, 4000, 8080) };
        let layout = Layout::plan(&args, Path::new("d"));
        let nodes = layout.nodes().flat_map(|n| [n.control, n.gateway, n.gateway_tls, n.admin]);
        let all: Vec<SocketAddr> = nodes
            .chain(layout.regions.iter().flat_map(|r| [r.control, r.gateway, r.gateway_tls]))
            .chain([layout.upstream])
            .collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let folders: BTreeSet<&Path> = layout.nodes().map(|node| &*node.folder).collect();
        assert_eq!(folders.len(), 9 * 9 * 4);
        let ninth = &layout.regions[0].nodes[9];
        assert_eq!((&*ninth.az, &*ninth.name), ("local-1c", "local-1c-2"));
    }

    #[test]
    fn a_node_alone_in_its_zone_has_its_name() {
        let layout = Layout::plan(&args(3, 1, 4000, 8080), Path::new("d"));
        let third = &layout.regions[0].nodes[2];
        assert_eq!((&*third.az, &*third.name), ("local-1c", "local-1c"));
    }

    #[test]
    fn every_node_is_advertised_or_none() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for (given, accepted) in [(0, true), (5, false), (6, true), (7, false)] {
            let args = DevArgs { advertise: (1..=given).map(address).collect(), ..args(3, 2, 4000, 8080) };
            let layout = Layout::plan(&args, Path::new("d"));
            assert_eq!(layout.check_advertised(&args).is_ok(), accepted, "{given}");
            let second = layout.regions[1].nodes[0].advertise;
            assert_eq!(second, (given >= 4).then(|| address(4)), "{given}");
        }
    }

    #[test]
    fn a_taken_port_names_port_and_flag() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let error = Layout::plan(&args(1, 1, 1, port), Path::new("d")).regions[0].gateway;
        let text = tcp(error, "--gateway-port", || "the gateway balancer of local-1".into())
            .unwrap_err()
            .to_string();
        assert!(text.contains(&format!("port {port}")) && text.contains("--gateway-port"), "{text}");
    }
}
