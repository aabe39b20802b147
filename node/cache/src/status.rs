//! Owns what this cache says about itself in Cache-Status (RFC 9211). Must never be asked what to do.

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

    /// Appends the member of the list that is a Cache-Status header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        put(NAME);
        match self {
            Self::Hit { ttl_s } => put(&format!("; hit; ttl={ttl_s}")),
            Self::Forwarded { reason, status, ttl_s, stored, collapsed, detail } => {
                put("; fwd=");
                put(reason.token());
                if let Some(status) = status {
                    put(&format!("; fwd-status={status}"));
                }
                if let Some(ttl_s) = ttl_s {
                    put(&format!("; ttl={ttl_s}"));
                }
                if *stored {
                    put("; stored");
                }
                if *collapsed {
                    put("; collapsed");
                }
                if let Some(detail) = detail {
                    put("; detail=");
                    put(detail);
                }
            }
        }
    }
}
