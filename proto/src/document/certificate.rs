//! Certificates that the data plane proves itself with, and the secret behind session tickets.

use serde::{Deserialize, Serialize};

use super::{
    Document, Other,
    secret::{hex, unhex},
};

/// A certificate chain with its private key; every node needs both.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Certificate {
    /// Name of the record; the one called `default` also answers clients that name no known host.
    pub name: String,
    /// The chain, PEM, leaf first.
    pub chain_pem: String,
    /// Private key of the leaf, PEM.
    pub key_pem: String,
    /// DNS names of the leaf in lower case, `*.` ones included.
    pub dns_names: Vec<String>,
    /// Start of validity, in seconds since the Unix epoch.
    pub not_before: i64,
    /// End of validity, in seconds since the Unix epoch.
    pub not_after: i64,
    /// When it was stored, in seconds since the Unix epoch; of two certificates with one host name the newer is served.
    pub stored_date: i64,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for Certificate {
    const NOUN: &'static str = "Certificate";
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the nodes of the cluster derive the keys of TLS session tickets from.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TicketSecret {
    /// 32 random bytes, hexadecimal.
    pub secret_hex: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl TicketSecret {
    /// The document of a fresh secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret_hex: hex(&secret), other: Other::new() }
    }

    /// The secret; `None` when the document does not hold exactly 32 bytes.
    pub fn secret(&self) -> Option<[u8; 32]> {
        unhex(&self.secret_hex)
    }
}

impl Document for TicketSecret {
    const NOUN: &'static str = "TicketSecret";
}

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_document_and_is_never_shown() {
        let secret: [u8; 32] = std::array::from_fn(|at| (at * 9) as u8);
        let document = TicketSecret::decode(&TicketSecret::new(secret).encode()).unwrap();
        assert_eq!(document.secret(), Some(secret));
        assert!(!format!("{document:?}").contains("0912"));
        for hex in ["", "00", &"g".repeat(64), &"0".repeat(66), &"é".repeat(32)] {
            assert_eq!(TicketSecret { secret_hex: hex.into(), ..Default::default() }.secret(), None, "{hex}");
        }
    }

    #[test]
    fn fields_of_a_newer_version_are_kept() {
        let text = br#"{"name":"a","keyPem":"k","ocsp":"later"}"#;
        let document = Certificate::decode(text).unwrap();
        assert_eq!((document.name.as_str(), document.key_pem.as_str()), ("a", "k"));
        assert!(String::from_utf8(document.encode()).unwrap().contains(r#""ocsp":"later""#));
        assert!(!format!("{document:?}").contains("key_pem"));
    }
}
