//! A client of HTTP/2 that allocates nothing while it asks, and what its requests make the data plane allocate.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::plane::PATIENCE;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that are under way at a time.
const STREAMS: usize = 16;
/// Requests of one window.
const WINDOW: usize = 12 * STREAMS;
/// Type, flags of a whole request, and bytes of a frame's head (RFC 9113 §4.1).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const WHOLE: u8 = 5;
const END_STREAM: u8 = 1;
const HEAD_BYTES: usize = 9;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    next_stream: u32,
    /// A request with all of its fields in the table.
    block: Vec<u8>,
    out: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
}

impl Client {
    /// Connects and asks once, which puts the request's fields into the table.
    pub(crate) fn connect(gateway: SocketAddr, path: &str) -> Self {
        let fields = [
            (":authority", "api1.execute-api.local"),
            (":path", path),
            ("user-agent", "test"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer x"),
            ("x-api-key", "key-1"),
            ("x-request-id", "1"),
        ];
        // `:method: GET` and `:scheme: http` are in the static table (RFC 7541, appendix A).
        let (mut first, mut block) = (vec![0x82, 0x86], vec![0x82, 0x86]);
        for (at, (name, value)) in fields.iter().enumerate() {
            first.push(0x40);
            for text in [name, value] {
                first.push(text.len() as u8);
                first.extend_from_slice(text.as_bytes());
            }
            block.push(0x80 | (62 + fields.len() - 1 - at) as u8);
        }
        let stream = TcpStream::connect(gateway).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (out, input) = (Vec::with_capacity(64 * 1024), vec![0; 64 * 1024]);
        let mut client = Self { stream, next_stream: 1, block, out, input, filled: 0 };
        client.out.extend_from_slice(PREFACE);
        frame(&mut client.out, SETTINGS, 0, 0, &[]);
        frame(&mut client.out, WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        frame(&mut client.out, SETTINGS, 1, 0, &[]);
        client.ask(&first);
        client.stream.write_all(&client.out).unwrap();
        assert_eq!(client.await_answers(1), 1, "answered with 200");
        client
    }

    /// Asks [`STREAMS`] times at once and waits for all answers; returns how many were 200.
    pub(crate) fn round(&mut self) -> usize {
        self.out.clear();
        let block = std::mem::take(&mut self.block);
        (0..STREAMS).for_each(|_| self.ask(&block));
        self.block = block;
        self.stream.write_all(&self.out).unwrap();
        self.await_answers(STREAMS)
    }

    fn ask(&mut self, block: &[u8]) {
        frame(&mut self.out, HEADERS, WHOLE, self.next_stream, block);
        self.next_stream += 2;
    }

    fn await_answers(&mut self, answers: usize) -> usize {
        let (mut ended, mut good) = (0, 0);
        while ended < answers {
            let count = self.stream.read(&mut self.input[self.filled..]).unwrap();
            assert!(count > 0, "the connection was closed");
            self.filled += count;
            let mut at = 0;
            while let Some([l0, l1, l2, kind, flags, ..]) =
                self.input[at..self.filled].first_chunk::<HEAD_BYTES>()
            {
                let end = at + HEAD_BYTES + u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
                if end > self.filled {
                    break;
                }
                // `:status: 200` is the first field, and in the static table.
                let starts_well = self.input[at + HEAD_BYTES..end].first() == Some(&0x88);
                good += usize::from(*kind == HEADERS && starts_well);
                ended += usize::from(*kind <= HEADERS && flags & END_STREAM != 0);
                at = end;
            }
            self.input.copy_within(at..self.filled, 0);
            self.filled -= at;
        }
        good
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What a request may allocate: its stream, task, head and the answer's.
const ALLOCATIONS_MAX: usize = 20;

#[test]
fn a_proxied_request_allocates_little() {
    let fewest = super::alone(|gateway| {
        let mut client = Client::connect(gateway, "/dev/proxied/7");
        super::quietest(WINDOW, STREAMS, || assert_eq!(client.round(), STREAMS))
    });
    let each = fewest.div_ceil(WINDOW);
    assert!(each <= ALLOCATIONS_MAX, "{each}");
}
