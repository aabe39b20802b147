//! A certificate chain with its private key, read from PEM and proven to belong together. It judges neither validity in time
//! nor trust.

use std::fmt;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// What a server proves itself with.
#[derive(Clone)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

/// Why PEM texts are no identity.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum IdentityError {
    /// The chain is not readable.
    #[error("the chain is not readable PEM: {0}")]
    Chain(String),
    /// There is no certificate in the chain.
    #[error("the chain holds no certificate")]
    NoCertificate,
    /// Something else than certificates is in the chain.
    #[error("the chain must hold certificates only")]
    NotOnlyCertificates,
    /// The leaf is not a certificate that can be served.
    #[error("the first certificate of the chain cannot be used: {0}")]
    Leaf(String),
    /// The key is not readable.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// There is no private key.
    #[error("no unencrypted PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY was found")]
    NoKey,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the first certificate of the chain")]
    Mismatch,
}

impl Identity {
    /// Reads a chain, leaf first, and the private key of the leaf (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    /// [`IdentityError`]; its texts hold nothing of the key.
    pub fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, IdentityError> {
        let chain = chain(chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
            pem::Error::NoItemsFound => IdentityError::NoKey,
            // The other variants may quote what they could not read.
            _ => IdentityError::Key("it is not readable PEM".into()),
        })?;
        let key = any_supported_type(&key).map_err(|error| IdentityError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::Mismatch)
            }
            Err(error) => Err(IdentityError::Leaf(error.to_string())),
        }
    }

    /// The chain, DER, leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.cert.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let mut chain = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| IdentityError::Chain(error.to_string()))?;
        if kind != SectionKind::Certificate {
            return Err(IdentityError::NotOnlyCertificates);
        }
        chain.push(CertificateDer::from(der));
    }
    if chain.is_empty() { Err(IdentityError::NoCertificate) } else { Ok(chain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn only_what_belongs_together_is_an_identity() {
        let (chain, key) = pair(&["a.test"]);
        let (other_chain, other_key) = pair(&["b.test"]);
        let check = |chain: &str, key: &str, expect: Result<usize, &str>| {
            let found = Identity::from_pem(chain.as_bytes(), key.as_bytes());
            let found = found.map(|identity| identity.chain().count()).map_err(|error| error.to_string());
            match expect {
                Ok(count) => assert_eq!(found, Ok(count)),
                Err(part) => {
                    assert!(found.as_ref().is_err_and(|e| e.contains(part)), "{found:?} lacks {part}")
                }
            }
        };
        check(&chain, &key, Ok(1));
        check(&format!("{chain}{other_chain}"), &format!("text before\n{key}"), Ok(2));
        check(&chain, &other_key, Err("does not belong"));
        check("", &key, Err("holds no certificate"));
        check("not PEM", &key, Err("holds no certificate"));
        check(&chain[..chain.len() / 2], &key, Err("not readable PEM"));
        check(&format!("{chain}{key}"), &key, Err("certificates only"));
        check(&chain, "", Err("no unencrypted"));
        check(&chain, &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), Err("no unencrypted"));
        check(&chain, &key.replace("PRIVATE KEY", "RSA PRIVATE KEY"), Err("private key cannot be used"));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(junk, &key, Err("first certificate of the chain cannot be used"));
    }
}
