//! Headers that belong to one connection and must not travel further (RFC 9110 §7.6.1).
//! Pure; it decides nothing about which headers the gateway adds.

use http::header::{self, HeaderMap, HeaderName};

/// Hop-by-hop headers, removed whether or not Connection names them.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// Headers a sender may not have removed by naming them in Connection: dropping one would change who asks, whom, or how much.
const PROTECTED: [HeaderName; 12] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::CACHE_CONTROL,
    header::VIA,
    header::FORWARDED,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-real-ip"),
];

/// Removes Connection, the headers it names (but never a protected one), Keep-Alive, Proxy-*, TE, Trailer,
/// Transfer-Encoding and Upgrade. Call it before adding own headers.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_protected(name))
        .collect();
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(header::UPGRADE);
    let proxies: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned().collect();
    for name in proxies {
        headers.remove(name);
    }
}

fn is_protected(name: &HeaderName) -> bool {
    let text = name.as_str();
    PROTECTED.contains(name) || text.starts_with("x-forwarded-") || text.starts_with("x-amz")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    type Lines = &'static [(&'static str, &'static str)];

    fn survivors(lines: Lines) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn connection_headers_stay_on_their_connection() {
        let cases: [(Lines, &[&str]); 6] = [
            (&[("connection", "close"), ("accept", "*/*")], &["accept"]),
            (
                &[("connection", "X-One , x-two"), ("x-one", "1"), ("x-two", "2"), ("x-three", "3")],
                &["x-three"],
            ),
            (&[("connection", "x-one"), ("connection", "x-two"), ("x-one", "1"), ("x-two", "2")], &[]),
            (
                &[
                    ("keep-alive", "timeout=5"),
                    ("proxy-connection", "keep-alive"),
                    ("proxy-authorization", "Basic x"),
                    ("proxy-anything", "x"),
                    ("te", "trailers"),
                    ("trailer", "x"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "websocket"),
                ],
                &[],
            ),
            (
                &[
                    ("connection", "host, content-length, authorization, x-forwarded-for, x-amzn-trace-id"),
                    ("host", "a"),
                    ("content-length", "3"),
                    ("authorization", "x"),
                    ("x-forwarded-for", "1.2.3.4"),
                    ("x-amzn-trace-id", "x"),
                ],
                &["authorization", "content-length", "host", "x-amzn-trace-id", "x-forwarded-for"],
            ),
            (&[("connection", ",, bad name, ="), ("accept", "*/*")], &["accept"]),
        ];
        for (lines, expected) in cases {
            assert_eq!(survivors(lines), expected, "{lines:?}");
        }
    }
}
