//! A connection to a gateway: plain TCP or TLS 1.3 over it. Never blocks after it is connected.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::peers::limits::CONNECT;

/// Name in the certificate that all gateways present.
pub(crate) const SERVER_NAME: &str = "localhost";

/// A connection.
pub(crate) enum Transport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Secure(Box<Secure>),
}

/// TLS over TCP.
pub(crate) struct Secure {
    stream: TcpStream,
    session: ClientConnection,
}

impl Transport {
    /// Connects; with `tls` the handshake goes on while reading and writing.
    pub(crate) fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let Some(config) = tls else { return Ok(Self::Plain(stream)) };
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        Ok(Self::Secure(Box::new(Secure { stream, session })))
    }

    /// Takes what has arrived; `WouldBlock` when nothing has, 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Secure(secure) => secure.read(into),
        }
    }

    /// Sends what the connection takes; the rest is the caller's to keep.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(secure) => {
                let taken = secure.session.writer().write(bytes)?;
                secure.flush()?;
                Ok(taken)
            }
        }
    }

    /// Whether more may be there than one read took.
    pub(crate) fn reads_until_blocked(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// Whether the connection itself holds bytes that are not sent.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(secure) => secure.session.wants_write(),
        }
    }

    /// Sends what the connection itself holds.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Secure(secure) => secure.flush(),
        }
    }

    /// Says goodbye, as a client that is done does.
    pub(crate) fn close(mut self) {
        if let Self::Secure(secure) = &mut self {
            secure.session.send_close_notify();
            let _ = secure.flush();
        }
    }
}

impl Secure {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            self.flush()?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Secure(secure) => secure.stream.as_fd(),
        }
    }
}

/// TLS 1.3 with X25519, no resumption: every connection is a full handshake.
pub(crate) fn tls(certificate: &Path, protocol: &str) -> Result<Arc<ClientConfig>, String> {
    let trusted = CertificateDer::from_pem_file(certificate).map_err(|e| e.to_string())?;
    let mut roots = RootCertStore::empty();
    roots.add(trusted).map_err(|e| e.to_string())?;
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config))
}
