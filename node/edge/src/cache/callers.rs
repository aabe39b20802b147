//! Who may have stored answers replaced: the question as the cache asks it. Must never know a key.

use http::request::Parts;

/// Knows the callers of the account.
pub trait Callers: Send + Sync + 'static {
    /// Whether a request without a body is signed by one of them, at `now_s` seconds since 1970.
    fn is_signed(&self, head: &Parts, now_s: i64) -> bool;
}
