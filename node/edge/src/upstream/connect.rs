//! New connections to one target: TCP with the bounds that tell a dead host from a slow one, then TLS.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use tidegate_listener::direct::Socket;
use tidegate_proto::limits::{CONNECT_TIMEOUT_MS, TARGET_CONNECT_TIMEOUT_MS, TARGET_SILENCE_MS_MAX};
use tokio::{net::TcpStream, time::timeout};

use super::{Failure, pool::Pool, tls::Tls, wire::Wire};

const PATIENCE: Duration = Duration::from_millis(CONNECT_TIMEOUT_MS);
/// Where there are other targets.
const SHORT_PATIENCE: Duration = Duration::from_millis(TARGET_CONNECT_TIMEOUT_MS);

/// Connects to the target at `address`; `open` counts the connection while it lives.
pub(super) async fn connect(
    pool: &Pool,
    address: SocketAddr,
    tls: &Tls,
    open: &Rc<Cell<usize>>,
) -> Result<(Wire, Counted), Failure> {
    let authority = &*pool.authority;
    let failed =
        |what: &str, why: &dyn std::fmt::Display| Failure::Network(format!("{what} {authority}: {why}"));
    let counted = Counted::new(open);
    let has_alternatives = pool.has_alternatives();
    let patience = if has_alternatives { SHORT_PATIENCE } else { PATIENCE };
    let stream = match timeout(patience, dial(address, has_alternatives)).await {
        Ok(Ok(stream)) => Socket::new(stream),
        Ok(Err(error)) => return Err(failed("cannot connect to", &error)),
        Err(_) => return Err(failed("cannot connect to", &"time out")),
    };
    let Some(connector) = tls.connector(pool.kind) else { return Ok((Wire::Plain(stream), counted)) };
    let server = rustls::pki_types::ServerName::try_from(host(authority).to_owned());
    let server = server.map_err(|error| failed("cannot name", &error))?;
    match timeout(PATIENCE, connector.connect(server, stream)).await {
        Ok(Ok(stream)) => Ok((Wire::Encrypted(Box::new(stream)), counted)),
        Ok(Err(error)) => Err(failed("no TLS with", &error)),
        Err(_) => Err(failed("no TLS with", &"time out")),
    }
}

/// The host of an authority, without the brackets of IPv6.
pub(super) fn host(authority: &str) -> &str {
    let end = authority.rfind(']').map_or_else(|| authority.find(':'), |end| Some(end + 1));
    let host = end.and_then(|end| authority.get(..end)).unwrap_or(authority);
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

async fn dial(address: SocketAddr, has_alternatives: bool) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if has_alternatives {
        notice_silence(&stream)?;
    }
    Ok(stream)
}

/// Has the system end a connection whose peer acknowledges nothing any more: what is sent, and once a second that nothing is.
fn notice_silence(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    let second = Duration::from_secs(1);
    sockopt::set_tcp_user_timeout(stream, TARGET_SILENCE_MS_MAX)?;
    sockopt::set_tcp_keepidle(stream, second)?;
    sockopt::set_tcp_keepintvl(stream, second)?;
    sockopt::set_socket_keepalive(stream, true)
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

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts_of_authorities() {
        for (authority, expect) in [
            ("a.example", "a.example"),
            ("a.example:80", "a.example"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[::1]", "::1"),
            ("10.0.0.1:1", "10.0.0.1"),
        ] {
            assert_eq!(host(authority), expect);
        }
    }
}
