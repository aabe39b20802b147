//! Questions to the resolver: the operating system's for hosts and DNS itself for services, or the servers that an operator named for
//! both.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType, rdata::SRV},
};
use tidegate_proto::limits::RESOLUTION_TIMEOUT_MS;
use tidegate_upstream::TARGETS_MAX;
use tokio::{net::lookup_host, time::timeout};

const PATIENCE: Duration = Duration::from_millis(RESOLUTION_TIMEOUT_MS);

/// Who is asked.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    servers: Box<[SocketAddr]>,
}

impl Resolver {
    /// Asks these servers, or the operating system where there are none.
    pub(crate) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers: servers.into() }
    }

    /// All addresses of a host.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let asking = async {
            if self.servers.is_empty() {
                let found = lookup_host((host, port)).await.map_err(|error| error.to_string())?;
                return Ok(found.collect());
            }
            let found = self.dns()?.lookup_ip(absolute(host)).await.map_err(|error| error.to_string())?;
            Ok(found.iter().map(|address: IpAddr| SocketAddr::new(address, port)).collect())
        };
        match timeout(PATIENCE, asking).await {
            Ok(found) => found.map_err(|error: String| format!("cannot resolve {host}:{port}: {error}")),
            Err(_) => Err(format!("no answer from the resolver for {host}:{port}: time out")),
        }
    }

    /// All addresses of the hosts that the SRV records of a service list. Of several priorities (RFC 2782) the first one is taken; how
    /// busy the targets are says more than weights.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn service(&self, name: &str) -> Result<Vec<SocketAddr>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot resolve srv:{name}: {error}");
        let dns = self.dns().map_err(|error| failed(&error))?;
        let asking = timeout(PATIENCE, dns.lookup(absolute(name), RecordType::SRV));
        let answer = asking.await.map_err(|_| failed(&"time out"))?.map_err(|error| failed(&error))?;
        let services = answer.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service),
            _ => None,
        });
        let services: Vec<&SRV> = services.take(TARGETS_MAX).collect();
        let first = services.iter().map(|service| service.priority).min();
        let (mut all, mut last) = (Vec::new(), None);
        for service in services.iter().filter(|service| Some(service.priority) == first) {
            let host = service.target.to_utf8();
            match self.host(host.trim_end_matches('.'), service.port).await {
                Ok(addresses) => all.extend(addresses),
                Err(error) => last = Some(error),
            }
        }
        // A list with a hole would take targets out that only the resolver has lost.
        last.map_or(Ok(all), Err)
    }

    /// Made for each question: what it keeps belongs to the runtime that asks, and the system's settings may have changed.
    fn dns(&self) -> Result<TokioResolver, String> {
        let builder = match self.servers.is_empty() {
            true => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
            false => {
                let servers = self.servers.iter().map(server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let mut builder = builder;
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map_err(|error| error.to_string())
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// A name that no search list is tried with.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}
