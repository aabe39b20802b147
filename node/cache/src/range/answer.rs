//! Owns the headers of answers that are made from a part of a stored body (RFC 9110 §15.3.7, §15.5.17).

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Part;
use crate::condition::is_of_representation;

/// Turns the headers of a stored answer into those of a 206 with that part.
pub fn partial(headers: &mut HeaderMap, part: &Part) {
    let total = part.total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    set(headers, CONTENT_RANGE, &format!("bytes {}-{}/{total}", part.first, part.last));
    set(headers, CONTENT_LENGTH, &part.length().to_string());
}

/// Turns the headers of a stored answer into those of a 416 without a body, which says how long the body would be.
pub fn unsatisfiable(headers: &mut HeaderMap, total: Option<u64>) {
    let described: Vec<HeaderName> =
        headers.keys().filter(|name| is_of_representation(name)).cloned().collect();
    for name in &described {
        headers.remove(name);
    }
    if let Some(total) = total {
        set(headers, CONTENT_RANGE, &format!("bytes */{total}"));
    }
    set(headers, CONTENT_LENGTH, "0");
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig;

    #[test]
    fn answers_say_which_part_they_are() {
        let stored = [("content-type", "a/b"), ("content-length", "10"), ("etag", "\"a\""), ("x", "1")];
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = rig::headers(&stored);
        partial(&mut headers, &Part { first: 2, last: 4, total: Some(10) });
        assert_eq!(
            rig::lines(&headers),
            [
                line("content-length", "3"),
                line("content-range", "bytes 2-4/10"),
                line("content-type", "a/b"),
                line("etag", "\"a\""),
                line("x", "1"),
            ]
        );
        let mut headers = rig::headers(&stored);
        partial(&mut headers, &Part { first: 2, last: 4, total: None });
        assert_eq!(headers[CONTENT_RANGE], "bytes 2-4/*");
        let mut headers = rig::headers(&stored);
        unsatisfiable(&mut headers, Some(10));
        assert_eq!(
            rig::lines(&headers),
            [line("content-length", "0"), line("content-range", "bytes */10"), line("x", "1")]
        );
    }
}
