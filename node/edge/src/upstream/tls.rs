//! TLS to upstreams: the roots of the operating system, or none where a method says so.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_rustls::TlsConnector;

use super::pool::Kind;

/// The authorities that upstream certificates may come from; read once and shared.
#[derive(Clone, Debug)]
pub(crate) struct Roots(Arc<RootCertStore>);

impl Roots {
    /// Reads the operating system's roots. Without any, every `https` upstream fails, which is logged here once.
    pub(crate) fn load() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a root certificate was not read");
        }
        let mut store = RootCertStore::empty();
        let (taken, ignored) = store.add_parsable_certificates(found.certs);
        if taken == 0 {
            tracing::warn!(ignored, "no root certificates: https upstreams will be refused");
        }
        Self(Arc::new(store))
    }
}

/// The connectors of one shard; each has its own session cache, so shards share no lock.
pub(crate) struct Tls {
    verified: TlsConnector,
    unverified: TlsConnector,
}

impl Tls {
    pub(crate) fn new(roots: &Roots) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()
        };
        let verified = builder()?.with_root_certificates(Arc::clone(&roots.0)).with_no_client_auth();
        let anything = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let unverified =
            builder()?.dangerous().with_custom_certificate_verifier(anything).with_no_client_auth();
        let connector = |mut config: ClientConfig| {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { verified: connector(verified), unverified: connector(unverified) })
    }

    pub(super) fn connector(&self, kind: Kind) -> Option<&TlsConnector> {
        match kind {
            Kind::Plain => None,
            Kind::Verified => Some(&self.verified),
            Kind::Unverified => Some(&self.unverified),
        }
    }
}

/// Takes any certificate, for methods with `insecureSkipVerification`; the handshake's signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
