//! TLS and QUIC settings. TLS 1.3 only, aws-lc-rs only, both sides prove who they are, nothing is resumed or replayed.

use crate::{
    Error,
    identity::{Identity, IdentityError},
    limits,
    options::Timing,
};
use quinn::{
    TransportConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{RootCertStore, crypto::CryptoProvider, server::WebPkiClientVerifier, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fmt, sync::Arc};

/// Protocol of the cluster.
pub(crate) const ALPN_RAFT: &[u8] = b"tidegate-raft/1";
/// Protocol of joining nodes; can do nothing else.
pub(crate) const ALPN_JOIN: &[u8] = b"tidegate-join/1";

/// The one crypto provider of this crate.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Connection settings for a distance.
pub(crate) fn transport_config(timing: &Timing, bbr: bool) -> Result<Arc<TransportConfig>, Error> {
    let mut config = TransportConfig::default();
    let idle =
        timing.idle.try_into().map_err(|_| Error::Option { field: "profile", reason: "idle time".into() })?;
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(timing.keep_alive))
        .initial_rtt(timing.initial_rtt)
        .packet_threshold(limits::REORDERING_PACKETS)
        .max_concurrent_bidi_streams(limits::STREAMS_PER_PEER.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .send_window(limits::SEND_WINDOW_BYTES)
        .stream_receive_window(limits::STREAM_WINDOW_BYTES.into());
    if bbr {
        config.congestion_controller_factory(Arc::new(quinn::congestion::BbrConfig::default()));
    }
    Ok(Arc::new(config))
}

/// Settings of the accepting side. Joining nodes have no certificate yet, so one is optional here; `accept` insists on it
/// for everything but joining.
pub(crate) fn server_config(
    identity: &Identity,
    transport: Arc<TransportConfig>,
    joining: bool,
) -> Result<quinn::ServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(identity)?), provider());
    let verifier = if joining { verifier.allow_unauthenticated() } else { verifier };
    let (chain, key) = own_chain(identity);
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(bad)?
        .with_client_cert_verifier(verifier.build().map_err(bad)?)
        .with_single_cert(chain, key)
        .map_err(bad)?;
    config.alpn_protocols = vec![ALPN_RAFT.to_vec()];
    if joining {
        config.alpn_protocols.push(ALPN_JOIN.to_vec());
    }
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(config).map_err(bad)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(transport).migration(false);
    Ok(server)
}

/// Settings of the dialing side; the server's name binds the node id.
pub(crate) fn client_config(
    identity: &Identity,
    transport: Arc<TransportConfig>,
) -> Result<quinn::ClientConfig, Error> {
    let (chain, key) = own_chain(identity);
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(bad)?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(chain, key)
        .map_err(bad)?;
    quic_client(config, ALPN_RAFT, transport)
}

/// Finishes a client's settings.
pub(crate) fn quic_client(
    mut config: rustls::ClientConfig,
    alpn: &[u8],
    transport: Arc<TransportConfig>,
) -> Result<quinn::ClientConfig, Error> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    let crypto = QuicClientConfig::try_from(config).map_err(bad)?;
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport);
    Ok(client)
}

/// The authority is sent along, so that a joining node can compare it with its token.
fn own_chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = vec![identity.cert_der.clone().into(), identity.ca_der.clone().into()];
    (chain, PrivatePkcs8KeyDer::from(identity.key.clone()).into())
}

fn roots(identity: &Identity) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.ca_der.clone().into()).map_err(bad)?;
    Ok(roots)
}

fn bad(error: impl fmt::Display) -> Error {
    Error::Identity(IdentityError::Certificate(error.to_string()))
}
