//! Owns what statuses mean to a cache (RFC 9110 §15, RFC 6585).

use http::StatusCode;

/// Whether an answer with that status may be stored at all. Not those that are about the connection or the conditions of one
/// request (304, 407, 408, 412, 416, 417, 421, 425, 426) and not those for which RFC 6585 forbids it (428, 429, 431, 511).
pub(super) fn may_be_stored(status: StatusCode) -> bool {
    let depends_on_more = matches!(
        status.as_u16(),
        304 | 407 | 408 | 412 | 416 | 417 | 421 | 425 | 426 | 428 | 429 | 431 | 511
    );
    !status.is_informational() && !depends_on_more
}

/// Whether an answer with that status may be fresh without saying so (RFC 9110 §15.1).
pub(super) fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Whether this cache knows what the status asks of caches: those that RFC 9110 defines.
pub(super) fn is_known(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=206 | 300..=305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}
