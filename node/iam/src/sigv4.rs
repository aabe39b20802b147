//! Signature Version 4, both sides and both forms (header, query). Owns the types at the seam; must never see a request other than as the client sent it.
//!
//! A server calls [`parse`], looks the key up by (access key, session token), and calls [`verify`]. When the key is unknown it calls
//! [`check`] first, so that a wrong clock or scope is reported before a wrong key, which is AWS's order. A client calls [`sign`] or [`presign`].

mod canonical;
mod clock;
mod digest;
mod present;
mod refusal;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use digest::{SigningKey, payload_sha256_hex, sha256};
pub use present::{Form, Presented, parse};
pub use refusal::{Dialect, Incomplete, Invalid, Refusal};
pub use sign::{SignOptions, presign, sign};
pub use verify::{Body, PayloadHash, Rules, Verified, check, verify, verify_with_key};

/// The only algorithm: SigV4 with HMAC-SHA256.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last element of every credential scope.
pub const TERMINATOR: &str = "aws4_request";
/// Payload hash of a request whose body is not covered by the signature (an S3 convention).
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of the empty body, in lower-case hex.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A long-lived or temporary key, as its owner holds it.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// `AKIA…` (long-lived) or `ASIA…` (temporary).
    pub access_key_id: &'a str,
    /// The shared secret; never printed.
    pub secret_access_key: &'a str,
    /// Present exactly for temporary keys.
    pub session_token: Option<&'a str>,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What a signature is good for: one day, one region, one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `YYYYMMDD`, UTC.
    pub date: String,
    /// For example `eu-west-1`; `us-east-1` for IAM.
    pub region: String,
    /// For example `execute-api`.
    pub service: String,
}

/// A request exactly as it was received: nothing decoded, stripped, mapped or added.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Upper-case method.
    pub method: &'a str,
    /// Raw path of the request target, percent escapes intact.
    pub path: &'a str,
    /// Raw query without the question mark.
    pub query: &'a str,
    /// Header lines in arrival order, names in any case; `:authority` may stand for `host`.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// How a service canonicalises the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRules {
    /// Remove dot segments and doubled slashes.
    pub normalize: bool,
    /// Percent-encode the already encoded path once more.
    pub double_encode: bool,
}

impl PathRules {
    /// S3 does neither, every other service both.
    #[must_use]
    pub fn for_service(service: &str) -> Self {
        let both = !matches!(service, "s3" | "s3-object-lambda" | "s3express");
        Self { normalize: both, double_encode: both }
    }
}
