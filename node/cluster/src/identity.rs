//! Who is a node: the cluster's certificate authority, a node's certificate and key, and the token a new node joins
//! with. No networking except the joining client in `enroll`.

mod authority;
#[cfg(not(feature = "sim"))]
mod enroll;
mod files;
mod token;

pub use authority::{Authority, sign_request};
#[cfg(not(feature = "sim"))]
pub use enroll::{Applicant, Joined};
pub use token::JoinToken;

use crate::NodeId;
use std::fmt;

/// What makes this process a node of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The node's id; also in its certificate.
    pub node: NodeId,
    /// The cluster's name; also in the certificate.
    pub cluster: String,
    /// The certificate authority, DER.
    pub ca_der: Vec<u8>,
    /// The node's certificate, DER.
    pub cert_der: Vec<u8>,
    /// The node's private key, PKCS#8 DER.
    pub key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// SHA-256 of the certificate authority; what a join token pins.
    pub fn ca_sha256(&self) -> [u8; 32] {
        fingerprint(&self.ca_der)
    }
}

/// Why a certificate, key or token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A token is not readable; names the field.
    #[error("the join token's {field} {reason}")]
    Token {
        /// The part of the token.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key is not readable or does not fit.
    #[error("certificate: {0}")]
    Certificate(String),
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// The operating system's words, or what is wrong with the content.
        reason: String,
    },
    /// No address of the token answered.
    #[error("no node of the cluster could be reached: {0}")]
    Unreachable(String),
    /// The cluster refused the node.
    #[error(transparent)]
    Refused(#[from] crate::EnrollError),
}

/// The name in the certificate of `node`.
pub(crate) fn dns_name(node: NodeId, cluster: &str) -> String {
    format!("node-{node}.{cluster}")
}

/// Node and cluster of a name written by [`dns_name`].
pub(crate) fn parse_dns_name(name: &str) -> Option<(NodeId, &str)> {
    let (node, cluster) = name.strip_prefix("node-")?.split_once('.')?;
    let canonical = !node.starts_with(['0', '+']) && node.len() <= 20;
    Some((node.parse().ok().filter(|_| canonical)?, cluster))
}

/// The one node name in a certificate.
pub(crate) fn certified_name(cert_der: &[u8]) -> Result<String, IdentityError> {
    let bad = |text: &str| IdentityError::Certificate(text.to_owned());
    let (_, cert) =
        x509_parser::parse_x509_certificate(cert_der).map_err(|_| bad("it is not an X.509 certificate"))?;
    let names = cert.subject_alternative_name().ok().flatten().ok_or_else(|| bad("it names no node"))?;
    match names.value.general_names.as_slice() {
        [x509_parser::extensions::GeneralName::DNSName(name)] => Ok((*name).to_owned()),
        _ => Err(bad("it must hold exactly one DNS name")),
    }
}

/// SHA-256 of a certificate.
pub(crate) fn fingerprint(cert_der: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(cert_der).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strict() {
        let table: &[(&str, Option<(NodeId, &str)>)] = &[
            ("node-7.prod", Some((7, "prod"))),
            ("node-18446744073709551615.a", Some((u64::MAX, "a"))),
            ("node-07.prod", None),
            ("node-+7.prod", None),
            ("node-.prod", None),
            ("node-7", None),
            ("7.prod", None),
        ];
        for (name, want) in table {
            assert_eq!(parse_dns_name(name), *want, "{name}");
        }
        assert_eq!(parse_dns_name(&dns_name(7, "prod")), Some((7, "prod")));
    }
}
