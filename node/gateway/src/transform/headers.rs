//! Which headers cross the gateway, in which direction, and under which name.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use tidegate_proto::field::Known;

use crate::{Facts, Fault, Rejection};

/// Prefix of a response header that the gateway does not let through under its own name.
const REMAPPED: &str = "x-amzn-remapped-";

/// What happens to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Crosses.
    Pass,
    /// Is left out.
    Drop,
    /// Crosses as `x-amzn-Remapped-…`.
    Remap,
}

/// Headers of one connection (RFC 9110 §7.6.1); they never cross.
const fn is_hop_by_hop(name: Known) -> bool {
    matches!(
        name,
        Known::Connection
            | Known::KeepAlive
            | Known::ProxyFamily
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

/// A client's header on its way through `HTTP_PROXY`.
pub(crate) const fn to_upstream(name: Known) -> Fate {
    match name {
        Known::Host
        | Known::ContentLength
        | Known::ContentEncoding
        | Known::ContentMd5
        | Known::Expect
        | Known::MaxForwards
        | Known::Server
        | Known::Via
        | Known::WwwAuthenticate
        | Known::TraceId
        | Known::ApiId
        | Known::MethodOverride => Fate::Drop,
        _ if is_hop_by_hop(name) => Fate::Drop,
        _ => Fate::Pass,
    }
}

/// An upstream's header on its way through `HTTP_PROXY`.
pub(crate) const fn to_client(name: Known) -> Fate {
    match name {
        Known::Connection | Known::ContentLength | Known::Date | Known::Server | Known::RequestId => {
            Fate::Remap
        }
        Known::Via | Known::ApigwId | Known::ErrorType => Fate::Drop,
        _ if is_hop_by_hop(name) => Fate::Drop,
        _ => Fate::Pass,
    }
}

/// A header that a response mapping of `HTTP` or `MOCK` sets.
pub(crate) fn mapped_to_client(name: &str) -> Fate {
    match name {
        "transfer-encoding" => Fate::Drop,
        "authorization" | "connection" | "content-length" | "content-md5" | "date" | "expect" | "host"
        | "max-forwards" | "proxy-authenticate" | "server" | "trailer" | "upgrade" | "user-agent"
        | "www-authenticate" => Fate::Remap,
        "te" => Fate::Pass,
        _ if is_hop_by_hop(Known::of(name.as_bytes())) => Fate::Drop,
        _ => Fate::Pass,
    }
}

/// A header that a request mapping sets; framing and connection belong to the codec.
pub(crate) fn mapped_to_upstream(name: &str) -> Fate {
    match name {
        "content-length" | "expect" | "via" => Fate::Drop,
        _ if is_hop_by_hop(Known::of(name.as_bytes())) => Fate::Drop,
        _ => Fate::Pass,
    }
}

/// The client's headers that `HTTP_PROXY` passes on.
pub(crate) fn proxied_to_upstream(from: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(from.len() + 4);
    let nominated = Nominated::of(from);
    for (name, value) in from {
        if to_upstream(Known::of(name.as_str().as_bytes())) == Fate::Pass && !nominated.contains(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Tells the upstream whom the gateway speaks for: the caller is appended to those who forwarded before.
pub(crate) fn add_forwarded(headers: &mut HeaderMap, facts: &Facts<'_>) -> Result<(), Rejection> {
    const FOR: &str = "x-forwarded-for";
    let before: Vec<_> = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let all = before.iter().copied().chain([facts.source_ip]).collect::<Vec<_>>().join(", ");
    let port = facts.port.to_string();
    for (name, value) in
        [(FOR, all.as_str()), ("x-forwarded-proto", facts.scheme), ("x-forwarded-port", &port)]
    {
        let value =
            HeaderValue::from_str(value).map_err(|_| Rejection::IntegrationFailure(Fault::Endpoint))?;
        headers.insert(name, value);
    }
    Ok(())
}

/// The upstream's headers that `HTTP_PROXY` passes back.
pub(crate) fn proxied_to_client(from: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(from.len() + 4);
    let nominated = Nominated::of(from);
    for (name, value) in from {
        match to_client(Known::of(name.as_str().as_bytes())) {
            _ if nominated.contains(name) => {}
            Fate::Pass => _ = out.append(name, value.clone()),
            Fate::Drop => {}
            Fate::Remap => remap(&mut out, name.as_str(), value.clone()),
        }
    }
    out
}

/// Adds a header under its remapped name.
pub(crate) fn remap(out: &mut HeaderMap, name: &str, value: HeaderValue) {
    if let Ok(name) = HeaderName::from_bytes(format!("{REMAPPED}{name}").as_bytes()) {
        out.append(name, value);
    }
}

/// Headers that Connection names. Those that say who asks, whom, or how much cannot be taken away by naming them.
pub(crate) struct Nominated(Vec<HeaderName>);

impl Nominated {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::CONNECTION).iter();
        let names = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        Self(names.filter(|name| !is_protected(name.as_str())).collect())
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

/// Headers that say who asks, whom, or how much: naming them in Connection does not take them away. `name` in lower case.
pub fn is_protected(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-type"
            | "cookie"
            | "forwarded"
            | "host"
            | "set-cookie"
            | "via"
            | "x-api-key"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("x-amz")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
            })
            .collect()
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn client_to_upstream() {
        let from = map(&[
            ("Host", "gw"),
            ("Accept", "a"),
            ("Accept", "b"),
            ("Connection", "X-Hop, authorization, close"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Authorization", "Bearer x"),
            ("Content-Length", "3"),
            ("Content-Encoding", "gzip"),
            ("TE", "trailers"),
            ("Upgrade", "websocket"),
            ("Proxy-Authorization", "x"),
            ("Expect", "100-continue"),
            ("Via", "1.1 x"),
            ("X-Amzn-Trace-Id", "forged"),
            ("Range", "bytes=0-1"),
        ]);
        assert_eq!(
            lines(&proxied_to_upstream(&from)),
            ["accept: a", "accept: b", "authorization: Bearer x", "range: bytes=0-1"]
        );
    }

    #[test]
    fn upstream_to_client() {
        let from = map(&[
            ("Content-Type", "text/plain"),
            ("Content-Length", "3"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Date", "now"),
            ("Server", "up"),
            ("Via", "1.1 up"),
            ("x-amzn-RequestId", "theirs"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("WWW-Authenticate", "Basic"),
        ]);
        assert_eq!(
            lines(&proxied_to_client(&from)),
            [
                "content-type: text/plain",
                "x-amzn-remapped-content-length: 3",
                "x-amzn-remapped-connection: keep-alive, X-Hop",
                "x-amzn-remapped-date: now",
                "x-amzn-remapped-server: up",
                "x-amzn-remapped-x-amzn-requestid: theirs",
                "set-cookie: a=1",
                "set-cookie: b=2",
                "www-authenticate: Basic",
            ]
        );
    }
}
