//! A TLS client that takes any certificate and tells what was agreed on, and the certificates for it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme,
    SupportedProtocolVersion, version,
};
use tidegate_listener::tls::{Certificates, Identity, Settings, Table, Tickets};
use tidegate_listener::{Options, Service};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Reply, Running, run, within};

pub(crate) const SECRET: [u8; 32] = [7; 32];

/// A self-signed certificate for these names.
pub(crate) fn identity(names: &[&str]) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
}

/// A table of one certificate per name.
pub(crate) fn table(served: &[(&str, &Identity)]) -> Table {
    let mut table = Table::default();
    for (name, identity) in served {
        match *name {
            "default" => table.set_default(identity),
            name => table.insert(name, identity),
        }
    }
    table
}

pub(crate) fn settings(served: &[(&str, &Identity)]) -> Settings {
    let settings =
        Settings { certificates: Certificates::default(), tickets: Tickets::new(&SECRET, "eu-west-1") };
    settings.certificates.replace(table(served));
    settings
}

pub(crate) fn start_tls(options: Options, settings: &Settings) -> Running {
    run(Service::new_tls(options, settings).unwrap())
}

/// What a client offers; it keeps its sessions between connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

/// An encrypted connection.
pub(crate) struct Secured(pub(crate) TlsStream<TcpStream>);

impl Client {
    /// TLS 1.3 and 1.2, the provider's groups, `http/1.1`.
    pub(crate) fn new() -> Self {
        Self::with(&[&version::TLS13, &version::TLS12], &[b"http/1.1"], |_| ())
    }

    pub(crate) fn with(
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
        change: impl FnOnce(&mut CryptoProvider),
    ) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        change(&mut provider);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anything))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self(Arc::new(config))
    }

    /// Connects and shakes hands; an IP address as name sends no SNI.
    pub(crate) async fn connect(&self, address: SocketAddr, name: &str) -> Result<Secured, rustls::Error> {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connected = within(TlsConnector::from(Arc::clone(&self.0)).connect(name, stream)).await;
        connected.map(Secured).map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            inner.cloned().unwrap_or_else(|| rustls::Error::General(error.to_string()))
        })
    }
}

impl Secured {
    /// One GET on a connection that stays open; what comes with it are the session tickets.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        crate::harness::reply(&mut self.0).await
    }

    /// Whether the server proved itself with this certificate.
    pub(crate) fn is_served(&self, identity: &Identity) -> bool {
        let shown = self.0.get_ref().1.peer_certificates().unwrap();
        identity.chain().eq(shown.iter().map(AsRef::as_ref))
    }

    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.0.get_ref().1.alpn_protocol()
    }

    pub(crate) fn version(&self) -> ProtocolVersion {
        self.0.get_ref().1.protocol_version().unwrap()
    }

    pub(crate) fn group(&self) -> NamedGroup {
        self.0.get_ref().1.negotiated_key_exchange_group().unwrap().name()
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// Trusts everybody.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
