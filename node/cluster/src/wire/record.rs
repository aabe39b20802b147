//! The shell of one record on disk: version, kind, length, checksum, body. Checked on every load.

use super::{Body, Shape, WireError, to_body, v1};

/// Bytes of the shell before the body.
pub(crate) const HEADER_BYTES: usize = 10;
const VERSION: u8 = 1;

/// A type that is stored.
pub(crate) trait Record: Shape {
    /// The kind on disk. Numbers are never reused.
    const KIND: u8;
    /// For error texts.
    const NAME: &'static str;
}

impl Record for v1::EntryV1 {
    const KIND: u8 = 1;
    const NAME: &'static str = "log entry";
}
impl Record for v1::VoteV1 {
    const KIND: u8 = 2;
    const NAME: &'static str = "vote";
}
impl Record for v1::LogIdV1 {
    const KIND: u8 = 3;
    const NAME: &'static str = "log position";
}
impl Record for v1::CheckpointV1 {
    const KIND: u8 = 4;
    const NAME: &'static str = "checkpoint head";
}

/// Encodes a record.
pub(crate) fn encode<R: Record>(record: &R) -> Vec<u8> {
    let body = to_body(record);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&[VERSION, R::KIND]);
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&body);
    let crc = crc32c::crc32c(&bytes);
    bytes[6..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads the record that `bytes` start with; also says how long it was.
pub(crate) fn decode_prefix<R: Record>(bytes: &[u8]) -> Result<(R, usize), WireError> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Err(WireError::Short) };
    if head[0] != VERSION {
        return Err(WireError::Version(head[0]));
    }
    if head[1] != R::KIND {
        return Err(WireError::Unexpected { want: R::NAME, found: head[1] });
    }
    let length = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let Some(stored) = rest.get(..length) else { return Err(WireError::Short) };
    let mut blank = *head;
    blank[6..].fill(0);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&blank), stored);
    if crc.to_le_bytes() != head[6..] {
        return Err(WireError::Checksum);
    }
    let mut body = Body::with_capacity(length);
    body.extend_from_slice(stored);
    Ok((R::from_body(&body)?, HEADER_BYTES + length))
}

/// Reads a record that fills `bytes` exactly.
pub(crate) fn decode<R: Record>(bytes: &[u8]) -> Result<R, WireError> {
    match decode_prefix(bytes)? {
        (record, length) if length == bytes.len() => Ok(record),
        _ => Err(WireError::Short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed_and_named() {
        let good = encode(&v1::LogIdV1 { term: 1, node: 2, index: 3 });
        assert_eq!(decode::<v1::LogIdV1>(&good).unwrap().index, 3);
        for bit in 0..good.len() * 8 {
            let mut spoiled = good.clone();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<v1::LogIdV1>(&spoiled).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode::<v1::LogIdV1>(&good[..length]).is_err(), "cut at {length}");
        }
        assert!(matches!(decode::<v1::VoteV1>(&good), Err(WireError::Unexpected { .. })));
    }
}
