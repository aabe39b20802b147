//! New upstream connections: resolve, try every address, TLS, HTTP/1.1.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use http::uri::Authority;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tidegate_proto::limits::{CONNECT_TIMEOUT_MS, HEADERS_MAX, UPSTREAM_ADDRESSES_MAX};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{Failure, pool::Kind, tls::Tls};
use crate::body::Sending;

const PATIENCE: Duration = Duration::from_millis(CONNECT_TIMEOUT_MS);

/// Connects to `authority`; `open` counts the connection while it lives.
pub(super) async fn connect(
    kind: Kind,
    authority: &str,
    tls: &Tls,
    open: &Rc<Cell<usize>>,
) -> Result<SendRequest<Sending>, Failure> {
    let failed =
        |what: &str, why: &dyn std::fmt::Display| Failure::Network(format!("{what} {authority}: {why}"));
    let parsed: Authority = authority.parse().map_err(|error| failed("cannot use", &error))?;
    let port = parsed.port_u16().unwrap_or(if kind == Kind::Plain { 80 } else { 443 });
    let host = parsed.host();
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let resolved = timeout(PATIENCE, lookup_host((name, port))).await;
    let addresses = resolved.map_err(|_| failed("no answer from the resolver for", &"time out"))?;
    let addresses = addresses.map_err(|error| failed("cannot resolve", &error))?;
    let mut last = failed("cannot resolve", &"no address");
    for address in addresses.take(UPSTREAM_ADDRESSES_MAX) {
        match timeout(PATIENCE, dial(address)).await {
            Ok(Ok(stream)) => return secure(kind, name, stream, tls, open, &failed).await,
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

async fn secure(
    kind: Kind,
    name: &str,
    stream: TcpStream,
    tls: &Tls,
    open: &Rc<Cell<usize>>,
    failed: &dyn Fn(&str, &dyn std::fmt::Display) -> Failure,
) -> Result<SendRequest<Sending>, Failure> {
    let Some(connector) = tls.connector(kind) else {
        return speak(stream, open, failed).await;
    };
    let server = rustls::pki_types::ServerName::try_from(name.to_owned());
    let server = server.map_err(|error| failed("cannot name", &error))?;
    match timeout(PATIENCE, connector.connect(server, stream)).await {
        Ok(Ok(stream)) => speak(stream, open, failed).await,
        Ok(Err(error)) => Err(failed("no TLS with", &error)),
        Err(_) => Err(failed("no TLS with", &"time out")),
    }
}

/// Starts HTTP on a stream. The connection is driven by a task of its own, which ends with it.
async fn speak<S>(
    stream: S,
    open: &Rc<Cell<usize>>,
    failed: &dyn Fn(&str, &dyn std::fmt::Display) -> Failure,
) -> Result<SendRequest<Sending>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = Builder::new();
    builder.max_headers(HEADERS_MAX);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed("no HTTP with", &error))?;
    let counted = Counted::new(open);
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended early");
        }
        drop(counted);
    });
    Ok(sender)
}

/// One open connection.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
