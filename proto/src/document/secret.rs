//! The secret that API key values are sealed under, and how secrets are written.

use serde::{Deserialize, Serialize};

use super::{Document, Other};

/// What the nodes of the cluster derive the key from that seals the values of API keys.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SealSecret {
    /// 32 random bytes, hexadecimal.
    pub secret_hex: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub other: Other,
}

impl SealSecret {
    /// The document of a fresh secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret_hex: hex(&secret), other: Other::new() }
    }

    /// The secret; `None` when the document does not hold exactly 32 bytes.
    pub fn secret(&self) -> Option<[u8; 32]> {
        unhex(&self.secret_hex)
    }
}

impl Document for SealSecret {
    const NOUN: &'static str = "SealSecret";
}

impl std::fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealSecret").finish_non_exhaustive()
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exactly 32 bytes.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut secret = [0; 32];
    if digits.len() != 2 * secret.len() {
        return None;
    }
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |value, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(value << 4 | digit as u8)
        })?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_document_and_is_never_shown() {
        let secret: [u8; 32] = std::array::from_fn(|at| (at * 9) as u8);
        let document = SealSecret::decode(&SealSecret::new(secret).encode()).unwrap();
        assert_eq!(document.secret(), Some(secret));
        assert!(!format!("{document:?}").contains("0912"));
        for hex in ["", "00", &"g".repeat(64), &"0".repeat(66), &"é".repeat(32)] {
            assert_eq!(SealSecret { secret_hex: hex.into(), ..Default::default() }.secret(), None, "{hex}");
        }
    }
}
