//! Parts of a body: which one came, and how it becomes a larger one with what is stored (RFC 9111 §3.4).

use bytes::Bytes;
use http::{StatusCode, header};
use tidegate_cache::{
    range::{self, Joined, Part, Stored},
    update::freshen,
};
use tidegate_gateway::Response;

use crate::cache::Entry;

/// Which part of the whole body came; `None` when the answer contradicts itself.
pub(super) fn of(response: &Response, body: &Bytes) -> Option<Stored> {
    let length = body.len() as u64;
    if response.status != StatusCode::PARTIAL_CONTENT {
        return Some(Stored::whole(length));
    }
    Part::read(&response.headers).filter(|part| part.length() == length).map(|part| part.stored())
}

/// Puts a part that came and one that is stored together, where they are of the same body.
pub(super) fn join(
    old: &Entry,
    shares_cookies: bool,
    response: &mut Response,
    body: &mut Bytes,
    part: &mut Option<Stored>,
) {
    let new = part.and_then(|_| Part::read(&response.headers));
    let (Some(stored), Some(new)) = (old.part, new) else { return };
    let length = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let (joined, whole) = match range::join(&old.headers, &stored, &response.headers, &new) {
        Some(Joined::Append { kept, stored }) => {
            let first = old.body.get(..length(kept)).unwrap_or_default();
            ([first, body].concat(), stored)
        }
        Some(Joined::Prepend { skipped, stored }) => {
            let rest = old.body.get(length(skipped)..).unwrap_or_default();
            ([body, rest].concat(), stored)
        }
        Some(Joined::Replace(_)) | None => return,
    };
    let mut headers = old.headers.clone();
    freshen(&mut headers, &response.headers, shares_cookies);
    if whole.is_whole() {
        headers.remove(header::CONTENT_RANGE);
        response.status = StatusCode::OK;
    }
    (response.headers, *body, *part) = (headers, joined.into(), Some(whole));
}
