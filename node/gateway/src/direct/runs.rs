//! Copies header lines from one head into another in runs: neighbours that stay are copied together.

use super::NotDirect;

/// One more than the longest header name that any rule knows; longer ones pass.
const KNOWN_BYTES_MAX: usize = 26;

/// A copy in progress.
pub(super) struct Runs<'r, 'o> {
    raw: &'r [u8],
    fields: &'r [httparse::Header<'r>],
    /// Start of the lines that stay and are not copied yet.
    pending: usize,
    pub(super) out: &'o mut Vec<u8>,
}

impl<'r, 'o> Runs<'r, 'o> {
    /// Begins before the first header line.
    pub(super) fn begin(raw: &'r [u8], fields: &'r [httparse::Header<'r>], out: &'o mut Vec<u8>) -> Self {
        let mut runs = Self { raw, fields, pending: 0, out };
        runs.pending = runs.start(0);
        runs
    }

    /// Leaves out line `index`; what stays before it is copied.
    pub(super) fn skip(&mut self, index: usize) -> Result<(), NotDirect> {
        self.copy_to(self.start(index))?;
        self.pending = self.start(index + 1);
        Ok(())
    }

    /// Copies up to line `index`, so that something can be put before it.
    pub(super) fn pause(&mut self, index: usize) -> Result<(), NotDirect> {
        let start = self.start(index);
        self.copy_to(start)?;
        self.pending = start;
        Ok(())
    }

    /// Copies the rest.
    pub(super) fn finish(mut self) -> Result<(), NotDirect> {
        self.copy_to(self.end())
    }

    fn copy_to(&mut self, end: usize) -> Result<(), NotDirect> {
        self.out.extend_from_slice(self.raw.get(self.pending..end).ok_or(NotDirect)?);
        Ok(())
    }

    /// Where line `index` starts; past the last line, where the lines end.
    fn start(&self, index: usize) -> usize {
        let place = |field: &httparse::Header<'_>| {
            (field.name.as_ptr() as usize).wrapping_sub(self.raw.as_ptr() as usize)
        };
        self.fields.get(index).map_or_else(|| self.end(), place)
    }

    /// Before the empty line that closes the head.
    fn end(&self) -> usize {
        self.raw.len().saturating_sub(2)
    }
}

/// First letters of the names that some rule knows, one bit each, by length: most names are passed with one look.
const KNOWN: [u32; KNOWN_BYTES_MAX] = {
    const NAMES: [&str; 29] = [
        "accept",
        "connection",
        "content-encoding",
        "content-length",
        "content-md5",
        "date",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "www-authenticate",
        "x-amz-apigw-id",
        "x-amzn-apigateway-api-id",
        "x-amzn-errortype",
        "x-amzn-requestid",
        "x-amzn-trace-id",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-http-method-override",
        "proxy-authenticate",
    ];
    let mut known = [0; KNOWN_BYTES_MAX];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].as_bytes();
        known[name.len()] |= letter(name[0]);
        at += 1;
    }
    known
};

const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// A header name in lower case, without allocation; empty when no rule can know it.
pub(super) struct LowerName {
    bytes: [u8; KNOWN_BYTES_MAX],
    length: usize,
}

impl LowerName {
    pub(super) fn of(name: &str) -> Self {
        let mut lower = Self { bytes: [0; KNOWN_BYTES_MAX], length: 0 };
        let first = name.bytes().next().unwrap_or_default();
        let known = KNOWN.get(name.len()).copied().unwrap_or_default();
        if known & letter(first) != 0 {
            for (place, byte) in lower.bytes.iter_mut().zip(name.bytes()) {
                *place = byte.to_ascii_lowercase();
            }
            lower.length = name.len();
        } else if first | 0x20 == b'p'
            && name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("proxy-"))
        {
            // The one family that goes by its first letters.
            lower.bytes[..6].copy_from_slice(b"proxy-");
            lower.length = 6;
        }
        lower
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Appends a number in decimal.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut left) = ([0; 20], 20, number);
    loop {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}
