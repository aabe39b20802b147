//! The client side of one HTTP/2 connection (RFC 9113), no more of it than a load needs: `GET` requests whose fields are
//! indexed after the first one (RFC 7541), answers of which only status and length are looked at.

use crate::peers::load::message::Message;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
/// Both windows are so large that updates are rare.
const WINDOW_BYTES: u32 = 1 << 30;
/// The peer's frames may be this long, as no other size was announced (RFC 9113, section 6.5.2).
const FRAME_BYTES_MAX: usize = 16_384;
/// First index of the table that grows with the connection (RFC 7541, section 2.3.3).
const DYNAMIC_INDEX: u8 = 62;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

mod flag {
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const ACK: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
    pub(super) const PADDED: u8 = 8;
    pub(super) const PRIORITY: u8 = 32;
}

/// A peer that does something this client cannot follow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionError {
    /// RST_STREAM.
    #[error("stream reset with code {0}")]
    Reset(u32),
    /// GOAWAY.
    #[error("connection refused to go on with code {0}")]
    GoAway(u32),
    /// SETTINGS that leave too little.
    #[error("setting {setting} is {value}, at least {needed} is needed")]
    Setting {
        /// Identifier (RFC 9113, section 6.5.2).
        setting: u16,
        /// As announced.
        value: u32,
        /// What this client uses.
        needed: u32,
    },
    /// A frame that breaks a rule.
    #[error("frame of kind {kind} with {length} bytes is not understood")]
    Frame {
        /// Type.
        kind: u8,
        /// Length of the payload.
        length: usize,
    },
}

/// Header blocks of one connection's requests.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    first: Vec<u8>,
    next: Vec<u8>,
    table_bytes: u32,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    blocks: Blocks,
    streams_max: u32,
    settled: bool,
    first_sent: bool,
    next_stream: u32,
    streams: Vec<Stream>,
    kept: Vec<u8>,
    taken: u32,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    due_ns: u64,
    status: Option<u16>,
    body_bytes: usize,
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl Blocks {
    /// For `GET` requests with these fields, `:authority` and `:path` among them.
    pub(crate) fn new(secure: bool, fields: &[(&str, &str)]) -> Self {
        // `:method: GET` and `:scheme` are in the static table (RFC 7541, appendix A).
        let fixed = [0x82, if secure { 0x87 } else { 0x86 }];
        let (mut first, mut next, mut table_bytes) = (fixed.to_vec(), fixed.to_vec(), 0);
        for (at, (name, value)) in fields.iter().enumerate() {
            first.push(0x40);
            string(&mut first, name);
            string(&mut first, value);
            next.push(0x80 | (DYNAMIC_INDEX + (fields.len() - 1 - at) as u8));
            table_bytes += (name.len() + value.len() + 32) as u32;
        }
        Self { first, next, table_bytes }
    }
}

impl Session {
    /// A connection that will carry so many requests at the same time; `out` gets what opens it.
    pub(crate) fn new(blocks: Blocks, streams_max: usize, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(PREFACE);
        let mut settings = Vec::new();
        for (setting, value) in [(2_u16, 0_u32), (4, WINDOW_BYTES)] {
            settings.extend_from_slice(&setting.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(out, kind::SETTINGS, 0, 0, &settings);
        frame(out, kind::WINDOW_UPDATE, 0, 0, &WINDOW_BYTES.to_be_bytes());
        let streams_max = streams_max as u32;
        let (streams, kept) = (Vec::with_capacity(streams_max as usize), Vec::new());
        let (settled, first_sent) = (false, false);
        Self { blocks, streams_max, settled, first_sent, next_stream: 1, streams, kept, taken: 0 }
    }

    /// Whether the peer has said what it accepts; nothing is requested before.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.streams.len()
    }

    /// Appends a request to `out`.
    pub(crate) fn request(&mut self, due_ns: u64, out: &mut Vec<u8>) {
        let block = if self.first_sent { &self.blocks.next } else { &self.blocks.first };
        frame(out, kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, self.next_stream, block);
        self.first_sent = true;
        self.streams.push(Stream { id: self.next_stream, due_ns, status: None, body_bytes: 0 });
        self.next_stream += 2;
    }

    /// Takes the next bytes; `each` sees every answer that ended in them, with the time its request was due. Replies that
    /// the protocol asks for are appended to `out`.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        mut each: impl FnMut(Message, u64),
    ) -> Result<(), SessionError> {
        let mut all = std::mem::take(&mut self.kept);
        let rest = if all.is_empty() {
            bytes
        } else {
            all.extend_from_slice(bytes);
            all.as_slice()
        };
        let mut at = 0;
        while let Some(frame) = parse(&rest[at..])? {
            at += FRAME_HEAD_BYTES + frame.payload.len();
            self.take(&frame, out, &mut each)?;
        }
        let kept = rest[at..].to_vec();
        self.kept = kept;
        Ok(())
    }

    fn take(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        each: &mut impl FnMut(Message, u64),
    ) -> Result<(), SessionError> {
        let bad = || SessionError::Frame { kind: frame.kind, length: frame.payload.len() };
        match frame.kind {
            kind::DATA => {
                let body = unpadded(frame).ok_or_else(bad)?.len();
                self.window(frame.payload.len(), out);
                self.progress(frame, each, |stream| stream.body_bytes += body);
            }
            kind::HEADERS => {
                let block = unpadded(frame).ok_or_else(bad)?;
                let skip = if frame.flags & flag::PRIORITY == 0 { 0 } else { 5 };
                let status = status(block.get(skip..).ok_or_else(bad)?);
                self.progress(frame, each, |stream| stream.status = Some(stream.status.unwrap_or(status)));
            }
            kind::RST_STREAM => return Err(SessionError::Reset(number(frame.payload, 0).ok_or_else(bad)?)),
            kind::GOAWAY => return Err(SessionError::GoAway(number(frame.payload, 4).ok_or_else(bad)?)),
            kind::SETTINGS if frame.flags & flag::ACK == 0 => {
                self.settings(frame.payload)?;
                self::frame(out, kind::SETTINGS, flag::ACK, 0, &[]);
            }
            kind::PING if frame.flags & flag::ACK == 0 => {
                self::frame(out, kind::PING, flag::ACK, 0, frame.payload);
            }
            _ => {}
        }
        Ok(())
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        for setting in payload.chunks_exact(6) {
            let id = u16::from_be_bytes([setting[0], setting[1]]);
            let value = number(setting, 2).unwrap_or(0);
            let needed = match id {
                1 => self.blocks.table_bytes,
                3 => self.streams_max,
                _ => 0,
            };
            if value < needed {
                return Err(SessionError::Setting { setting: id, value, needed });
            }
        }
        self.settled = true;
        Ok(())
    }

    /// Notes what a frame brought for its stream, and ends the stream when the frame says so.
    fn progress(
        &mut self,
        frame: &Frame<'_>,
        each: &mut impl FnMut(Message, u64),
        note: impl FnOnce(&mut Stream),
    ) {
        let Some(at) = self.streams.iter().position(|stream| stream.id == frame.stream) else { return };
        note(&mut self.streams[at]);
        if frame.flags & flag::END_STREAM != 0 {
            let stream = self.streams.swap_remove(at);
            let status = stream.status.unwrap_or(0);
            each(Message { status, body_bytes: stream.body_bytes }, stream.due_ns);
        }
    }

    /// Opens the connection's window again once half of it is used; a stream never uses its own up.
    fn window(&mut self, bytes: usize, out: &mut Vec<u8>) {
        self.taken += bytes as u32;
        if self.taken > WINDOW_BYTES / 2 {
            frame(out, kind::WINDOW_UPDATE, 0, 0, &self.taken.to_be_bytes());
            self.taken = 0;
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The first frame in `bytes`, when all of it has arrived.
fn parse(bytes: &[u8]) -> Result<Option<Frame<'_>>, SessionError> {
    let Some((head, rest)) = bytes.split_at_checked(FRAME_HEAD_BYTES) else { return Ok(None) };
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(SessionError::Frame { kind: head[3], length });
    }
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1);
    Ok(rest.get(..length).map(|payload| Frame { kind: head[3], flags: head[4], stream, payload }))
}

fn unpadded<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    if frame.flags & flag::PADDED == 0 {
        return Some(frame.payload);
    }
    let (length, rest) = frame.payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*length))?)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Status of a header block, which must be its first field (RFC 9113, section 8.3); 0 when it cannot be read.
fn status(block: &[u8]) -> u16 {
    let mut rest = block;
    // Size updates of the table may stand before the first field (RFC 7541, section 6.3).
    while let [0x20..=0x3f, after @ ..] = rest {
        let extended = rest[0] == 0x3f;
        rest = after;
        while let (true, [byte, after @ ..]) = (extended, rest) {
            rest = after;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match rest {
        [byte @ 0x88..=0x8e, ..] => STATIC[usize::from(byte - 0x88)],
        // The name is one of the seven that are called `:status`; the value stands here, Huffman coded or not.
        [0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e, 0x03, digits @ ..] => digits.get(..3).map_or(0, decimal),
        [0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e, 0x82 | 0x83, bits @ ..] => huffman_status(bits),
        _ => 0,
    }
}

fn decimal(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0') % 10))
}

/// Three digits of the code in RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn huffman_status(coded: &[u8]) -> u16 {
    let bits = coded.iter().take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    let (mut left, mut number) = (8 * coded.len().min(3) as u32, 0);
    for _ in 0..3 {
        let take = |count: u32| left.checked_sub(count).map(|shift| (bits >> shift) & ((1 << count) - 1));
        let digit = match (take(5), take(6)) {
            (Some(code @ 0..=2), _) => (code, 5),
            (_, Some(code @ 0b01_1001..=0b01_1111)) => (code - 0b01_1001 + 3, 6),
            _ => return 0,
        };
        (number, left) = (number * 10 + digit.0 as u16, left - digit.1);
    }
    number
}

/// A string without Huffman coding (RFC 7541, section 5.2).
fn string(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..127 => out.push(length as u8),
        mut length => {
            out.push(127);
            length -= 127;
            while length >= 128 {
                out.push((length % 128) as u8 | 0x80);
                length /= 128;
            }
            out.push(length as u8);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let mut out = Vec::new();
        let session = Session::new(Blocks::new(false, &[(":path", "/"), ("x", "y")]), 2, &mut out);
        assert!(out.starts_with(PREFACE));
        session
    }

    #[test]
    fn a_second_request_is_short() {
        let (mut session, mut first, mut second) = (session(), Vec::new(), Vec::new());
        session.request(1, &mut first);
        session.request(2, &mut second);
        let head = [0, 0, 16, 1, 5, 0, 0, 0, 1];
        assert_eq!(first, [&head[..], b"\x82\x86\x40\x05:path\x01/\x40\x01x\x01y"].concat()[..].to_vec());
        assert_eq!(second, [0, 0, 4, 1, 5, 0, 0, 0, 3, 0x82, 0x86, 0x80 | 63, 0x80 | 62]);
        assert_eq!(session.in_flight(), 2);
    }

    #[test]
    fn answers_come_out_in_any_pieces() {
        let mut bytes = Vec::new();
        frame(&mut bytes, kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        frame(&mut bytes, kind::HEADERS, flag::END_HEADERS, 3, &[0x20, 0x88]);
        frame(&mut bytes, kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, 1, &[0x3f, 0x81, 0x1f, 0x8d]);
        frame(&mut bytes, kind::DATA, flag::PADDED, 3, &[2, b'a', b'b', b'c', 0, 0]);
        frame(&mut bytes, kind::DATA, flag::END_STREAM, 3, b"de");
        for size in [1, 5, bytes.len()] {
            let (mut session, mut out, mut found) = (session(), Vec::new(), Vec::new());
            (1..3).for_each(|due| session.request(due, &mut out));
            out.clear();
            for piece in bytes.chunks(size) {
                session.feed(piece, &mut out, |m, due| found.push((m.status, m.body_bytes, due))).unwrap();
            }
            assert_eq!(found, [(404, 0, 1), (200, 5, 2)]);
            assert!(session.is_settled() && session.in_flight() == 0);
            assert_eq!(out, [0, 0, 0, 4, 1, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        let refuse = |kind, payload: &[u8]| {
            let mut bytes = Vec::new();
            frame(&mut bytes, kind, 0, 0, payload);
            session().feed(&bytes, &mut Vec::new(), |_, _| {}).unwrap_err()
        };
        assert_eq!(refuse(kind::RST_STREAM, &[0, 0, 0, 7]), SessionError::Reset(7));
        assert_eq!(refuse(kind::GOAWAY, &[0, 0, 0, 1, 0, 0, 0, 2]), SessionError::GoAway(2));
        let few = SessionError::Setting { setting: 3, value: 1, needed: 2 };
        assert_eq!(refuse(kind::SETTINGS, &[0, 3, 0, 0, 0, 1]), few);
        assert_eq!(refuse(kind::GOAWAY, &[]), SessionError::Frame { kind: kind::GOAWAY, length: 0 });
    }

    #[test]
    fn statuses_are_read_however_they_are_coded() {
        for (block, expect) in [
            (&[0x88][..], 200),
            (&[0x8e, 0x40], 500),
            (&[0x20, 0x48, 0x03, b'4', b'2', b'9'], 429),
            // Examples of RFC 7541, appendix C.6: 302 and 307.
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x48, 0x83, 0x64, 0x0e, 0xff], 307),
            (&[0x82], 0),
            (&[], 0),
        ] {
            assert_eq!(status(block), expect, "{block:x?}");
        }
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let mut out = Vec::new();
        string(&mut out, &"a".repeat(300));
        assert_eq!(out[..3], [127, 0xad, 1]);
        assert_eq!(out.len(), 303);
    }
}
