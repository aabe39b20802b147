//! Owns which stored answers a request that changes something makes invalid (RFC 9111 §4.4). Must never remove one.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use crate::target::Target;

/// Methods that change nothing: those that RFC 9110 §9.2.1 and the IANA registry call safe. All others, also unknown ones, may.
const SAFE: [&str; 9] = ["GET", "HEAD", "OPTIONS", "TRACE", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH"];

/// Paths, with query, whose stored answers are invalid after an exchange: of the target itself first, then of what Location and
/// Content-Location name if that is of the same origin. None after a safe method or an error.
pub fn invalidated(
    verb: &Method,
    target: &Target<'_>,
    status: StatusCode,
    response: &HeaderMap,
) -> Vec<String> {
    let is_error = !(status.is_success() || status.is_redirection());
    if is_error || is_safe(verb) {
        return Vec::new();
    }
    let mut paths = vec![target.path.to_owned()];
    for name in [LOCATION, CONTENT_LOCATION] {
        let named = response.get(name).and_then(|reference| target.resolve(reference.as_bytes()));
        paths.extend(named.filter(|path| !paths.contains(path)));
    }
    paths
}

/// Whether a method changes nothing.
pub fn is_safe(verb: &Method) -> bool {
    SAFE.contains(&verb.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    const TARGET: Target<'static> = Target { scheme: "https", authority: "a.test", path: "/x/y?z" };

    #[test]
    fn changes_invalidate() {
        let locations =
            [("location", "/x/one"), ("content-location", "https://a.test/x/two"), ("link", "</x/three>")];
        let foreign = [("location", "https://b.test/x/one"), ("content-location", "//b.test/")];
        let same = [("location", "/x/one"), ("content-location", "one")];
        let all = &["/x/y?z", "/x/one", "/x/two"][..];
        let own = &["/x/y?z"][..];
        for (verb, status, response, expect) in [
            ("POST", 200, &locations[..], all),
            ("PUT", 204, &locations, all),
            ("DELETE", 303, &locations, all),
            ("M-SEARCH", 200, &locations, all),
            ("PATCH", 200, &[], own),
            ("POST", 201, &foreign, own),
            ("POST", 201, &same, &["/x/y?z", "/x/one"]),
            ("POST", 500, &locations, &[]),
            ("POST", 404, &locations, &[]),
            ("GET", 200, &locations, &[]),
            ("HEAD", 200, &locations, &[]),
            ("OPTIONS", 200, &locations, &[]),
            ("get", 200, &[], own),
        ] {
            let method = Method::from_bytes(verb.as_bytes()).expect("a method");
            let status = StatusCode::from_u16(status).expect("a status");
            let found = invalidated(&method, &TARGET, status, &headers(response));
            assert_eq!(found, expect, "{verb} {status}");
        }
    }
}
