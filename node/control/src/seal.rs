//! Values of API keys at rest: sealed with AES-256-GCM under a key that is derived from a secret of the cluster. Owns that form; must
//! never see a record.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// What the derived key is for (RFC 5869, section 3.2); another use of the secret derives another key.
const INFO: &[u8] = b"tidegate api key values, AES-256-GCM, 1";

/// Bytes of a nonce. Nonces are random: with a million values a repeated one is less likely than 2^-56.
pub(crate) const NONCE_BYTES: usize = NONCE_LEN;

/// Seals and opens values.
pub(crate) struct Seal {
    key: LessSafeKey,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// The seal of a cluster's secret.
    ///
    /// # Errors
    /// Only when the cryptography library refuses to work.
    pub(crate) fn new(secret: &[u8; 32]) -> Result<Self, Unspecified> {
        let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let key = UnboundKey::from(derived.expand(&[INFO], &AES_256_GCM)?);
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Seals the value of a key; the result opens for this key only. `nonce` must be fresh and random.
    ///
    /// # Errors
    /// Only when the cryptography library refuses to work.
    pub(crate) fn seal(
        &self,
        value: &str,
        key_id: &str,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, Unspecified> {
        let mut sealed = value.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(unique, Aad::from(key_id.as_bytes()), &mut sealed)?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens a sealed value; `None` when it is damaged, another key's, or sealed under another secret.
    pub(crate) fn open(&self, sealed: &str, key_id: &str) -> Option<String> {
        let mut bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, value) = bytes.split_at_mut_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(key_id.as_bytes()), value).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_for_its_key_and_secret_only() {
        let (seal, other) = (Seal::new(&[1; 32]).unwrap(), Seal::new(&[2; 32]).unwrap());
        let sealed = seal.seal("the value", "k1", [7; NONCE_BYTES]).unwrap();
        assert_eq!(seal.open(&sealed, "k1").as_deref(), Some("the value"));
        assert_eq!(seal.open(&sealed, "k2"), None);
        assert_eq!(other.open(&sealed, "k1"), None);
        assert_ne!(seal.seal("the value", "k1", [8; NONCE_BYTES]).unwrap(), sealed);
        let decoded = STANDARD_NO_PAD.decode(&sealed).unwrap();
        for at in 0..decoded.len() {
            let mut damaged = decoded.clone();
            damaged[at] ^= 1;
            assert_eq!(seal.open(&STANDARD_NO_PAD.encode(&damaged), "k1"), None, "byte {at}");
        }
        for text in ["", "AAAA", "!", &sealed[..20]] {
            assert_eq!(seal.open(text, "k1"), None, "{text}");
        }
        assert!(!format!("{seal:?}").contains('1'));
    }
}
