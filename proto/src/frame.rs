//! The envelope of every archived value that leaves a process: magic, version, kind, length, crc32c, then the body.
//!
//! bytecheck proves memory safety, not integrity or compatibility: another version's bytes often validate.
//! Hence a reader checks this header first and refuses what it does not know.

use rkyv::util::AlignedVec;

use crate::limits::FRAME_BYTES_MAX;

/// Length of the header that precedes a body, in bytes.
pub const HEADER_BYTES: usize = 16;

const MAGIC: [u8; 2] = *b"TG";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A [`crate::transaction::TransactionV1`].
    Transaction = 1,
    /// A [`crate::transaction::OutcomeV1`].
    Outcome = 2,
    /// A whole replicated state.
    State = 3,
    /// A compiled [`crate::compiled::StageV1`].
    Stage = 4,
    /// The serving snapshot kept on disk.
    Snapshot = 5,
    /// A [`crate::peer::MessageV1`].
    Peer = 6,
    /// The [`crate::compiled::CertificatesV1`] behind a serving snapshot.
    Certificates = 7,
    /// A [`crate::ledger::CommandV1`].
    LedgerCommand = 8,
    /// A [`crate::ledger::StateV1`].
    LedgerState = 9,
    /// A [`crate::ledger::MessageV1`].
    LedgerMessage = 10,
    /// The [`crate::compiled::limits::LimitsV1`] behind a serving snapshot.
    Limits = 11,
    /// The [`crate::compiled::caches::CachesV1`] behind a serving snapshot.
    Caches = 12,
    /// A [`crate::cache::MessageV1`].
    CacheMessage = 13,
    /// A [`crate::stored::StoredV1`].
    Stored = 14,
    /// The [`crate::compiled::links::LinksV1`] behind a serving snapshot.
    Links = 15,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Transaction,
        Self::Outcome,
        Self::State,
        Self::Stage,
        Self::Snapshot,
        Self::Peer,
        Self::Certificates,
        Self::LedgerCommand,
        Self::LedgerState,
        Self::LedgerMessage,
        Self::Limits,
        Self::Caches,
        Self::CacheMessage,
        Self::Stored,
        Self::Links,
    ];
}

/// Why bytes are not a frame this program can read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the header announces.
    #[error("frame is cut short: {have} bytes of {want}")]
    Short {
        /// Bytes at hand.
        have: usize,
        /// Bytes announced.
        want: usize,
    },
    /// The first two bytes are not ours.
    #[error("frame does not start with the Tidegate magic")]
    Magic,
    /// A version this program does not read.
    #[error(
        "frame kind {kind} has version {version}, this program reads up to {known}; upgrade this node first"
    )]
    Version {
        /// Kind found.
        kind: u8,
        /// Version found.
        version: u8,
        /// Highest version known.
        known: u8,
    },
    /// Another kind than the reader asked for.
    #[error("frame has kind {found}, expected {expected}")]
    Kind {
        /// Kind found.
        found: u8,
        /// Kind expected.
        expected: u8,
    },
    /// The body does not match its checksum.
    #[error("frame body fails its checksum")]
    Checksum,
    /// The body is larger than any writer produces.
    #[error("frame of {0} bytes exceeds the limit of {FRAME_BYTES_MAX}")]
    TooLarge(usize),
    /// The body does not validate as the archived type.
    #[error("frame body does not validate: {0}")]
    Invalid(String),
}

/// What a frame says it carries; nothing of it has been checked.
pub fn kind(bytes: &[u8]) -> Option<Kind> {
    let number = *bytes.get(3)?;
    Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
}

/// Wraps an archived body into a frame.
pub fn seal(kind: Kind, version: u8, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    if body.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(body.len()));
    }
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&MAGIC);
    out.push(version);
    out.push(kind as u8);
    out.extend_from_slice(&(body.len() as u64).to_le_bytes()[..8]);
    out.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
    out.extend_from_slice(body);
    Ok(out)
}

/// Checks a frame and copies its body to 16-byte alignment, which archived access needs.
pub fn open(kind: Kind, version_known: u8, bytes: &[u8]) -> Result<AlignedVec, FrameError> {
    let body = body(kind, version_known, bytes)?;
    let mut aligned = AlignedVec::with_capacity(body.len());
    aligned.extend_from_slice(body);
    Ok(aligned)
}

fn body(kind: Kind, version_known: u8, bytes: &[u8]) -> Result<&[u8], FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(FrameError::Short { have: bytes.len(), want: HEADER_BYTES });
    };
    let [m0, m1, version, found, l0, l1, l2, l3, l4, l5, l6, l7, c0, c1, c2, c3] = *header;
    if [m0, m1] != MAGIC {
        return Err(FrameError::Magic);
    }
    if found != kind as u8 {
        return Err(FrameError::Kind { found, expected: kind as u8 });
    }
    if version == 0 || version > version_known {
        return Err(FrameError::Version { kind: found, version, known: version_known });
    }
    let length = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(length));
    }
    if rest.len() != length {
        return Err(FrameError::Short { have: rest.len(), want: length });
    }
    if crc32c::crc32c(rest) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(FrameError::Checksum);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mutate: impl FnOnce(&mut Vec<u8>), expect: Result<&[u8], FrameError>) {
        let mut bytes = seal(Kind::Peer, 1, b"tide").unwrap();
        mutate(&mut bytes);
        assert_eq!(open(Kind::Peer, 1, &bytes).as_deref(), expect.as_deref());
    }

    #[test]
    fn damage_is_named() {
        check(|_| {}, Ok(b"tide"));
        check(|b| b.truncate(9), Err(FrameError::Short { have: 9, want: 16 }));
        check(|b| b.truncate(18), Err(FrameError::Short { have: 2, want: 4 }));
        check(|b| b[0] = 0, Err(FrameError::Magic));
        check(|b| b[2] = 2, Err(FrameError::Version { kind: 6, version: 2, known: 1 }));
        check(|b| b[2] = 0, Err(FrameError::Version { kind: 6, version: 0, known: 1 }));
        check(|b| b[3] = 1, Err(FrameError::Kind { found: 1, expected: 6 }));
        check(|b| b[10] = 1, Err(FrameError::TooLarge((1 << 48) + 4)));
        check(|b| b[17] ^= 1, Err(FrameError::Checksum));
        check(|b| b.push(0), Err(FrameError::Short { have: 5, want: 4 }));
    }

    #[test]
    fn golden_header() {
        let bytes = seal(Kind::Transaction, 1, b"abc").unwrap();
        assert_eq!(bytes[..12], [b'T', b'G', 1, 1, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[12..16], 0x364b_3fb7_u32.to_le_bytes());
    }
}
