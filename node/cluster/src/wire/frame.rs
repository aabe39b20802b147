//! The shell of one message between nodes: version, kind, length, checksum, sender, group, body.

use super::{Body, Shape, WireError, to_body};
use crate::{GroupId, NodeId, limits};

/// Bytes of the shell before the body.
pub(crate) const HEADER_BYTES: usize = 28;
const VERSION: u8 = 1;
const CRC: std::ops::Range<usize> = 8..12;

/// The message kinds of version 1. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Append = 1,
    Appended = 2,
    Vote = 3,
    Voted = 4,
    Checkpoint = 5,
    Installed = 6,
    Transfer = 7,
    Transferred = 8,
    Propose = 9,
    Proposed = 10,
    Barrier = 11,
    BarrierAt = 12,
    Call = 13,
    Answer = 14,
    Change = 15,
    Changed = 16,
    Enroll = 17,
    Enrolled = 18,
    Refusal = 19,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Append,
        Self::Appended,
        Self::Vote,
        Self::Voted,
        Self::Checkpoint,
        Self::Installed,
        Self::Transfer,
        Self::Transferred,
        Self::Propose,
        Self::Proposed,
        Self::Barrier,
        Self::BarrierAt,
        Self::Call,
        Self::Answer,
        Self::Change,
        Self::Changed,
        Self::Enroll,
        Self::Enrolled,
        Self::Refusal,
    ];

    fn parse(byte: u8) -> Result<Self, WireError> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(WireError::Kind(byte))
    }
}

/// A message body with its kind.
pub(crate) trait Message: Shape {
    /// The kind on the wire.
    const KIND: Kind;
    /// For error texts.
    const NAME: &'static str;
}

/// One message, encoded.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) from: NodeId,
    pub(crate) group: GroupId,
    pub(crate) body: Body,
}

/// A parsed shell whose body has not arrived yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    kind: Kind,
    from: NodeId,
    group: GroupId,
    crc: u32,
    seed: u32,
    /// Length of the body that follows.
    pub(crate) body_bytes: usize,
}

impl Frame {
    /// Encodes `message`.
    pub(crate) fn new<M: Message>(from: NodeId, group: GroupId, message: &M) -> Self {
        Self { kind: M::KIND, from, group, body: to_body(message) }
    }

    /// Reads the body as `M`.
    pub(crate) fn decode<M: Message>(&self) -> Result<M, WireError> {
        if self.kind != M::KIND {
            return Err(WireError::Unexpected { want: M::NAME, found: self.kind as u8 });
        }
        M::from_body(&self.body)
    }

    /// The shell to send before the body.
    pub(crate) fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[0] = VERSION;
        header[1] = self.kind as u8;
        header[4..8].copy_from_slice(&u32::try_from(self.body.len()).unwrap_or(u32::MAX).to_le_bytes());
        header[12..20].copy_from_slice(&self.from.to_le_bytes());
        header[20..28].copy_from_slice(&self.group.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header), &self.body);
        header[CRC].copy_from_slice(&crc.to_le_bytes());
        header
    }
}

impl Header {
    /// Reads a shell; refuses unknown versions and kinds and bodies over the limit before anything is allocated.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES], body_bytes_max: usize) -> Result<Self, WireError> {
        if bytes[0] != VERSION {
            return Err(WireError::Version(bytes[0]));
        }
        let kind = Kind::parse(bytes[1])?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let body_bytes = half(4) as usize;
        let bytes_max = body_bytes_max.min(limits::FRAME_BYTES_MAX);
        if body_bytes > bytes_max {
            return Err(WireError::TooLarge { bytes: body_bytes as u64, bytes_max: bytes_max as u64 });
        }
        let mut blank = *bytes;
        blank[CRC].fill(0);
        Ok(Self {
            kind,
            from: number(12),
            group: number(20),
            crc: half(CRC.start),
            seed: crc32c::crc32c(&blank),
            body_bytes,
        })
    }

    /// Joins the shell with its body and checks the checksum over both.
    pub(crate) fn with_body(self, body: Body) -> Result<Frame, WireError> {
        if body.len() != self.body_bytes {
            return Err(WireError::Short);
        }
        if crc32c::crc32c_append(self.seed, &body) != self.crc {
            return Err(WireError::Checksum);
        }
        Ok(Frame { kind: self.kind, from: self.from, group: self.group, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::RefusalV1;

    fn bytes() -> ([u8; HEADER_BYTES], Body) {
        let frame = Frame::new(7, 9, &RefusalV1 { reason: "no".into() });
        (frame.header(), frame.body)
    }

    fn read(header: &[u8; HEADER_BYTES], body: Body) -> Result<Frame, WireError> {
        Header::parse(header, limits::FRAME_BYTES_MAX)?.with_body(body)
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (header, body) = bytes();
        assert!(read(&header, body.clone()).is_ok());
        for bit in 0..HEADER_BYTES * 8 {
            let mut spoiled = header;
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&spoiled, body.clone()).is_err(), "header bit {bit}");
        }
        for bit in 0..body.len() * 8 {
            let mut spoiled = body.clone();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&header, spoiled).unwrap_err(), WireError::Checksum, "body bit {bit}");
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let (header, body) = bytes();
        let table: [(usize, u8, WireError); 2] =
            [(0, 2, WireError::Version(2)), (1, 200, WireError::Kind(200))];
        for (at, value, want) in table {
            let mut spoiled = header;
            spoiled[at] = value;
            assert_eq!(read(&spoiled, body.clone()).unwrap_err(), want);
        }
        assert!(matches!(Header::parse(&header, 3), Err(WireError::TooLarge { .. })));
    }
}
