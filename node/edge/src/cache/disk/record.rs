//! One record in a file: a head that is read when a node starts, and behind it the answer, sealed. Owns their layout and that nothing
//! is taken for an answer that was not written as it stands, at the place it stands at.
//!
//! Head, little-endian: `TGR`, version; kind, three zeros; bytes behind the head (4); name (16); name of the stem, zeros if there is
//! none (16); scope (8); milliseconds since 1970 (8); crc32c of all this (4). The answer is sealed with AES-256-GCM: the key is the
//! file's, the nonce the record's place in it, the head is authenticated.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};

use super::keys::{FileKey, Name};

pub(super) const HEAD_BYTES: usize = 64;
/// Bytes that sealing adds.
pub(super) const TAG_BYTES: usize = 16;

const MAGIC: [u8; 4] = *b"TGR\x01";
const CRC_AT: usize = HEAD_BYTES - 4;
const NONE: Name = Name(0, 0);

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// It is an answer.
    Answer = 1,
    /// What was written before under its name is not valid.
    Mark = 2,
}

/// What is known of a record without reading it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Bytes behind the head.
    pub(super) bytes: u32,
    pub(super) name: Name,
    /// The name of what its key and those of other variants begin with.
    pub(super) stem: Option<Name>,
    pub(super) scope: u64,
    pub(super) written_ms: u64,
}

impl Head {
    pub(super) fn write(&self) -> [u8; HEAD_BYTES] {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.kind as u8, 0, 0, 0]);
        out.extend_from_slice(&self.bytes.to_le_bytes());
        let stem = self.stem.unwrap_or(NONE);
        for word in [self.name.0, self.name.1, stem.0, stem.1, self.scope, self.written_ms] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&out);
        head
    }

    /// `None` for what was not written so.
    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (said, crc) = bytes.split_at(CRC_AT);
        if said.get(..4)? != MAGIC || crc32c::crc32c(said) != u32::from_le_bytes(crc.try_into().ok()?) {
            return None;
        }
        let kind = match said.get(4)? {
            1 => Kind::Answer,
            2 => Kind::Mark,
            _ => return None,
        };
        let length = u32::from_le_bytes(*said.get(8..)?.first_chunk()?);
        let word = |nth: usize| Some(u64::from_le_bytes(*said.get(12 + 8 * nth..)?.first_chunk()?));
        let stem = Name(word(2)?, word(3)?);
        Some(Self {
            kind,
            bytes: length,
            name: Name(word(0)?, word(1)?),
            stem: (stem != NONE).then_some(stem),
            scope: word(4)?,
            written_ms: word(5)?,
        })
    }
}

/// Seals an answer into a record for one place of a file: `plain` is room for the head, then the answer.
pub(super) fn seal(key: &FileKey, offset: u32, mut head: Head, mut plain: Vec<u8>) -> Option<Vec<u8>> {
    head.bytes = u32::try_from(plain.len().checked_sub(HEAD_BYTES)?.checked_add(TAG_BYTES)?).ok()?;
    let (room, answer) = plain.split_at_mut_checked(HEAD_BYTES)?;
    let written = head.write();
    room.copy_from_slice(&written);
    let tag = key.seal.seal_in_place_separate_tag(nonce(offset), Aad::from(written), answer).ok()?;
    plain.extend_from_slice(tag.as_ref());
    Some(plain)
}

/// Opens a record that was read from a place of a file; what is left in `record` behind the head is the answer. `None` when it is not
/// what was written there.
pub(super) fn open(key: &FileKey, offset: u32, record: &mut Vec<u8>) -> Option<Head> {
    let (written, sealed) = record.split_first_chunk_mut::<HEAD_BYTES>()?;
    let head = Head::read(written)?;
    if head.kind != Kind::Answer || head.bytes as usize != sealed.len() {
        return None;
    }
    let bytes = key.seal.open_in_place(nonce(offset), Aad::from(*written), sealed).ok()?.len();
    record.truncate(HEAD_BYTES + bytes);
    Some(head)
}

/// Every place of a file is written once.
fn nonce(offset: u32) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    for (place, byte) in nonce.iter_mut().zip(offset.to_le_bytes()) {
        *place = byte;
    }
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::{super::keys::Keys, *};

    fn head() -> Head {
        let (name, stem) = (Name(1, 2), Some(Name(3, 4)));
        Head { kind: Kind::Answer, bytes: 0, name, stem, scope: 5, written_ms: 6 }
    }

    fn record(key: &FileKey) -> Vec<u8> {
        let plain = [&[0; HEAD_BYTES][..], b"the answer"].concat();
        seal(key, 700, head(), plain).unwrap()
    }

    #[test]
    fn a_record_opens_where_it_was_written_only() {
        let keys = Keys::new(&[1; 32]).unwrap();
        let (key, other) = (keys.file(&[1; 32]).unwrap(), keys.file(&[2; 32]).unwrap());
        let mut whole = record(&key);
        assert!(!whole.windows(6).any(|part| part == b"answer"));
        assert_eq!(open(&key, 700, &mut whole), Some(Head { bytes: 26, ..head() }));
        assert_eq!(&whole[HEAD_BYTES..], b"the answer");
        assert_eq!(open(&key, 701, &mut record(&key)), None);
        assert_eq!(open(&other, 700, &mut record(&key)), None);
        assert_eq!(open(&key, 700, &mut [record(&key), vec![0]].concat()), None);
    }

    #[test]
    fn no_bit_can_change() {
        let key = Keys::new(&[1; 32]).unwrap().file(&[1; 32]).unwrap();
        let whole = record(&key);
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, 700, &mut damaged), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(open(&key, 700, &mut whole[..length].to_vec()), None, "{length} bytes");
        }
    }

    #[test]
    fn golden_head() {
        let mark = Head { kind: Kind::Mark, stem: None, ..head() }.write();
        let hex: String = mark.iter().map(|byte| format!("{byte:02x}")).collect();
        let words = "0100000000000000020000000000000000000000000000000000000000000000\
                     05000000000000000600000000000000";
        assert_eq!(hex[..120], format!("544752010200000000000000{words}"), "add a version instead");
        assert_eq!(Head::read(&mark).map(|head| (head.kind, head.stem)), Some((Kind::Mark, None)));
    }
}
