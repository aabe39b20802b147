//! The shape of a stored answer outside of a process: everything but its body, which lies beside it as it is. Owns that another
//! version's bytes are refused; must never say what an answer may be used for.

#![allow(
    missing_docs,
    reason = "the archive derive emits undocumented fields for enum variants; the sources are documented"
)]

use rkyv::{Archive, Deserialize, Serialize, rancor};

use crate::{
    cache::{HeaderV1, OriginV1, TermsV1},
    frame::{self, FrameError, Kind},
};

/// Newest layout of [`StoredV1`] that this program writes and reads.
pub const STORED_VERSION: u8 = 1;

/// A stored answer without its body.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct StoredV1 {
    /// Whole key, the variant's part included.
    pub key: Vec<u8>,
    /// Which of several answers it is, where a key has more than one.
    pub variant: Option<VariantV1>,
    /// Status code.
    pub status: u16,
    /// Header lines, in their order; Content-Length is not among them.
    pub headers: Vec<HeaderV1>,
    /// When it was asked for, in nanoseconds since 1970.
    pub stored_ns: u64,
    /// The same in seconds, as its dates have it.
    pub stored_s: u64,
    /// What it may be used for.
    pub terms: TermsV1,
    /// Where it comes from.
    pub origin: OriginV1,
    /// The newest purge of its stage that it is known to have survived.
    pub sequence: u64,
}

/// What tells an answer from the other variants of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Archive, Serialize, Deserialize)]
pub struct VariantV1 {
    /// Bytes of the key that all variants have in common.
    pub primary_bytes: u32,
    /// Tells the variants of now from those that were made invalid together.
    pub birth: u64,
    /// Answers that were asked for before are from before they were made invalid, in nanoseconds since 1970.
    pub since_ns: u64,
}

impl StoredV1 {
    /// The framed bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = rkyv::to_bytes::<rancor::Error>(self).map_err(|e| FrameError::Invalid(e.to_string()))?;
        frame::seal(Kind::Stored, STORED_VERSION, &body)
    }

    /// Reads framed bytes.
    ///
    /// # Errors
    /// Any [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let body = frame::open(Kind::Stored, STORED_VERSION, bytes)?;
        rkyv::from_bytes::<Self, rancor::Error>(&body).map_err(|e| FrameError::Invalid(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_travel() {
        let sample = StoredV1 {
            key: b"primary and variant".to_vec(),
            variant: Some(VariantV1 { primary_bytes: 7, birth: 77, since_ns: 1_794_000_000_000_000_001 }),
            status: 203,
            headers: vec![HeaderV1 { name: "etag".into(), value: b"\"\xff\"".to_vec() }],
            stored_ns: 1_795_000_000_123_456_789,
            stored_s: 1_794_999_000,
            terms: TermsV1 {
                age_s: 3,
                lifetime_s: 300,
                stale_while_revalidate_s: 5,
                stale_if_error_s: Some(60),
                must_revalidate: true,
                validate_always: false,
                has_validator: true,
                vary: vec!["accept-encoding".into()],
            },
            origin: OriginV1 {
                verb: "GET".into(),
                resource: "/pets/{id}".into(),
                path: "/pets/7".into(),
                tags: vec!["t".into()],
            },
            sequence: 9,
        };
        let bytes = sample.encode().unwrap();
        assert_eq!(StoredV1::decode(&bytes).unwrap(), sample);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            include_str!("../tests/golden/stored-v1.hex").trim(),
            "stored-v1 changed on disk: add a version instead of changing this one"
        );
    }
}
