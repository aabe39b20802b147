//! Bounds on what an unauthenticated caller may make this crate work on. Owns the numbers only; the listener bounds the request itself.

/// Longest `Authorization` header value that is parsed, in bytes.
pub const AUTHORIZATION_BYTES_MAX: usize = 16 * 1024;
/// Most header lines of one request that take part in a signature.
pub const HEADERS_MAX: usize = 256;
/// Most names in `SignedHeaders`.
pub const SIGNED_HEADERS_MAX: usize = 128;
/// Most `name=value` pairs of a query string.
pub const QUERY_PAIRS_MAX: usize = 1024;
/// Longest raw path plus query string that is canonicalised, in bytes.
pub const TARGET_BYTES_MAX: usize = 64 * 1024;
/// Sum of all header values that take part in a signature, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Longest ARN that is parsed, in bytes (IAM's own ceiling is 2,048).
pub const ARN_BYTES_MAX: usize = 2048;
/// Longest life of a presigned URL, in seconds (seven days).
pub const PRESIGNED_LIFE_S_MAX: i64 = 604_800;
