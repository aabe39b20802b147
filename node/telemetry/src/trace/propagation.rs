//! Trace headers in and out: W3C `traceparent` and AWS `X-Amzn-Trace-Id`. Pure: identifiers and time are arguments.

use std::fmt;

use crate::limits::TRACE_HEADER_BYTES_MAX;

/// A position in a trace (W3C Trace Context, version 00).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    /// Never zero.
    pub trace_id: u128,
    /// The caller's span; never zero.
    pub parent_id: u64,
    /// Whether the caller records this trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent` value; `None` for anything the specification tells to ignore. Later versions are read by the
    /// fields they share with version 00.
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > TRACE_HEADER_BYTES_MAX {
            return None;
        }
        let mut parts = value.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace_id == 0 || parent_id == 0 {
            return None;
        }
        Some(Self { trace_id, parent_id, is_sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, parent_id, is_sampled } = self;
        write!(formatter, "00-{trace_id:032x}-{parent_id:016x}-{:02x}", u8::from(*is_sampled))
    }
}

/// An AWS trace header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AmznTraceId {
    /// Seconds since 1970 when the trace began: the first 8 digits of the root.
    pub epoch_s: u32,
    /// The other 24 digits, 96 bits.
    pub unique: u128,
    /// `Parent`, when there is one.
    pub parent_id: Option<u64>,
    /// `Sampled`; `None` when absent or left to the receiver (`?`).
    pub is_sampled: Option<bool>,
}

const UNIQUE_MASK: u128 = (1 << 96) - 1;

impl AmznTraceId {
    /// A new root from random bits and the time.
    pub fn generate(random: u128, epoch_s: u32) -> Self {
        Self { epoch_s, unique: random & UNIQUE_MASK, parent_id: None, is_sampled: None }
    }

    /// Reads `Root=1-8hex-24hex[;Parent=16hex][;Sampled=0|1|?]`; unknown fields are skipped, `None` without a valid root.
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > TRACE_HEADER_BYTES_MAX {
            return None;
        }
        let (mut root, mut parent_id, mut is_sampled) = (None, None, None);
        for field in value.split(';') {
            let Some((name, value)) = field.trim().split_once('=') else { continue };
            match name {
                "Root" => {
                    let (epoch, unique) = value.strip_prefix("1-")?.split_once('-')?;
                    root = Some((u32::try_from(hex(epoch, 8)?).ok()?, hex(unique, 24)?));
                }
                "Parent" => parent_id = Some(u64::try_from(hex(value, 16)?).ok()?),
                "Sampled" => {
                    is_sampled = match value {
                        "0" => Some(false),
                        "1" => Some(true),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
        let (epoch_s, unique) = root?;
        Some(Self { epoch_s, unique, parent_id, is_sampled })
    }

    /// The W3C trace id of the same trace.
    pub fn trace_id(&self) -> u128 {
        (u128::from(self.epoch_s) << 96) | self.unique
    }

    /// The AWS form of a W3C position.
    pub fn from_parent(parent: &TraceParent) -> Self {
        Self {
            // The top 32 bits of 128 always fit.
            epoch_s: u32::try_from(parent.trace_id >> 96).unwrap_or_default(),
            unique: parent.trace_id & UNIQUE_MASK,
            parent_id: Some(parent.parent_id),
            is_sampled: Some(parent.is_sampled),
        }
    }
}

impl fmt::Display for AmznTraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Root=1-{:08x}-{:024x}", self.epoch_s, self.unique)?;
        if let Some(parent_id) = self.parent_id {
            write!(formatter, ";Parent={parent_id:016x}")?;
        }
        if let Some(is_sampled) = self.is_sampled {
            write!(formatter, ";Sampled={}", u8::from(is_sampled))?;
        }
        Ok(())
    }
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_plain = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_plain { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn traceparent_is_read_and_written() {
        let value = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let parent = TraceParent::parse(&value).unwrap();
        assert_eq!((parent.parent_id, parent.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(parent.to_string(), value);
        let later = TraceParent::parse(&format!("cc-{TRACE}-00f067aa0ba902b7-00-what-comes")).unwrap();
        assert!(!later.is_sampled);
    }

    #[test]
    fn bad_traceparents_are_ignored() {
        for value in [
            String::new(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01").repeat(20),
        ] {
            assert_eq!(TraceParent::parse(&value), None, "{value}");
        }
    }

    #[test]
    fn amazon_trace_ids_are_read_and_written() {
        let value = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let id = AmznTraceId::parse(value).unwrap();
        assert_eq!((id.epoch_s, id.is_sampled), (0x5759_e988, Some(true)));
        assert_eq!(id.to_string(), value);
        assert_eq!(format!("{:032x}", id.trace_id()), "5759e988bd862e3fe1be46a994272793");
        let open =
            AmznTraceId::parse("Self=1-x; Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?").unwrap();
        assert_eq!((open.parent_id, open.is_sampled), (None, None));
        let made = AmznTraceId::generate(u128::MAX, 0x1234_5678);
        assert_eq!(made.to_string(), format!("Root=1-12345678-{}", "f".repeat(24)));
        assert_eq!(AmznTraceId::parse(&made.to_string()), Some(made));
    }

    #[test]
    fn bad_amazon_trace_ids_are_ignored() {
        for value in [
            "",
            "Root=1-5759e988",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e98-bd862e3fe1be46a994272793",
            "Parent=53995c3f42cd8ad8",
        ] {
            assert_eq!(AmznTraceId::parse(value), None, "{value}");
        }
    }

    #[test]
    fn both_forms_name_the_same_trace() {
        let parent = TraceParent::parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(AmznTraceId::from_parent(&parent).trace_id(), parent.trace_id);
    }
}
