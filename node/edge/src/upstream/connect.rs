//! New upstream connections: resolve, try every address, TLS.

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use http::uri::Authority;
use tidegate_listener::direct::Socket;
use tidegate_proto::limits::{CONNECT_TIMEOUT_MS, UPSTREAM_ADDRESSES_MAX};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Failure, pool::Kind, tls::Tls, wire::Wire};

const PATIENCE: Duration = Duration::from_millis(CONNECT_TIMEOUT_MS);

/// Connects to `authority`; `open` counts the connection while it lives.
pub(super) async fn connect(
    kind: Kind,
    authority: &str,
    tls: &Tls,
    open: &Rc<Cell<usize>>,
) -> Result<(Wire, Counted), Failure> {
    let failed =
        |what: &str, why: &dyn std::fmt::Display| Failure::Network(format!("{what} {authority}: {why}"));
    let counted = Counted::new(open);
    let parsed: Authority = authority.parse().map_err(|error| failed("cannot use", &error))?;
    let port = parsed.port_u16().unwrap_or(if kind == Kind::Plain { 80 } else { 443 });
    let host = parsed.host();
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let stream = match name.parse::<IpAddr>() {
        Ok(address) => reach([SocketAddr::new(address, port)].into_iter(), &failed).await?,
        Err(_) => {
            let resolved = timeout(PATIENCE, lookup_host((name, port))).await;
            let addresses = resolved.map_err(|_| failed("no answer from the resolver for", &"time out"))?;
            reach(addresses.map_err(|error| failed("cannot resolve", &error))?, &failed).await?
        }
    };
    let stream = Socket::new(stream);
    let Some(connector) = tls.connector(kind) else { return Ok((Wire::Plain(stream), counted)) };
    let server = rustls::pki_types::ServerName::try_from(name.to_owned());
    let server = server.map_err(|error| failed("cannot name", &error))?;
    match timeout(PATIENCE, connector.connect(server, stream)).await {
        Ok(Ok(stream)) => Ok((Wire::Encrypted(Box::new(stream)), counted)),
        Ok(Err(error)) => Err(failed("no TLS with", &error)),
        Err(_) => Err(failed("no TLS with", &"time out")),
    }
}

/// Tries one address after the other.
async fn reach(
    addresses: impl Iterator<Item = SocketAddr>,
    failed: &dyn Fn(&str, &dyn std::fmt::Display) -> Failure,
) -> Result<TcpStream, Failure> {
    let mut last = failed("cannot resolve", &"no address");
    for address in addresses.take(UPSTREAM_ADDRESSES_MAX) {
        match timeout(PATIENCE, dial(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = failed("cannot connect to", &error),
            Err(_) => last = failed("cannot connect to", &"time out"),
        }
    }
    Err(last)
}

async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Counted(Rc<Cell<usize>>);

impl Counted {
    pub(super) fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
