//! A request as the phases see it: its head, its address and the facts the edge established. Borrowed, never copied.

use std::{borrow::Cow, fmt::Write};

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode;

use crate::{Address, Routed};

/// Header by which a client that cannot send a verb asks for it.
const METHOD_OVERRIDE: &str = "x-http-method-override";

/// What the edge knows about a request beyond its head.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    /// `$context.requestId`, the UUID in `x-amzn-RequestId`.
    pub request_id: &'r str,
    /// `$context.extendedRequestId`, the value of `x-amz-apigw-id`.
    pub extended_request_id: &'r str,
    /// Value of `X-Amzn-Trace-Id`, kept or generated.
    pub trace_id: &'r str,
    /// Address of the caller.
    pub source_ip: &'r str,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: &'r str,
    /// `http` or `https`, as the client spoke it.
    pub scheme: &'r str,
    /// Port the client connected to.
    pub port: u16,
    /// Arrival, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Verb, after `X-HTTP-Method-Override`.
    pub verb: &'r str,
    /// Host as asked for, port included.
    pub host: &'r str,
    /// Where it goes; `None` addresses no API.
    pub address: Option<Address<'r>>,
    /// Query string without the question mark.
    pub query: Option<&'r str>,
    /// Headers.
    pub headers: &'r HeaderMap,
    /// The rest.
    pub facts: Facts<'r>,
}

impl<'r> Request<'r> {
    /// Value of `header`, the last one if it is repeated.
    pub fn header(&self, name: &str) -> Option<Cow<'r, str>> {
        self.headers.get_all(name).iter().next_back().map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The `x-api-key` header.
    pub fn api_key(&self) -> Option<&'r str> {
        self.headers.get("x-api-key").and_then(|value| value.to_str().ok())
    }

    /// The path after the stage, as it came.
    pub fn rest(&self) -> &'r str {
        self.address.map_or("", |address| address.rest)
    }

    /// Media type of the body, in lower case and without parameters; JSON when the request names none.
    pub(crate) fn media_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        media_type(value.unwrap_or("application/json"))
    }

    /// Decoded name and value of each query parameter, in order.
    pub(crate) fn query_pairs(&self) -> impl Iterator<Item = (Cow<'r, str>, Cow<'r, str>)> {
        let pairs = self.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// A `$context` variable; `None` when there is no such value.
    pub fn variable(&self, routed: &Routed<'r>, name: &str) -> Option<Cow<'r, str>> {
        let stage = routed.stage();
        let facts = &self.facts;
        Some(match name {
            "accountId" => Cow::Borrowed(routed.snapshot().account()),
            "apiId" => Cow::Borrowed(stage.api()),
            "deploymentId" => Cow::Borrowed(stage.deployment()),
            "domainName" => Cow::Borrowed(host_name(self.host)),
            "domainPrefix" => Cow::Borrowed(self.host.split(['.', ':']).next().unwrap_or_default()),
            "extendedRequestId" => Cow::Borrowed(facts.extended_request_id),
            "httpMethod" => Cow::Borrowed(self.verb),
            "identity.sourceIp" => Cow::Borrowed(facts.source_ip),
            "identity.userAgent" => self.header("user-agent")?,
            "path" => Cow::Owned(format!("/{}{}", stage.name(), self.rest())),
            "protocol" => Cow::Borrowed(facts.protocol),
            "requestId" => Cow::Borrowed(facts.request_id),
            "requestTime" => Cow::Owned(common_log_time(facts.time_ms)),
            "requestTimeEpoch" => Cow::Owned(facts.time_ms.to_string()),
            "resourceId" => Cow::Borrowed(routed.resource_id()),
            "resourcePath" => Cow::Borrowed(routed.resource_path()),
            "stage" => Cow::Borrowed(stage.name()),
            "xrayTraceId" => Cow::Borrowed(facts.trace_id),
            _ => return None,
        })
    }
}

/// The verb a request asks for.
pub fn verb<'r>(method: &'r Method, headers: &'r HeaderMap) -> &'r str {
    headers.get(METHOD_OVERRIDE).and_then(|value| value.to_str().ok()).unwrap_or(method.as_str())
}

/// Names of the `$context` variables that [`Request::variable`] knows.
pub(crate) const VARIABLES: [&str; 18] = [
    "accountId",
    "apiId",
    "deploymentId",
    "domainName",
    "domainPrefix",
    "extendedRequestId",
    "httpMethod",
    "identity.sourceIp",
    "identity.userAgent",
    "path",
    "protocol",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "resourceId",
    "resourcePath",
    "stage",
    "xrayTraceId",
];

/// `type/subtype` of a content type, in lower case.
pub(crate) fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A moment as access logs and `$context.requestTime` print it: `09/Apr/2015:12:34:56 +0000`.
pub fn common_log_time(time_ms: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time_ms / 1_000;
    let (day, month, year) = civil(seconds / 86_400);
    let month = MONTHS.get(month as usize).copied().unwrap_or_default();
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut out = String::with_capacity(26);
    let _ = write!(out, "{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
    out
}

/// Day, month (from 0) and year of a day since the Unix epoch. Source: the proleptic Gregorian calendar counted from
/// 1 March 0000, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    (day, month, year_of_era + era * 400 + u64::from(month < 2))
}

fn host_name(host: &str) -> &str {
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name)
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_log_times() {
        for (time_ms, expect) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400_000, "29/Feb/2000:00:00:00 +0000"),
            (1_428_582_896_438, "09/Apr/2015:12:34:56 +0000"),
            (1_735_689_599_999, "31/Dec/2024:23:59:59 +0000"),
            (4_107_542_400_000, "01/Mar/2100:00:00:00 +0000"),
        ] {
            assert_eq!(common_log_time(time_ms), expect);
        }
    }

    #[test]
    fn decoding() {
        for (text, expect) in [
            ("a", "a"),
            ("a+b", "a b"),
            ("a%2Bb", "a+b"),
            ("%C3%A9", "é"),
            ("%zz%", "%zz%"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), expect);
        }
    }

    #[test]
    fn names() {
        for (host, expect) in
            [("a.b:80", "a.b"), ("a.b", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")]
        {
            assert_eq!(host_name(host), expect);
        }
        assert_eq!(media_type("Application/JSON ; charset=utf-8"), "application/json");
    }
}
