//! Small damage to the bytes of a case, and the places where its client pauses. Only the generator that is handed in decides.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// Largest case that comes out, in bytes.
const BYTES_MAX: usize = 64 * 1024;
/// Bytes and texts that readers disagree on.
const TOKENS: [&[u8]; 26] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"00",
    b"-1",
    b"+",
    b"0x",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"%",
    b"/",
    b"?",
    b"#",
    b"close",
    b"chunked",
    b"\r\nContent-Length: 1",
    b"\r\nTransfer-Encoding: chunked",
];

/// Damages `bytes` in one to three places.
pub(crate) fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=3) {
        once(random, bytes);
    }
    bytes.truncate(BYTES_MAX);
}

fn once(random: &mut StdRng, bytes: &mut Vec<u8>) {
    let at = place(random, bytes);
    let length = bytes.len();
    let until = (at + random.random_range(1..=8)).min(length);
    match random.random_range(0..7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.random();
            }
        }
        2 => _ = bytes.drain(at..until),
        3 => {
            let copy = bytes.get(at..until).unwrap_or_default().to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            // A line again, somewhere else.
            let end =
                bytes.iter().skip(at).position(|byte| *byte == b'\n').map_or(length, |end| at + end + 1);
            let line = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = place(random, bytes);
            bytes.splice(to..to, line);
        }
        _ => {
            let token = TOKENS.choose(random).copied().unwrap_or_default();
            let replaced = if random.random() { at } else { (at + token.len()).min(length) };
            bytes.splice(at..replaced, token.iter().copied());
        }
    }
}

/// Somewhere; rather where a line begins or ends than inside a body.
fn place(random: &mut StdRng, bytes: &[u8]) -> usize {
    let anywhere = random.random_range(0..=bytes.len());
    if random.random_range(0..3) == 0 {
        return anywhere;
    }
    let ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let near = ends.choose(random).map_or(anywhere, |end| end + random.random_range(0..24));
    near.saturating_sub(random.random_range(0..4)).min(bytes.len())
}

/// Where the client pauses: mostly nowhere, else in a few places, rather at the ends of lines.
pub(crate) fn cuts(random: &mut StdRng, bytes: &[u8]) -> Vec<usize> {
    let count = *[0, 0, 0, 1, 1, 2, 3].choose(random).unwrap_or(&0);
    let mut cuts: Vec<usize> = (0..count).map(|_| place(random, bytes)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}
