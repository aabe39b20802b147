//! A stored answer as one request gets it: the whole, a part, or that nothing changed (RFC 9110 §13, §14). Must never change what is stored.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tidegate_cache::{
    condition::{belongs_to_not_modified, not_modified},
    range::{self, Part, Resolved},
};
use tidegate_gateway::{Request, Response, ResponseBody};

use super::Entry;
use crate::integrate::Answer;

/// The answer, with its age where it was stored before; `None` when not all that is asked for is there.
pub(super) fn present(entry: &Entry, request: &Request<'_>, now_ns: Option<u64>) -> Option<Answer> {
    let mut headers: HeaderMap = entry.headers.clone();
    if let Some(now_ns) = now_ns {
        headers.insert(header::AGE, HeaderValue::from(entry.age_s(now_ns)));
    }
    let answer = |status, headers, body| Some(Answer::local(Response { status, headers, body }));
    let nothing = ResponseBody::Bytes(bytes::Bytes::new());
    let Some(part) = entry.part else {
        return answer(entry.status, headers, ResponseBody::Bytes(entry.body.clone()));
    };
    if part.is_whole() && not_modified(request.headers, entry.status, &entry.headers, entry.stored_s) {
        let others: Vec<HeaderName> =
            headers.keys().filter(|name| !belongs_to_not_modified(name, &entry.headers)).cloned().collect();
        others.into_iter().for_each(|name| _ = headers.remove(name));
        return answer(StatusCode::NOT_MODIFIED, headers, nothing);
    }
    let asked = matches!(entry.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)
        .then(|| range::asked(request.headers, &entry.headers, entry.stored_s))
        .flatten();
    match range::resolve(asked, &part) {
        Resolved::Whole => answer(entry.status, headers, ResponseBody::Bytes(entry.body.clone())),
        Resolved::Satisfied { from, to } => {
            range::partial(&mut headers, &Part { first: from, last: to, total: part.total });
            let place = |at: u64| usize::try_from(at.checked_sub(part.offset)?).ok();
            let part = entry.body.get(place(from)?..=place(to)?)?;
            headers.remove(header::CONTENT_LENGTH);
            answer(StatusCode::PARTIAL_CONTENT, headers, ResponseBody::Bytes(entry.body.slice_ref(part)))
        }
        Resolved::Unsatisfiable => {
            range::unsatisfiable(&mut headers, part.total);
            headers.remove(header::CONTENT_LENGTH);
            answer(StatusCode::RANGE_NOT_SATISFIABLE, headers, nothing)
        }
        Resolved::Missing => None,
    }
}

/// The answer to a request that wants a stored one where there is none (RFC 9111 §5.2.1.7).
pub(super) fn gateway_timeout() -> Answer {
    let (status, headers) = (StatusCode::GATEWAY_TIMEOUT, HeaderMap::new());
    Answer::local(Response { status, headers, body: ResponseBody::Bytes(bytes::Bytes::new()) })
}
