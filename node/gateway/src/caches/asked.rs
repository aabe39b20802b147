//! What a request says to caches, before anything is looked up.

use http::{HeaderMap, header};
use tidegate_proto::{
    compiled::caches::RefreshV1,
    field::{Field, Known},
};

use super::Rule;

/// Name of the header by which a request asks what the cache did; its value does not matter.
const STATUS_ASKED: &str = "x-tidegate-cache-status";

/// What a request asks of the cache of its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A stored answer will do.
    Stored,
    /// The stored answer shall be replaced. AWS: `Cache-Control: max-age=0`.
    Refresh,
    /// Its answer is its own: it is neither looked for nor stored.
    Own,
}

/// Whether a head says nothing to caches, so that a stored answer is its answer as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plainness {
    is_odd: bool,
}

impl Plainness {
    /// Looks at one line of a head.
    #[inline]
    pub fn see(&mut self, field: &Field<'_>) {
        self.is_odd |= matches!(field.known, Known::Conditional | Known::Credentials);
    }

    /// Whether a stored answer is the answer.
    pub fn is_plain(self) -> bool {
        !self.is_odd
    }
}

impl Rule {
    /// What a request asks for. Answers to callers that show credentials are theirs alone, unless the credentials are part of the
    /// key; HTTP has rules of its own for them (RFC 9111 §3.5).
    pub fn asked(&self, headers: &HeaderMap) -> Asked {
        if self.is_http() {
            return Asked::Stored;
        }
        let is_own =
            |name: &header::HeaderName| headers.contains_key(name) && !self.has_header(name.as_str());
        if asks_for_refresh(headers) {
            return Asked::Refresh;
        }
        if is_own(&header::AUTHORIZATION) || is_own(&header::COOKIE) { Asked::Own } else { Asked::Stored }
    }

    /// Whether the answer says what the cache did.
    pub fn tells(&self, headers: &HeaderMap) -> bool {
        self.tells_always || headers.contains_key(STATUS_ASKED)
    }

    /// Whether only signed callers may have a stored answer replaced.
    pub fn needs_signature(&self) -> bool {
        self.refresh != RefreshV1::Anyone
    }
}

fn asks_for_refresh(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case("max-age=0"))
}
