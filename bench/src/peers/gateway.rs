//! The gateways that are measured: how each one is found, configured alike, started, and where its doors are.

mod caddy;
mod envoy;
mod find;
mod haproxy;
mod nginx;
mod pingora;
mod provision;
mod running;
mod tidegate;
mod traefik;
mod varnish;

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    find::{Found, Search},
    running::{GatewayError, Running},
};
use crate::peers::{certificate::Certificate, order::Target, ports::Ports};

/// A gateway to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Copies bytes and understands none of them: what no proxy can undercut
    Floor,
    /// Tidegate with everything switched on
    Tidegate,
    /// Tidegate with one route and without an access log
    TidegateBare,
    /// nginx
    Nginx,
    /// HAProxy
    Haproxy,
    /// Pingora, as the small proxy in `bench/pingora`
    Pingora,
    /// Envoy
    Envoy,
    /// Traefik with its fast proxy
    Traefik,
    /// Caddy
    Caddy,
    /// Varnish, passing through whatever is not to be cached
    Varnish,
}

/// Which listener of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// HTTP/1.1 over TCP
    Http1,
    /// HTTP/2 over TCP, with prior knowledge
    Http2,
    /// HTTP/1.1 and HTTP/2 over TLS
    Tls,
}

/// What a gateway does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Passes it to the origin.
    Proxy,
    /// Answers it with 128 bytes of its own.
    Local,
    /// Passes it to the origin behind a limit per API key that is never reached.
    Limited,
    /// Answers it from its cache, where the origin's answer stays for an hour.
    Cached,
}

/// A way into a gateway.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Door {
    port: Port,
    route: Route,
    target: Target,
}

/// What a configuration may refer to.
pub(crate) struct Site<'a> {
    /// Folder of this gateway alone.
    pub(crate) folder: &'a Path,
    /// The origin.
    pub(crate) origin: SocketAddr,
    /// For TLS.
    pub(crate) certificate: &'a Certificate,
    /// Free ports.
    pub(crate) ports: &'a mut Ports,
    /// The program and what is beside it.
    pub(crate) found: &'a Found,
}

/// How a gateway is started.
pub(crate) struct Plan {
    /// Arguments of the program.
    pub(crate) arguments: Vec<OsString>,
    /// Environment beyond that of the runner.
    pub(crate) environment: Vec<(String, OsString)>,
    /// Ways in, the plain one first.
    pub(crate) doors: Vec<Door>,
    /// What remains to be done once the program runs.
    pub(crate) provision: Option<provision::Provision>,
}

/// 128 bytes that every gateway answers locally.
pub(crate) const LOCAL_BODY: &str = concat!(
    r#"{"id":42,"name":"widget","tags":["a","b"],"price":12.5,"#,
    r#""text":"one hundred and twenty-eight bytes............................."}"#
);
/// Path of requests that go to the origin.
pub(crate) const PROXY_PATH: &str = "/api/v1/items/42?limit=10";
/// Path that gateways answer by themselves.
pub(crate) const LOCAL_PATH: &str = "/fixed";
/// Path behind the limit per API key.
pub(crate) const LIMITED_PATH: &str = "/limited";
/// Path of requests that are answered from the cache; runs append what is theirs.
pub(crate) const CACHED_PATH: &str = "/cached/0";
/// Value of `Host` where the gateway does not care.
const HOST: &str = "api.example.com";

impl Kind {
    /// All, in the order of tables.
    pub(crate) const ALL: [Self; 10] = [
        Self::Floor,
        Self::Tidegate,
        Self::TidegateBare,
        Self::Nginx,
        Self::Haproxy,
        Self::Pingora,
        Self::Envoy,
        Self::Traefik,
        Self::Caddy,
        Self::Varnish,
    ];

    /// As on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tidegate => "tidegate",
            Self::TidegateBare => "tidegate-bare",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Pingora => "pingora",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Varnish => "varnish",
        }
    }

    /// Whether it is Tidegate, in whatever form.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Tidegate | Self::TidegateBare)
    }

    /// Writes the configuration and says how to start.
    pub(crate) fn plan(self, site: &mut Site<'_>) -> Result<Plan, GatewayError> {
        match self {
            Self::Floor => floor_plan(site),
            Self::Tidegate => tidegate::plan(site, tidegate::Extent::Full),
            Self::TidegateBare => tidegate::plan(site, tidegate::Extent::Bare),
            Self::Nginx => nginx::plan(site),
            Self::Haproxy => haproxy::plan(site),
            Self::Pingora => pingora::plan(site),
            Self::Envoy => envoy::plan(site),
            Self::Traefik => traefik::plan(site),
            Self::Caddy => caddy::plan(site),
            Self::Varnish => varnish::plan(site),
        }
    }
}

impl Door {
    /// A way in by the usual path and host.
    pub(crate) fn new(port: Port, route: Route, address: SocketAddr) -> Self {
        let path = match route {
            Route::Proxy => PROXY_PATH,
            Route::Local => LOCAL_PATH,
            Route::Limited => LIMITED_PATH,
            Route::Cached => CACHED_PATH,
        };
        let target = Target { address, host: HOST.into(), path: path.into(), api_keys: Vec::new() };
        Self { port, route, target }
    }

    /// All routes through one listener.
    pub(crate) fn each(port: Port, address: SocketAddr, routes: &[Route]) -> Vec<Self> {
        routes.iter().map(|route| Self::new(port, *route, address)).collect()
    }

    /// With another `Host` and a prefix before the path.
    pub(crate) fn below(mut self, host: &str, prefix: &str) -> Self {
        self.target.host = host.into();
        self.target.path = format!("{prefix}{}", self.target.path);
        self
    }

    /// Where it leads.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Which listener it is.
    pub(crate) fn port(&self) -> Port {
        self.port
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, port: Port, route: Route) -> bool {
        (self.port, self.route) == (port, route)
    }
}

impl Site<'_> {
    /// Writes a file of the gateway's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, GatewayError> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(|reason| GatewayError::File { path: path.clone(), reason })?;
        Ok(path)
    }

    /// A free address.
    pub(crate) fn address(&mut self) -> Result<SocketAddr, GatewayError> {
        self.ports.next().map_err(GatewayError::Port)
    }
}

/// Arguments from words.
pub(crate) fn words<const N: usize>(words: [&dyn AsRef<std::ffi::OsStr>; N]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

fn floor_plan(site: &mut Site<'_>) -> Result<Plan, GatewayError> {
    let (proxy, local) = (site.address()?, site.address()?);
    let arguments = words([
        &"floor",
        &"--proxy",
        &proxy.to_string(),
        &"--local",
        &local.to_string(),
        &"--origin",
        &site.origin.to_string(),
    ]);
    let doors =
        vec![Door::new(Port::Http1, Route::Proxy, proxy), Door::new(Port::Http1, Route::Local, local)];
    Ok(Plan { arguments, environment: Vec::new(), doors, provision: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_answer_is_128_bytes_of_json() {
        assert_eq!(LOCAL_BODY.len(), 128, "{LOCAL_BODY}");
        serde_json::from_str::<serde_json::Value>(LOCAL_BODY).unwrap();
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for kind in Kind::ALL {
            let value = clap::ValueEnum::to_possible_value(&kind).unwrap();
            assert_eq!(value.get_name(), kind.name());
        }
    }
}
