//! Hashes and the derived signing key. Owns every use of HMAC and the constant-time comparison; must never print a key.

use super::{Scope, TERMINATOR};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The key derived from a secret for one scope; worth caching by (access key, scope), it saves four HMACs a request.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives the key of `scope` from a secret access key.
    #[must_use]
    pub fn derive(secret_access_key: &str, scope: &Scope) -> Self {
        let seed = format!("AWS4{secret_access_key}");
        let date = hmac_sha256(seed.as_bytes(), scope.date.as_bytes());
        let region = hmac_sha256(&date, scope.region.as_bytes());
        let service = hmac_sha256(&region, scope.service.as_bytes());
        Self(hmac_sha256(&service, TERMINATOR.as_bytes()))
    }

    pub(super) fn signature_hex(&self, string_to_sign: &str) -> String {
        hex(&hmac_sha256(&self.0, string_to_sign.as_bytes()))
    }

    /// True when `presented_hex` is the signature, in a time that does not depend on where they differ.
    pub(super) fn matches(&self, string_to_sign: &str, presented_hex: &str) -> bool {
        let Some(presented) = unhex_32(presented_hex) else { return false };
        mac(&self.0, string_to_sign.as_bytes()).verify_slice(&presented).is_ok()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Lower-case hex SHA-256 of a body, as it stands in the canonical request.
#[must_use]
pub fn payload_sha256_hex(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(super) fn is_sha256_hex(text: &str) -> bool {
    unhex_32(text).is_some()
}

fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    // HMAC pads or hashes a key of any length, so the fallback is never taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(message);
    mac
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    mac(key, message).finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

/// Only lower-case digits: the canonical request carries the text, so another spelling is another request.
fn unhex_32(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_one_spelling() {
        assert_eq!(payload_sha256_hex(b""), crate::sigv4::EMPTY_SHA256);
        assert!(is_sha256_hex(crate::sigv4::EMPTY_SHA256));
        for text in ["", "e3", &crate::sigv4::EMPTY_SHA256.to_uppercase(), &"g".repeat(64), &"0".repeat(65)] {
            assert!(!is_sha256_hex(text), "{text}");
        }
    }
}
