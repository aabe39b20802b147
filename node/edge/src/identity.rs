//! Names for requests: ids in the shapes that AWS uses, from one seeded generator per shard. No allocation: they have fixed
//! lengths.

use http::HeaderMap;
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use tidegate_proto::limits::TRACE_BYTES_MAX;

/// Header that carries a trace over several services.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";

/// ASCII text of a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes identities.
pub(crate) struct Generator(SmallRng);

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([b' '; N])
    }
}

/// What stands between the two ids in the head of an answer.
const BETWEEN: &[u8; 18] = b"\r\nx-amz-apigw-id: ";

/// The names of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// Both ids as they stand in an answer, one copy for both.
    ids: Text<70>,
    /// A trace that begins here, for a request that brings none.
    pub(crate) root: Text<40>,
}

impl Identity {
    /// The id of the request.
    pub(crate) fn request(&self) -> &[u8] {
        self.ids.0.get(..36).unwrap_or_default()
    }

    /// The id that AWS calls extended.
    pub(crate) fn extended(&self) -> &[u8] {
        self.ids.0.get(54..).unwrap_or_default()
    }

    /// The id of the request, the line between, and the extended one: as an answer says them.
    pub(crate) fn ids(&self) -> &[u8] {
        self.ids.as_bytes()
    }
}

impl Generator {
    /// A generator whose names depend on `seed` alone.
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Names a request that arrived at `time_ms`.
    pub(crate) fn identify(&mut self, time_ms: u64) -> Identity {
        let mut ids = [0; 70];
        ids[..36].copy_from_slice(&self.uuid());
        ids[36..54].copy_from_slice(BETWEEN);
        ids[54..].copy_from_slice(&self.extended());
        Identity { ids: Text(ids), root: self.root(time_ms) }
    }

    /// A UUID, version 4.
    fn uuid(&mut self) -> [u8; 36] {
        let (high, low) = (self.0.next_u64(), self.0.next_u64());
        let (high, low) = (hex(high & !0xf000 | 0x4000), hex(low & !(0b11 << 62) | 1 << 63));
        let mut text = [b'-'; 36];
        text[..8].copy_from_slice(&high[..8]);
        text[9..13].copy_from_slice(&high[8..12]);
        text[14..18].copy_from_slice(&high[12..]);
        text[19..23].copy_from_slice(&low[..4]);
        text[24..].copy_from_slice(&low[4..]);
        text
    }

    /// Sixteen characters that end in `=`.
    fn extended(&mut self) -> [u8; 16] {
        let mut text = [b'='; 16];
        text[..8].copy_from_slice(&base64(self.0.next_u64()));
        text[8..15].copy_from_slice(&base64(self.0.next_u64())[..7]);
        text
    }

    fn root(&mut self, time_ms: u64) -> Text<40> {
        let mut text = *b"Root=1-        -                        ";
        text[7..15].copy_from_slice(&hex(time_ms / 1_000)[8..]);
        text[16..24].copy_from_slice(&hex(self.0.next_u64())[8..]);
        text[24..].copy_from_slice(&hex(self.0.next_u64()));
        Text(text)
    }
}

/// Sixteen hexadecimal digits, all computed at once: a digit per byte of one word.
fn hex(number: u64) -> [u8; 16] {
    let half = |half: u64| {
        // Spreads eight nibbles over eight bytes, the highest first in memory.
        let pairs = (half & 0xffff_0000) << 16 | half & 0xffff;
        let bytes = (pairs & 0x0000_ff00_0000_ff00) << 8 | pairs & 0x0000_00ff_0000_00ff;
        let nibbles = (bytes & 0x00f0_00f0_00f0_00f0) << 4 | bytes & 0x000f_000f_000f_000f;
        let is_letter = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
        (nibbles + 0x3030_3030_3030_3030 + is_letter * 0x27).to_be_bytes()
    };
    let mut text = [0; 16];
    text[..8].copy_from_slice(&half(number >> 32));
    text[8..].copy_from_slice(&half(number & 0xffff_ffff));
    text
}

/// Eight characters of the URL-safe alphabet (RFC 4648 §5), all computed at once: one for the lower six bits of each byte.
fn base64(number: u64) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let values = number & (EACH * 63);
    let from = |least: u64| (values + EACH * (128 - least)) >> 7 & EACH;
    // Where the alphabet goes on with another row of ASCII, later characters are so much further or nearer.
    let raised = values + EACH * u64::from(b'A') + from(26) * 6 + from(63) * 49;
    (raised - from(52) * 75 - from(62) * 13).to_le_bytes()
}

/// The trace that the sender of a request began.
pub(crate) fn kept_trace(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(TRACE_HEADER).and_then(|value| value.to_str().ok());
    given.filter(|given| given.len() <= TRACE_BYTES_MAX && given.contains("Root="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn hex_is_what_the_formatter_writes() {
        let mut random = SmallRng::seed_from_u64(1);
        for number in [0, 9, 10, 0xffff, u64::MAX, 0x0123_4567_89ab_cdef]
            .into_iter()
            .chain((0..200).map(|_| random.next_u64()))
        {
            assert_eq!(std::str::from_utf8(&hex(number)).unwrap(), format!("{number:016x}"));
        }
    }

    #[test]
    fn base64_is_the_alphabet() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for at in 0..=u64::from(u8::MAX) {
            let expected = [alphabet[at as usize % 64], b'A', b'A', b'A', b'A', b'A', b'A', b'_'];
            assert_eq!(base64(at | 0xff << 56), expected, "{at}");
        }
    }

    #[test]
    fn shapes() {
        let mut generator = Generator::new(7);
        for _ in 0..100 {
            let identity = generator.identify(1_465_510_280_123);
            let request = std::str::from_utf8(identity.request()).unwrap();
            let groups: Vec<&str> = request.split('-').collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(
                groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']),
                "{identity:?}"
            );
            assert!(identity.extended().ends_with(b"="));
            assert!(
                identity.root.as_str().starts_with("Root=1-5759e988-")
                    && !identity.root.as_str().contains(' '),
                "{identity:?}"
            );
        }
    }

    #[test]
    fn traces_are_kept_when_they_are_traces() {
        for (given, kept) in [
            ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned(), true),
            ("nonsense".to_owned(), false),
            (format!("Root={}", "x".repeat(600)), false),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(TRACE_HEADER),
                HeaderValue::from_str(&given).unwrap(),
            )]);
            assert_eq!(kept_trace(&headers).is_some(), kept, "{given}");
        }
    }
}
