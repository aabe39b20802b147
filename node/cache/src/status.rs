//! Owns what this cache says about itself in Cache-Status (RFC 9211). Must never be asked what to do.

use std::fmt::Arguments;
use std::io::Write;

/// The largest number of a structured field.
const INTEGER_MAX: i64 = 999_999_999_999_999;
/// The name under which this cache speaks.
pub const NAME: &str = "tidegate";

/// What the cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It gave a stored answer without asking the origin (§2.1).
    Hit {
        /// Seconds for which the answer stays fresh; negative if it is stale (§2.4).
        ttl_s: i64,
    },
    /// It asked the origin (§2.2).
    Forwarded {
        /// Why.
        reason: Reason,
        /// Status with which the origin answered, if it is not the one that the client gets (§2.3).
        status: Option<u16>,
        /// Seconds for which the answer stays fresh, if it was stored.
        ttl_s: Option<i64>,
        /// Whether the answer was stored (§2.5).
        stored: bool,
        /// Whether the request waited for the answer to another one (§2.6).
        collapsed: bool,
        /// A word that says more (§2.8): a token.
        detail: Option<&'static str>,
    },
}

/// Why the origin was asked (§2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// This cache is not to be used for the request.
    Bypass,
    /// The method is never answered from a cache.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is stored, but not for what the headers of the request select.
    VaryMiss,
    /// Nothing is stored that could be used.
    Miss,
    /// The request demanded it although the stored answer is fresh.
    Request,
    /// The stored answer is stale.
    Stale,
    /// Only a part of what is asked for is stored.
    Partial,
}

impl Reason {
    /// The token of RFC 9211.
    pub fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl Told {
    /// That the origin was asked, and nothing else.
    pub fn forwarded(reason: Reason) -> Self {
        Self::Forwarded { reason, status: None, ttl_s: None, stored: false, collapsed: false, detail: None }
    }

    /// Appends the member of the list that is a Cache-Status header (§2).
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, format_args!("{NAME}"));
        match *self {
            Self::Hit { ttl_s } => put(out, format_args!("; hit; ttl={}", integer(ttl_s))),
            Self::Forwarded { reason, status, ttl_s, stored, collapsed, detail } => {
                put(out, format_args!("; fwd={}", reason.token()));
                if let Some(status) = status {
                    put(out, format_args!("; fwd-status={status}"));
                }
                if let Some(ttl_s) = ttl_s {
                    put(out, format_args!("; ttl={}", integer(ttl_s)));
                }
                if stored {
                    put(out, format_args!("; stored"));
                }
                if collapsed {
                    put(out, format_args!("; collapsed"));
                }
                if let Some(detail) = detail {
                    put(out, format_args!("; detail={detail}"));
                }
            }
        }
    }
}

/// A number that a structured field can hold (RFC 8941 §3.3.1).
fn integer(number: i64) -> i64 {
    number.clamp(-INTEGER_MAX, INTEGER_MAX)
}

fn put(out: &mut Vec<u8>, text: Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_written() {
        let forwarded = |reason, status, stored, collapsed| Told::Forwarded {
            reason,
            status,
            ttl_s: None,
            stored,
            collapsed,
            detail: None,
        };
        for (told, expect) in [
            (Told::Hit { ttl_s: 30 }, "tidegate; hit; ttl=30"),
            (Told::Hit { ttl_s: -412 }, "tidegate; hit; ttl=-412"),
            (Told::Hit { ttl_s: i64::MIN }, "tidegate; hit; ttl=-999999999999999"),
            (forwarded(Reason::Miss, None, true, true), "tidegate; fwd=miss; stored; collapsed"),
            (forwarded(Reason::Stale, Some(304), false, false), "tidegate; fwd=stale; fwd-status=304"),
            (Told::forwarded(Reason::Bypass), "tidegate; fwd=bypass"),
            (
                Told::Forwarded {
                    reason: Reason::UriMiss,
                    status: Some(200),
                    ttl_s: Some(60),
                    stored: true,
                    collapsed: false,
                    detail: Some("set_cookie"),
                },
                "tidegate; fwd=uri-miss; fwd-status=200; ttl=60; stored; detail=set_cookie",
            ),
        ] {
            let mut out = Vec::new();
            told.write(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expect);
        }
    }

    #[test]
    fn reasons_are_tokens() {
        let all = [
            Reason::Bypass,
            Reason::Method,
            Reason::UriMiss,
            Reason::VaryMiss,
            Reason::Miss,
            Reason::Request,
            Reason::Stale,
            Reason::Partial,
        ];
        for reason in all {
            let mut out = Vec::new();
            Told::forwarded(reason).write(&mut out);
            let text = String::from_utf8(out).expect("text");
            let parser = sfv::Parser::new(&text);
            assert!(parser.parse_list_with_visitor(sfv::visitor::Ignored).is_ok(), "{text}");
        }
    }
}
