//! Bytes between nodes and on disk: versioned, checksummed shells around rkyv bodies. Knows no transport and no file.

pub(crate) mod convert;
pub(crate) mod frame;
#[cfg(test)]
mod golden;
pub(crate) mod record;
pub(crate) mod v1;

pub(crate) use frame::{Frame, Kind, Message};

use rkyv::{
    Archive, Deserialize, Serialize,
    api::high::{HighDeserializer, HighSerializer, HighValidator},
    bytecheck::CheckBytes,
    rancor::Error as RkyvError,
    ser::allocator::ArenaHandle,
    util::AlignedVec,
};

/// A body buffer with the alignment that validated in-place reads need.
pub(crate) type Body = AlignedVec<16>;

/// Why bytes were refused. Shown to operators: a version they do not know must be recognisable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("format version {0} is not known here (this build reads version 1)")]
    Version(u8),
    #[error("kind {0} is not known here")]
    Kind(u8),
    #[error("expected {want}, found kind {found}")]
    Unexpected { want: &'static str, found: u8 },
    #[error("{bytes} bytes are over the limit of {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("the checksum does not match")]
    Checksum,
    #[error("the bytes end too early")]
    Short,
    #[error("the body is not valid: {0}")]
    Body(String),
}

/// A type that has one archived shape, frozen by a golden test.
pub(crate) trait Shape:
    Sized + for<'a> Serialize<HighSerializer<AlignedVec<16>, ArenaHandle<'a>, RkyvError>>
{
    /// Reads a validated body.
    fn from_body(body: &Body) -> Result<Self, WireError>;
}

impl<T> Shape for T
where
    T: Archive + for<'a> Serialize<HighSerializer<AlignedVec<16>, ArenaHandle<'a>, RkyvError>>,
    T::Archived:
        for<'a> CheckBytes<HighValidator<'a, RkyvError>> + Deserialize<T, HighDeserializer<RkyvError>>,
{
    fn from_body(body: &Body) -> Result<Self, WireError> {
        rkyv::from_bytes::<T, RkyvError>(body).map_err(|e| WireError::Body(e.to_string()))
    }
}

/// Encodes a body. Our shapes hold only numbers, strings and vectors, which cannot fail to serialise.
pub(crate) fn to_body<T: Shape>(value: &T) -> Body {
    rkyv::api::high::to_bytes_in::<_, RkyvError>(value, Body::new()).unwrap_or_default()
}
