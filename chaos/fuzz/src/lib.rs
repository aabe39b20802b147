//! Properties of the parts that read what others wrote. Each is checked on any bytes: by `chaos fuzz` on random ones, by the targets in
//! `libfuzzer` on ones that a fuzzer has found to lead somewhere new. Owns what must hold; must never draw by chance.

mod apply;
mod frames;
mod openapi;
mod router;
mod sigv4;

use arbitrary::Unstructured;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The router finds what a matcher finds that is written the slow way.
    Router,
    /// A document is refused or read; what is read can be written, and reads the same again.
    Openapi,
    /// A signature is taken exactly as it was made, and nothing else is.
    Sigv4,
    /// What was sealed opens again, and damage is noticed.
    Frames,
    /// Two replicas that apply the same log have the same state, also over a checkpoint.
    Apply,
}

/// Why bytes break a property.
pub type Fault = String;

impl Property {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Router, Self::Openapi, Self::Sigv4, Self::Frames, Self::Apply];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Openapi => "openapi",
            Self::Sigv4 => "sigv4",
            Self::Frames => "frames",
            Self::Apply => "apply",
        }
    }

    /// Bytes that are enough for a rich case.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Router | Self::Sigv4 | Self::Frames => 600,
            Self::Openapi | Self::Apply => 2_000,
        }
    }

    /// Checks it on `bytes`.
    ///
    /// # Errors
    /// What does not hold. Panics are the caller's to catch: they break every property.
    pub fn check(self, bytes: &[u8]) -> Result<(), Fault> {
        let mut chance = Unstructured::new(bytes);
        let checked = match self {
            Self::Router => router::check(&mut chance),
            Self::Openapi => openapi::check(&mut chance),
            Self::Sigv4 => sigv4::check(&mut chance),
            Self::Frames => frames::check(&mut chance),
            Self::Apply => apply::check(&mut chance),
        };
        // Bytes that are no case break nothing.
        checked.unwrap_or(Ok(()))
    }
}

/// The outcome of a case; the outer error says that the bytes are no case.
type Checked = arbitrary::Result<Result<(), Fault>>;

/// Between `least` and `most` values, each by `make`.
fn several<'a, T>(
    chance: &mut Unstructured<'a>,
    least: usize,
    most: usize,
    mut make: impl FnMut(&mut Unstructured<'a>) -> arbitrary::Result<T>,
) -> arbitrary::Result<Vec<T>> {
    let count = chance.int_in_range(least..=most)?;
    (0..count).map(|_| make(chance)).collect()
}

#[cfg(test)]
mod tests;
