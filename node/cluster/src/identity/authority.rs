//! The cluster's certificate authority: one Ed25519 key that signs node certificates. Decides nothing about who may join.

use super::{Identity, IdentityError, dns_name, fingerprint};
use crate::{NodeId, options::is_cluster_name};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use std::fmt;

const AUTHORITY_YEARS: i64 = 20;
const NODE_YEARS: i64 = 5;

/// A certificate authority with its key.
pub struct Authority {
    cluster: String,
    cert_der: CertificateDer<'static>,
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority for a new cluster.
    ///
    /// # Errors
    /// The name is not 1 to 63 of `a-z0-9-`, or the system has no randomness.
    pub fn generate(cluster_name: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(bad)?;
        let cert = params(cluster_name)?.self_signed(&key).map_err(bad)?;
        Self::from_pem(&cert.pem(), &key.serialize_pem())
    }

    /// Reads an authority.
    ///
    /// # Errors
    /// The PEM is not readable, or the key does not belong to the certificate.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key_pem).map_err(bad)?;
        let cert_der = CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(bad)?.into_owned();
        let (_, cert) = x509_parser::parse_x509_certificate(&cert_der).map_err(bad)?;
        if cert.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(IdentityError::Certificate("the key does not belong to the certificate".to_owned()));
        }
        let common_name = cert.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let cluster = common_name.unwrap_or_default().to_owned();
        let issuer = Issuer::from_ca_cert_der(&cert_der, key).map_err(bad)?;
        if !is_cluster_name(&cluster) {
            return Err(IdentityError::Certificate("its common name is not a cluster name".to_owned()));
        }
        Ok(Self { cluster, cert_der, cert_pem: cert_pem.to_owned(), issuer })
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The certificate, PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The private key, PEM. Whoever has it can add nodes.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The certificate, DER.
    pub fn cert_der(&self) -> &[u8] {
        &self.cert_der
    }

    /// SHA-256 of the certificate; what a join token pins.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.cert_der)
    }

    /// Signs a certificate for `node` over the public key of a PKCS#10 request; everything else in the request is
    /// ignored. Returns DER.
    ///
    /// # Errors
    /// The request is not readable or not signed by its own key.
    pub fn issue(&self, csr_der: &[u8], node: NodeId) -> Result<Vec<u8>, IdentityError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr_der));
        let request = request.map_err(bad)?;
        let mut params = CertificateParams::new(vec![dns_name(node, &self.cluster)]).map_err(bad)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, dns_name(node, &self.cluster));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(NODE_YEARS);
        let cert = params.signed_by(&request.public_key, &self.issuer).map_err(bad)?;
        Ok(cert.der().to_vec())
    }

    /// An identity for a node of this cluster with a fresh key: the first node, which nobody can enroll.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn identity(&self, node: NodeId) -> Result<Identity, IdentityError> {
        let (csr_der, key) = sign_request()?;
        let cert_der = self.issue(&csr_der, node)?;
        Ok(Identity { node, cluster: self.cluster.clone(), ca_der: self.cert_der.to_vec(), cert_der, key })
    }
}

/// A new key and a certificate request signed with it: `(PKCS#10 DER, PKCS#8 DER)`.
///
/// # Errors
/// The system has no randomness.
pub fn sign_request() -> Result<(Vec<u8>, Vec<u8>), IdentityError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(bad)?;
    let request = CertificateParams::default().serialize_request(&key).map_err(bad)?;
    Ok((request.der().to_vec(), key.serialize_der()))
}

fn params(cluster: &str) -> Result<CertificateParams, IdentityError> {
    if !is_cluster_name(cluster) {
        let text = "the cluster name must be 1 to 63 letters a-z, digits and dashes";
        return Err(IdentityError::Certificate(text.to_owned()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, cluster);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(AUTHORITY_YEARS);
    Ok(params)
}

/// From yesterday, for clocks that differ, for some years.
fn validity(years: i64) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (now - time::Duration::days(1), now + time::Duration::days(365 * years))
}

fn bad(error: impl fmt::Display) -> IdentityError {
    IdentityError::Certificate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::certified_name;

    #[test]
    fn certificates_name_their_node() {
        let authority = Authority::generate("prod").unwrap();
        let identity = authority.identity(42).unwrap();
        assert_eq!(certified_name(&identity.cert_der).unwrap(), "node-42.prod");
        let again = Authority::from_pem(authority.cert_pem(), &authority.key_pem()).unwrap();
        assert_eq!((again.cluster(), again.fingerprint()), ("prod", authority.fingerprint()));
    }

    #[test]
    fn strangers_are_refused() {
        let authority = Authority::generate("prod").unwrap();
        let other = Authority::generate("prod").unwrap();
        assert!(Authority::generate("Not A Name").is_err());
        assert!(Authority::from_pem(authority.cert_pem(), &other.key_pem()).is_err());
        assert!(authority.issue(b"nonsense", 1).is_err());
        let (mut csr, _) = sign_request().unwrap();
        let last = csr.len() - 1;
        csr[last] ^= 1;
        assert!(authority.issue(&csr, 1).is_err(), "a request must be signed by its own key");
    }
}
