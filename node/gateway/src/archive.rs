//! Owns the bytes of one compiled stage and reads them in place. The only file of the crate with `unsafe`.
//!
//! JUSTIFICATION: a request touches a handful of fields of an archive of many megabytes. Validating on each access costs
//! the whole archive, and owned structures cost hundreds of thousands of allocations per publication, with as many frees
//! when a snapshot is dropped. Measured with 5,000 routes (1.5 MB, `table/tests.rs` prints it): 0.3 ms to validate once, against
//! 18 ms to build the owned form and 4 ms to free it.
#![allow(unsafe_code, reason = "in-place access to an archive that was validated when it was taken in")]

use rkyv::{rancor, util::AlignedVec};
use tidegate_proto::compiled::{ArchivedStageV1, StageV1};

/// Bytes that are known to hold a valid [`StageV1`] at their end.
pub(crate) struct Archive(AlignedVec);

impl Archive {
    /// Archives a stage.
    pub(crate) fn new(stage: &StageV1) -> Result<Self, rancor::Error> {
        Ok(Self(rkyv::to_bytes::<rancor::Error>(stage)?))
    }

    /// Takes in foreign bytes after a full validation.
    pub(crate) fn validated(bytes: AlignedVec) -> Result<Self, rancor::Error> {
        rkyv::access::<ArchivedStageV1, rancor::Error>(&bytes)?;
        Ok(Self(bytes))
    }

    /// The stage, in place.
    pub(crate) fn stage(&self) -> &ArchivedStageV1 {
        // SAFETY: both constructors leave a valid archive of `StageV1` in an aligned buffer: the first wrote it, the second
        // validated it. The field is private and never written again, so the bytes cannot change under the reference.
        unsafe { rkyv::access_unchecked::<ArchivedStageV1>(&self.0) }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
