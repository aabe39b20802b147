//! Text that a format puts between values, in pieces that cost next to nothing to append.

/// Bytes of a piece at most: what stands between two values is rarely longer.
const ROOM: usize = 32;

/// A piece of a format's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal {
    /// Filled up.
    bytes: [u8; ROOM],
    /// How many of them count.
    length: usize,
}

impl Literal {
    /// The pieces of `text`; there is a last one, which may be empty.
    pub(super) fn pieces(text: &[u8]) -> (Vec<Self>, Self) {
        let (full, last) = text.as_chunks();
        let full = full.iter().map(|bytes| Self { bytes: *bytes, length: ROOM }).collect();
        let mut bytes = [0; ROOM];
        for (place, byte) in bytes.iter_mut().zip(last) {
            *place = *byte;
        }
        (full, Self { bytes, length: last.len() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends it. A copy of a fixed length is two instructions, one of an exact length is a call.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_given() {
        for length in 0..=3 * ROOM {
            let given: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
            let mut out = b"before".to_vec();
            let (full, last) = Literal::pieces(&given);
            full.iter().chain([&last]).for_each(|piece| piece.write(&mut out));
            assert_eq!(out, [b"before", given.as_slice()].concat());
            assert_eq!(last.is_empty(), length % ROOM == 0);
        }
    }
}
