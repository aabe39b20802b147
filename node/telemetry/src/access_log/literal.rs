//! Text that a format puts between values, kept so that appending it costs next to nothing.

/// Bytes that are appended in one go, whether there are as many or fewer: what stands between two values is short.
const ROOM: usize = 32;

/// Bytes of a format.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    /// The first bytes, filled up.
    start: [u8; ROOM],
    /// How many of them count.
    length: usize,
    rest: Box<[u8]>,
}

impl Literal {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let (first, rest) = bytes.split_at(bytes.len().min(ROOM));
        let mut start = [0; ROOM];
        for (place, byte) in start.iter_mut().zip(first) {
            *place = *byte;
        }
        Self { start, length: first.len(), rest: rest.into() }
    }

    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        // A copy of a fixed length is two instructions, one of an exact length is a call.
        out.extend_from_slice(&self.start);
        out.truncate(end);
        if !self.rest.is_empty() {
            out.extend_from_slice(&self.rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_given() {
        for length in 0..3 * ROOM {
            let given: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
            let mut out = b"before".to_vec();
            Literal::new(&given).write(&mut out);
            assert_eq!(out, [b"before", given.as_slice()].concat());
        }
    }
}
