//! Names for requests: ids in the shapes that AWS uses, from one seeded generator per shard.

use std::fmt::Write;

use http::HeaderMap;
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use tidegate_proto::limits::TRACE_BYTES_MAX;

/// Header that carries a trace over several services.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes identities.
pub(crate) struct Generator(SmallRng);

/// The names of one request.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// A UUID, version 4.
    pub(crate) request: String,
    /// Sixteen characters that end in `=`.
    pub(crate) extended: String,
    /// The trace, kept or begun.
    pub(crate) trace: String,
}

impl Generator {
    /// A generator whose names depend on `seed` alone.
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Names a request that arrived at `time_ms`, keeping the trace its sender began.
    pub(crate) fn identify(&mut self, headers: &HeaderMap, time_ms: u64) -> Identity {
        Identity { request: self.uuid(), extended: self.extended(), trace: self.trace(headers, time_ms) }
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.0.next_u64(), self.0.next_u64());
        let mut out = String::with_capacity(36);
        let _ = write!(
            out,
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            ((low >> 48) & 0x3fff) | 0x8000,
            low & 0xffff_ffff_ffff
        );
        out
    }

    fn extended(&mut self) -> String {
        let mut random = (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
        let mut out = String::with_capacity(16);
        for _ in 0..15 {
            out.extend(BASE64.get((random % 64) as usize).map(|byte| char::from(*byte)));
            random >>= 6;
        }
        out.push('=');
        out
    }

    fn trace(&mut self, headers: &HeaderMap, time_ms: u64) -> String {
        let given = headers.get(TRACE_HEADER).and_then(|value| value.to_str().ok());
        if let Some(given) = given.filter(|given| given.len() <= TRACE_BYTES_MAX && given.contains("Root=")) {
            return given.to_owned();
        }
        let (high, low) = (self.0.next_u64() & 0xffff_ffff, self.0.next_u64());
        format!("Root=1-{:08x}-{high:08x}{low:016x}", (time_ms / 1_000) & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn shapes() {
        let mut generator = Generator::new(7);
        for _ in 0..100 {
            let identity = generator.identify(&HeaderMap::new(), 1_465_510_280_123);
            let groups: Vec<&str> = identity.request.split('-').collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(
                groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']),
                "{identity:?}"
            );
            assert!(identity.extended.len() == 16 && identity.extended.ends_with('='));
            assert!(
                identity.trace.starts_with("Root=1-5759e988-") && identity.trace.len() == 40,
                "{identity:?}"
            );
        }
    }

    #[test]
    fn traces_are_kept_when_they_are_traces() {
        let mut generator = Generator::new(7);
        for (given, kept) in [
            ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned(), true),
            ("nonsense".to_owned(), false),
            (format!("Root={}", "x".repeat(600)), false),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(TRACE_HEADER),
                HeaderValue::from_str(&given).unwrap(),
            )]);
            assert_eq!(generator.identify(&headers, 0).trace == given, kept, "{given}");
        }
    }
}
