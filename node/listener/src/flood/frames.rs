//! Walks a byte stream of HTTP/2 frames by their heads (RFC 9113 §4.1). It stores no payload and knows no rules.

/// Bytes of one frame head.
const HEAD_BYTES: usize = 9;

/// Frame types (RFC 9113 §6).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// The head of one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    /// Bytes of payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    flags: u8,
    /// Zero for the connection itself.
    pub(super) stream: u32,
}

impl Frame {
    fn read(head: [u8; HEAD_BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    #[cfg(test)]
    pub(super) fn of(kind: u8, flags: u8, length: u32, stream: u32) -> Self {
        Self { length, kind, flags, stream }
    }

    /// END_STREAM of DATA and HEADERS; on SETTINGS and PING the same bit is ACK.
    pub(super) fn is_last_or_ack(self) -> bool {
        self.flags & 1 != 0
    }
}

/// Where one direction of a connection stands between its frames.
#[derive(Debug)]
pub(super) struct Frames {
    /// Payload bytes until the next head.
    skip: usize,
    /// The start of a head that was cut by the end of a read.
    partial: [u8; HEAD_BYTES],
    known: usize,
}

impl Frames {
    /// Frames begin after `skip` bytes.
    pub(super) fn after(skip: usize) -> Self {
        Self { skip, partial: [0; HEAD_BYTES], known: 0 }
    }

    /// Whether the next byte begins a frame.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.known == 0
    }

    /// Goes over the next bytes and shows every head to `judge`; its first error ends the walk.
    pub(super) fn walk<E>(
        &mut self,
        mut bytes: &[u8],
        mut judge: impl FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let Some(rest) = bytes.get(self.skip..).filter(|rest| !rest.is_empty()) else {
                self.skip -= bytes.len();
                return Ok(());
            };
            self.skip = 0;
            let frame = match rest.split_first_chunk::<HEAD_BYTES>() {
                Some((head, after)) if self.known == 0 => {
                    bytes = after;
                    Frame::read(*head)
                }
                _ => match self.complete(&mut bytes, rest) {
                    Some(frame) => frame,
                    None => return Ok(()),
                },
            };
            self.skip = frame.length as usize;
            judge(frame)?;
        }
    }

    /// Adds to a head that came in pieces; `bytes` becomes what is behind it.
    fn complete<'a>(&mut self, bytes: &mut &'a [u8], rest: &'a [u8]) -> Option<Frame> {
        let (more, after) = rest.split_at(rest.len().min(HEAD_BYTES - self.known));
        for (place, byte) in self.partial.iter_mut().skip(self.known).zip(more) {
            *place = *byte;
        }
        self.known += more.len();
        if self.known < HEAD_BYTES {
            return None;
        }
        self.known = 0;
        *bytes = after;
        Some(Frame::read(self.partial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend((stream | 0x8000_0000).to_be_bytes());
        bytes.resize(bytes.len() + length, 0xff);
        bytes
    }

    #[test]
    fn every_cut_shows_the_same_heads() {
        let shapes = [(0, 4, 1, 0), (5, 1, 4, 1), (0, 0, 1, 1), (300, 0, 0, 0x7fff_ffff), (8, 6, 0, 0)];
        let mut bytes = vec![0; 24];
        for (length, kind, flags, stream) in shapes {
            bytes.extend(frame(length, kind, flags, stream));
        }
        for step in 1..=bytes.len() {
            let (mut frames, mut seen) = (Frames::after(24), Vec::new());
            for piece in bytes.chunks(step) {
                let walked: Result<(), ()> = frames.walk(piece, |frame| {
                    seen.push((frame.length as usize, frame.kind, frame.flags, frame.stream));
                    Ok(())
                });
                walked.unwrap();
            }
            assert_eq!(seen, shapes, "in steps of {step}");
            assert!(frames.is_between());
        }
    }

    #[test]
    fn an_error_ends_the_walk() {
        let bytes = [frame(0, 6, 0, 0), frame(0, 4, 0, 0), frame(0, 6, 0, 0)].concat();
        let mut seen = 0;
        let walked = Frames::after(0).walk(&bytes, |frame| {
            seen += 1;
            if frame.kind == kind::SETTINGS { Err("enough") } else { Ok(()) }
        });
        assert_eq!((walked, seen), (Err("enough"), 2));
    }
}
