//! Joining a cluster as a new node: dials an address of the token, checks the authority against the token's fingerprint,
//! sends secret and certificate request, receives a certificate.

use super::{Identity, IdentityError, JoinToken, certified_name, fingerprint, parse_dns_name, sign_request};
use crate::{
    EnrollError, NodeId, NodeMeta, Profile, limits,
    transport::quic::tls,
    wire::{Frame, convert, v1::*},
};
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::{net::SocketAddr, sync::Arc};

/// What a new node has after joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its identity; save it before anything else.
    pub identity: Identity,
    /// The nodes it may talk to first.
    pub peers: Vec<(NodeId, NodeMeta)>,
    /// Opaque bytes from the cluster for this node's own start.
    pub welcome: Vec<u8>,
}

/// A node that wants to join: its key and its request for a certificate. A cluster that has let it in lets the same one in again, so an
/// answer that was lost costs no token.
pub struct Applicant {
    csr: Vec<u8>,
    key: Vec<u8>,
}

impl Applicant {
    /// With a fresh key.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when no key can be made.
    pub fn new() -> Result<Self, IdentityError> {
        let (csr, key) = sign_request()?;
        Ok(Self { csr, key })
    }

    /// Joins the cluster of `token`; `meta` says where this node will listen and stand.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] is final; [`IdentityError::Unreachable`] may be tried again by the same applicant.
    pub async fn enroll(&self, token: &JoinToken, meta: &NodeMeta) -> Result<Joined, IdentityError> {
        let mut reasons = Vec::new();
        for address in &token.addresses {
            let attempt = ask(token, address, &self.csr, meta);
            match tokio::time::timeout(limits::JOIN_TIMEOUT, attempt).await {
                Ok(Ok(EnrollResultV1::Unavailable { reason })) | Ok(Err(reason)) => {
                    reasons.push(format!("{address}: {reason}"));
                }
                Ok(Ok(result)) => return accept(token, result, self.key.clone()),
                Err(_) => reasons.push(format!("{address}: no answer in time")),
            }
        }
        Err(IdentityError::Unreachable(reasons.join("; ")))
    }
}

async fn ask(
    token: &JoinToken,
    address: &str,
    csr: &[u8],
    meta: &NodeMeta,
) -> Result<EnrollResultV1, String> {
    let to = tokio::net::lookup_host(address).await.map_err(text)?.next().ok_or("no address")?;
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let endpoint = quinn::Endpoint::client(any).map_err(text)?;
    let connecting = endpoint.connect_with(client_config(token)?, to, "joining.invalid").map_err(text)?;
    let connection = connecting.await.map_err(text)?;
    let (mut out, mut input) = connection.open_bi().await.map_err(text)?;
    let request = EnrollV1 {
        secret: token.secret.clone(),
        csr: csr.to_vec(),
        address: meta.address.clone(),
        region: meta.region.clone(),
        az: meta.az.clone(),
    };
    crate::transport::quic::join::send_request(&mut out, &Frame::new(0, 0, &request)).await.map_err(text)?;
    let answer = crate::transport::quic::join::receive_answer(&mut input).await.map_err(text)?;
    connection.close(0u32.into(), b"done");
    let _drained = tokio::time::timeout(std::time::Duration::from_millis(200), endpoint.wait_idle()).await;
    Ok(answer.decode::<EnrolledV1>().map_err(text)?.result)
}

fn accept(token: &JoinToken, result: EnrollResultV1, key: Vec<u8>) -> Result<Joined, IdentityError> {
    let bad = |reason: &str| IdentityError::Certificate(reason.to_owned());
    match result {
        EnrollResultV1::Welcome { node, cluster, cert, ca, peers, welcome } => {
            if fingerprint(&ca) != token.ca_sha256 || cluster != token.cluster {
                return Err(bad("the answer is not from the token's cluster"));
            }
            if parse_dns_name(&certified_name(&cert)?) != Some((node, cluster.as_str())) {
                return Err(bad("the certificate is not for the node that was enrolled"));
            }
            let identity = Identity { node, cluster, ca_der: ca, cert_der: cert, key };
            Ok(Joined { identity, peers: peers.into_iter().map(convert::node_in).collect(), welcome })
        }
        EnrollResultV1::Secret => Err(EnrollError::Secret.into()),
        EnrollResultV1::Request { reason } => Err(EnrollError::Request(reason).into()),
        EnrollResultV1::Unavailable { reason } => Err(EnrollError::Unavailable(reason).into()),
    }
}

fn client_config(token: &JoinToken) -> Result<quinn::ClientConfig, String> {
    let verifier = PinnedAuthority { sha256: token.ca_sha256, cluster: token.cluster.clone() };
    let config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(text)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let transport = tls::transport_config(&Profile::Wan.timing(), false).map_err(text)?;
    tls::quic_client(config, tls::ALPN_JOIN, transport).map_err(text)
}

/// Accepts any node whose chain ends at the pinned authority.
#[derive(Debug)]
struct PinnedAuthority {
    sha256: [u8; 32],
    cluster: String,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let general = |reason: &str| rustls::Error::General(reason.to_owned());
        let pinned = intermediates.iter().find(|cert| fingerprint(cert) == self.sha256);
        let pinned = pinned.ok_or_else(|| general("the server does not belong to the token's cluster"))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let name = certified_name(leaf).map_err(|e| general(&e.to_string()))?;
        if parse_dns_name(&name).is_none_or(|(_, cluster)| cluster != self.cluster) {
            return Err(general("the server's certificate is not a node's"));
        }
        let name = ServerName::try_from(name).map_err(|e| general(&e.to_string()))?;
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build();
        let inner = inner.map_err(|e| general(&e.to_string()))?;
        inner.verify_server_cert(leaf, &[], &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = tls::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
