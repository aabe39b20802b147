//! Reads API, stage and path out of a request target: by host name, or by the two path prefixes for local use.

/// What a request addresses, as it stands in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'r> {
    /// Id of the API, in the spelling of the request.
    pub api: &'r [u8],
    /// Stage name.
    pub stage: &'r str,
    /// What follows the stage: empty, or starting with a slash.
    pub rest: &'r str,
    /// Whether the API was named by the generated host name.
    pub by_host: bool,
}

/// The address in `host` and `path`: `{api}.execute-api.…/{stage}/…`, `/_aws/execute-api/{api}/{stage}/…` or
/// `/restapis/{api}/{stage}/_user_request_/…`.
pub fn address<'r>(host: &'r [u8], path: &'r str) -> Option<Address<'r>> {
    if let Some((api, suffix)) = host_and_rest(host)
        && is_execute_api(suffix)
        && !api.is_empty()
    {
        let (stage, rest) = head_and_rest(path.strip_prefix('/')?);
        return Some(Address { api, stage, rest, by_host: true });
    }
    if let Some(after) = path.strip_prefix("/_aws/execute-api/") {
        let (api, rest) = head_and_rest(after);
        let (stage, rest) = head_and_rest(rest.strip_prefix('/')?);
        return Some(Address { api: api.as_bytes(), stage, rest, by_host: false });
    }
    let (api, rest) = head_and_rest(path.strip_prefix("/restapis/")?);
    let (stage, rest) = head_and_rest(rest.strip_prefix('/')?);
    let rest =
        rest.strip_prefix("/_user_request_").filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    Some(Address { api: api.as_bytes(), stage, rest, by_host: false })
}

fn is_execute_api(suffix: &[u8]) -> bool {
    const LABEL: &[u8] = b"execute-api";
    let (label, rest) = suffix.split_at_checked(LABEL.len()).unwrap_or_default();
    label.eq_ignore_ascii_case(LABEL) && matches!(rest.first(), None | Some(b'.' | b':'))
}

// Plain loops: what they look for is a few bytes away, where a vectorised search costs more than it saves.

fn host_and_rest(host: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = host.iter().position(|byte| *byte == b'.')?;
    Some((host.get(..dot)?, host.get(dot + 1..)?))
}

fn head_and_rest(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| byte == b'/').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let host = |api: &'static str, stage, rest| {
            Some(Address { api: api.as_bytes(), stage, rest, by_host: true })
        };
        let path = |api: &'static str, stage, rest| {
            Some(Address { api: api.as_bytes(), stage, rest, by_host: false })
        };
        for (name, target, expect) in [
            ("abc123.execute-api.eu-west-1.localhost:8080", "/dev/pets/1", host("abc123", "dev", "/pets/1")),
            ("ABC123.Execute-Api.eu-west-1.amazonaws.com", "/dev", host("ABC123", "dev", "")),
            ("abc123.execute-api:80", "/dev/", host("abc123", "dev", "/")),
            ("abc123.execute-api.x", "/dev//a", host("abc123", "dev", "//a")),
            ("abc123.execute-api.x", "/", host("abc123", "", "")),
            ("abc123.execute-api.x", "/_aws/execute-api/a/b", host("abc123", "_aws", "/execute-api/a/b")),
            ("localhost", "/_aws/execute-api/abc/dev/x/y", path("abc", "dev", "/x/y")),
            ("localhost", "/_aws/execute-api/abc/dev", path("abc", "dev", "")),
            ("localhost", "/_aws/execute-api/abc", None),
            ("localhost", "/restapis/abc/dev/_user_request_/x", path("abc", "dev", "/x")),
            ("localhost", "/restapis/abc/dev/_user_request_", path("abc", "dev", "")),
            ("localhost", "/restapis/abc/dev/_user_request_x", None),
            ("localhost", "/restapis/abc/dev", None),
            ("abc.execute-apix.y", "/dev", None),
            (".execute-api.y", "/dev", None),
            ("", "/", None),
            ("", "*", None),
        ] {
            assert_eq!(address(name.as_bytes(), target), expect, "{name} {target}");
        }
    }
}
