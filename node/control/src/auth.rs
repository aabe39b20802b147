//! Who is calling: SigV4 against the access keys of the configuration. Owns the order of those checks; must never log a secret.

use http::request::Parts;
use tidegate_iam::sigv4::{self, Dialect, PathRules, PayloadHash, Presented, Refusal, RequestView, Rules};
use tidegate_proto::document::Credential;
use tidegate_state::State;

/// Services a call to the REST API service may be signed for.
pub(crate) const REST_SERVICES: &[&str] = &["apigateway"];
/// Services a call to Tidegate's own API may be signed for.
pub(crate) const OWN_SERVICES: &[&str] = &["apigateway", "tidegate"];

/// A proven caller.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    /// 12-digit account.
    pub account: String,
    /// ARN of the principal.
    pub arn: String,
    /// Unique id of the principal.
    pub user_id: String,
}

/// What a signature is held against.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    /// Seconds since the Unix epoch.
    pub now_s: i64,
    /// Allowed difference for REST calls, in seconds.
    pub rest_skew_s: i64,
    /// Allowed difference for query calls, in seconds.
    pub query_skew_s: i64,
}

/// The header lines of a request as the verifier wants them; HTTP/2 has its host in the target.
pub(crate) fn header_lines(parts: &Parts) -> Vec<(&str, &[u8])> {
    let mut lines: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    if !parts.headers.contains_key(http::header::HOST)
        && let Some(authority) = parts.uri.authority()
    {
        lines.push(("host", authority.as_str().as_bytes()));
    }
    lines
}

/// The request as the client signed it.
pub(crate) fn view<'a>(parts: &'a Parts, headers: &'a [(&'a str, &'a [u8])]) -> RequestView<'a> {
    RequestView {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers,
    }
}

/// Proves a presented signature; clock and scope are reported before an unknown key, as AWS does.
pub(crate) fn prove(
    state: &State,
    presented: &Presented<'_>,
    request: &RequestView<'_>,
    body: &[u8],
    services: &[&str],
    region: Option<&str>,
    clocks: &Clocks,
) -> Result<Caller, Refusal> {
    let rules = rules(presented, services, region, clocks);
    let Some(credential) = find(state, presented) else {
        sigv4::check(presented, request, clocks.now_s, &rules)?;
        return Err(Refusal::UnrecognizedClient);
    };
    let hash = sigv4::payload_sha256_hex(body);
    let payload = PayloadHash::Computed(&hash);
    sigv4::verify(presented, request, &credential.secret_access_key, payload, clocks.now_s, &rules)?;
    Ok(Caller { account: credential.account_id, arn: credential.arn, user_id: credential.user_id })
}

/// What can be said of a signature before the body has arrived: whether it is worth reading one for this caller.
pub(crate) fn admit(
    state: &State,
    presented: &Presented<'_>,
    request: &RequestView<'_>,
    services: &[&str],
    region: Option<&str>,
    clocks: &Clocks,
) -> Result<(), Refusal> {
    sigv4::check(presented, request, clocks.now_s, &rules(presented, services, region, clocks))?;
    find(state, presented).map(|_| ()).ok_or(Refusal::UnrecognizedClient)
}

/// The error family of a service.
pub(crate) fn dialect(service: &str) -> Dialect {
    match service {
        "sts" | "iam" => Dialect::Query,
        _ => Dialect::Json,
    }
}

fn rules<'a>(
    presented: &Presented<'_>,
    services: &'a [&'a str],
    region: Option<&'a str>,
    clocks: &Clocks,
) -> Rules<'a> {
    let skew_s_max = match dialect(&presented.scope.service) {
        Dialect::Json => clocks.rest_skew_s,
        Dialect::Query => clocks.query_skew_s,
    };
    Rules {
        skew_s_max,
        expected_region: region,
        expected_services: services,
        path: PathRules::for_service(&presented.scope.service),
        unsigned_payload: false,
    }
}

/// Keys here are long-lived: one with a session token is another key that does not exist.
fn find(state: &State, presented: &Presented<'_>) -> Option<Credential> {
    if presented.session_token.is_some() {
        return None;
    }
    state.credential(&presented.access_key_id).ok().flatten().map(|found| found.document)
}
