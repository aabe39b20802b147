//! Finds the end of a chunked body and refuses every spelling that readers disagree on (RFC 9112 §7.1).
//! Pure: it is fed bytes in any split and keeps only its place.

use thiserror::Error;

use crate::head::is_token;
use crate::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ChunkError {
    /// The size is missing, signed, prefixed, padded or too long.
    #[error("invalid chunk size")]
    Size,
    /// A line or chunk does not end in CRLF.
    #[error("a chunk does not end in CRLF")]
    LineEnd,
    /// Control characters in, or too many bytes of, chunk extensions.
    #[error("invalid chunk extension")]
    Extension,
    /// A malformed or too long trailer section.
    #[error("invalid trailer section")]
    Trailer,
}

/// How much of the fed bytes belongs to the body, and whether it is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scanned {
    pub(crate) used: usize,
    pub(crate) complete: bool,
}

/// What [`ChunkScanner::decode`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decoded {
    /// Bytes of the input that belong to the body.
    pub used: usize,
    /// Bytes of data, now at the start of the input.
    pub data: usize,
    /// Whether the body has ended.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Size { digits: usize },
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Complete,
}

/// The place in one chunked body.
#[derive(Clone, Debug)]
pub struct ChunkScanner {
    place: Place,
    remaining: u64,
    line_bytes: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl Default for ChunkScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkScanner {
    /// Before the first byte.
    pub fn new() -> Self {
        Self {
            place: Place::Size { digits: 0 },
            remaining: 0,
            line_bytes: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }

    /// Reads on; `used` is smaller than the input only when the body is complete.
    pub(crate) fn scan(&mut self, input: &[u8]) -> Result<Scanned, ChunkError> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            if matches!(self.place, Place::Data) {
                let available = (input.len() - used) as u64;
                let step = available.min(self.remaining);
                self.remaining -= step;
                used += step as usize;
                if self.remaining == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            self.place = self.step(byte)?;
            used += 1;
            if matches!(self.place, Place::Complete) {
                return Ok(Scanned { used, complete: true });
            }
        }
        Ok(Scanned { used, complete: false })
    }

    /// Reads on and moves the data to the start of `input`, without the lines around it.
    ///
    /// # Errors
    /// The first rule of RFC 9112 §7.1 that the bytes break.
    pub fn decode(&mut self, input: &mut [u8]) -> Result<Decoded, ChunkError> {
        let (mut used, mut data) = (0, 0);
        while let Some(&byte) = input.get(used) {
            if !matches!(self.place, Place::Data) {
                self.place = self.step(byte)?;
                used += 1;
                if matches!(self.place, Place::Complete) {
                    return Ok(Decoded { used, data, complete: true });
                }
                continue;
            }
            let available = (input.len() - used) as u64;
            let step = available.min(self.remaining);
            self.remaining -= step;
            let step = step as usize;
            input.copy_within(used..used + step, data);
            (used, data) = (used + step, data + step);
            if self.remaining == 0 {
                self.place = Place::DataCr;
            }
        }
        Ok(Decoded { used, data, complete: false })
    }

    fn step(&mut self, byte: u8) -> Result<Place, ChunkError> {
        match (self.place, byte) {
            (Place::Size { .. } | Place::Extension | Place::SizeEnd, _) => self.size_line(byte),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => {
                (self.line_bytes, self.remaining) = (0, 0);
                Ok(Place::Size { digits: 0 })
            }
            (Place::DataCr | Place::DataLf, _) => Err(ChunkError::LineEnd),
            (
                Place::TrailerStart
                | Place::TrailerName
                | Place::TrailerValue
                | Place::TrailerEnd
                | Place::LastEnd,
                _,
            ) => self.trailer(byte),
            (Place::Data | Place::Complete, _) => Ok(self.place),
        }
    }

    fn size_line(&mut self, byte: u8) -> Result<Place, ChunkError> {
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_BYTES_MAX {
            return Err(ChunkError::Extension);
        }
        match (self.place, byte) {
            (Place::Size { digits }, _) if byte.is_ascii_hexdigit() && digits < CHUNK_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.remaining = self.remaining * 16 + u64::from(digit);
                Ok(Place::Size { digits: digits + 1 })
            }
            (Place::Size { digits: 1.. }, b';') => Ok(Place::Extension),
            (Place::Size { digits: 1.. }, b'\r') | (Place::Extension, b'\r') => Ok(Place::SizeEnd),
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
                    return Err(ChunkError::Extension);
                }
                Ok(Place::Extension)
            }
            (Place::Extension, _) => Err(ChunkError::Extension),
            (Place::SizeEnd, b'\n') if self.remaining == 0 => Ok(Place::TrailerStart),
            (Place::SizeEnd, b'\n') => Ok(Place::Data),
            (Place::SizeEnd, _) => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Size),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<Place, ChunkError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::Trailer);
        }
        match (self.place, byte) {
            (Place::TrailerStart, b'\r') => Ok(Place::LastEnd),
            (Place::LastEnd, b'\n') => Ok(Place::Complete),
            (Place::TrailerName, b':') => Ok(Place::TrailerValue),
            (Place::TrailerStart | Place::TrailerName, _) if is_token(byte) => Ok(Place::TrailerName),
            (Place::TrailerValue, b'\r') => Ok(Place::TrailerEnd),
            (Place::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(Place::TrailerValue),
            (Place::TrailerEnd, b'\n') => Ok(Place::TrailerStart),
            (Place::TrailerEnd | Place::LastEnd, _) => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Trailer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the body in pieces of `step` bytes; the answer must not depend on the split.
    fn end_of(body: &[u8], step: usize) -> Result<Option<usize>, ChunkError> {
        let (mut scanner, mut total) = (ChunkScanner::new(), 0);
        for piece in body.chunks(step) {
            let scanned = scanner.scan(piece)?;
            total += scanned.used;
            if scanned.complete {
                return Ok(Some(total));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_end_is_found_in_any_split() {
        let cases: [(&str, Result<Option<usize>, ChunkError>); 24] = [
            ("0\r\n\r\n", Ok(Some(5))),
            ("0\r\n\r\nGET / HTTP/1.1", Ok(Some(5))),
            ("3\r\nabc\r\n0\r\n\r\n", Ok(Some(13))),
            ("00A\r\n0123456789\r\n0\r\n\r\nrest", Ok(Some(22))),
            ("1;name=\"v\"\r\nx\r\n0;end\r\n\r\n", Ok(Some(24))),
            ("0\r\nX-Sum: 1\r\nY:\r\n\r\n", Ok(Some(19))),
            ("3\r\nab", Ok(None)),
            ("\r\n", Err(ChunkError::Size)),
            ("g\r\n", Err(ChunkError::Size)),
            ("+1\r\n", Err(ChunkError::Size)),
            ("-1\r\n", Err(ChunkError::Size)),
            ("0x1\r\n", Err(ChunkError::Size)),
            (" 1\r\n", Err(ChunkError::Size)),
            ("1 \r\n", Err(ChunkError::Size)),
            ("1 ;x\r\n", Err(ChunkError::Size)),
            ("1\nx\r\n", Err(ChunkError::Size)),
            ("1\r\rx", Err(ChunkError::LineEnd)),
            ("1\r\nxy\r\n", Err(ChunkError::LineEnd)),
            ("1\r\nx\n0\r\n\r\n", Err(ChunkError::LineEnd)),
            ("1;a\nb\r\nx\r\n", Err(ChunkError::Extension)),
            ("fffffffffffffffff\r\n", Err(ChunkError::Size)),
            ("0\r\nbad name: 1\r\n\r\n", Err(ChunkError::Trailer)),
            ("0\r\nx: 1\n\r\n", Err(ChunkError::Trailer)),
            ("0\r\n\rx", Err(ChunkError::LineEnd)),
        ];
        for (body, expected) in cases {
            for step in [1, 2, 3, 7, 1_000] {
                assert_eq!(end_of(body.as_bytes(), step), expected, "{body:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn data_moves_to_the_front_in_any_split() {
        let body = b"3\r\nabc\r\n1;x=y\r\nd\r\n5\r\nefghi\r\n0\r\nT: 1\r\n\r\nnext";
        for step in 1..body.len() {
            let (mut scanner, mut text, mut total) = (ChunkScanner::new(), Vec::new(), 0);
            for piece in body.chunks(step) {
                let mut piece = piece.to_vec();
                let decoded = scanner.decode(&mut piece).unwrap();
                text.extend_from_slice(&piece[..decoded.data]);
                total += decoded.used;
                if decoded.complete {
                    break;
                }
            }
            assert_eq!((text.as_slice(), total), (&b"abcdefghi"[..], body.len() - 4), "in pieces of {step}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = format!("1;{}\r\nx\r\n", "e".repeat(CHUNK_LINE_BYTES_MAX));
        assert_eq!(end_of(long.as_bytes(), 64), Err(ChunkError::Extension));
        let many = format!("1;{}\r\nx\r\n", "e".repeat(100)).repeat(CHUNK_EXTENSION_BYTES_MAX / 100 + 1);
        assert_eq!(end_of(many.as_bytes(), 64), Err(ChunkError::Extension));
        let trailer = format!("0\r\nx: {}\r\n\r\n", "t".repeat(TRAILER_BYTES_MAX));
        assert_eq!(end_of(trailer.as_bytes(), 64), Err(ChunkError::Trailer));
    }
}
