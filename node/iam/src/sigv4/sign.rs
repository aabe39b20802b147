//! Signs outgoing requests, as header or as presigned query. Owns the client's side; must never sign what a proxy may change.

use super::canonical::{self, HeaderIndex, encode};
use super::{ALGORITHM, Credential, PathRules, RequestView, Scope, SigningKey, TERMINATOR, clock};

/// For whom a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct SignOptions<'a> {
    /// For example `eu-west-1`.
    pub region: &'a str,
    /// For example `execute-api`.
    pub service: &'a str,
    /// Seconds since the epoch.
    pub now_epoch_s: i64,
    /// Lower-case hex SHA-256 of the body, or `UNSIGNED-PAYLOAD` for S3.
    pub payload_sha256: &'a str,
    /// Send the hash as `x-amz-content-sha256` too; S3 requires it.
    pub payload_header: bool,
    /// How the service canonicalises the path; usually [`PathRules::for_service`].
    pub path: PathRules,
}

impl<'a> SignOptions<'a> {
    /// The usual rules of `service`.
    #[must_use]
    pub fn new(region: &'a str, service: &'a str, now_epoch_s: i64, payload_sha256: &'a str) -> Self {
        let path = PathRules::for_service(service);
        Self { region, service, now_epoch_s, payload_sha256, payload_header: !path.normalize, path }
    }
}

/// The headers to add, lower-case: `x-amz-date`, perhaps `x-amz-security-token` and `x-amz-content-sha256`, and `authorization`.
///
/// `request.headers` must hold `host`; every header in it is signed except those that hops rewrite.
#[must_use]
pub fn sign(
    request: &RequestView<'_>,
    credential: &Credential<'_>,
    options: &SignOptions<'_>,
) -> Vec<(String, String)> {
    let date = clock::format_date(options.now_epoch_s);
    let mut added = vec![("x-amz-date".to_owned(), date.clone())];
    if let Some(token) = credential.session_token {
        added.push(("x-amz-security-token".to_owned(), token.to_owned()));
    }
    if options.payload_header {
        added.push(("x-amz-content-sha256".to_owned(), options.payload_sha256.to_owned()));
    }
    let mut headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .filter(|(name, _)| !added.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)))
        .copied()
        .collect();
    headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    let scope = scope(&date, options);
    let signed = signable(&headers);
    let query = canonical::canonical_query(request.query, false).unwrap_or_default();
    let signature = signature(
        &RequestView { headers: &headers, ..*request },
        &signed,
        &query,
        credential,
        &scope,
        &date,
        options,
    );
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credential.access_key_id,
        scope_text(&scope),
        signed.join(";")
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The whole query string of a presigned URL that is good for `expires_s` seconds.
#[must_use]
pub fn presign(
    request: &RequestView<'_>,
    credential: &Credential<'_>,
    options: &SignOptions<'_>,
    expires_s: u32,
) -> String {
    let date = clock::format_date(options.now_epoch_s);
    let scope = scope(&date, options);
    let signed = signable(request.headers);
    let key_and_scope = format!("{}/{}", credential.access_key_id, scope_text(&scope));
    let mut query = request.query.to_owned();
    let mut push = |name: &str, value: &str| {
        let separator = if query.is_empty() { "" } else { "&" };
        query.push_str(&format!("{separator}{name}={}", encode(value.as_bytes(), false)));
    };
    push("X-Amz-Algorithm", ALGORITHM);
    push("X-Amz-Credential", &key_and_scope);
    push("X-Amz-Date", &date);
    push("X-Amz-SignedHeaders", &signed.join(";"));
    push("X-Amz-Expires", &expires_s.to_string());
    if let Some(token) = credential.session_token {
        push("X-Amz-Security-Token", token);
    }
    let canonical_query = canonical::canonical_query(&query, true).unwrap_or_default();
    let signature = signature(request, &signed, &canonical_query, credential, &scope, &date, options);
    query.push_str("&X-Amz-Signature=");
    query.push_str(&signature);
    query
}

fn signature(
    request: &RequestView<'_>,
    signed: &[String],
    query: &str,
    credential: &Credential<'_>,
    scope: &Scope,
    date: &str,
    options: &SignOptions<'_>,
) -> String {
    // A request beyond the limits gets a signature that no verifier accepts, rather than none.
    let headers = HeaderIndex::new(request.headers).or_else(|| HeaderIndex::new(&[]));
    let canonical = headers.map(|h| {
        canonical::canonical_request(request, &h, signed, query, options.path, options.payload_sha256)
    });
    let key = SigningKey::derive(credential.secret_access_key, scope);
    key.signature_hex(&canonical::string_to_sign(date, scope, &canonical.unwrap_or_default()))
}

fn scope(date: &str, options: &SignOptions<'_>) -> Scope {
    Scope {
        date: date.get(..8).unwrap_or_default().to_owned(),
        region: options.region.to_owned(),
        service: options.service.to_owned(),
    }
}

fn scope_text(scope: &Scope) -> String {
    format!("{}/{}/{}/{TERMINATOR}", scope.date, scope.region, scope.service)
}

fn signable(headers: &[(&str, &[u8])]) -> Vec<String> {
    let skipped =
        ["authorization", "connection", "expect", "te", "transfer-encoding", "user-agent", "x-amzn-trace-id"];
    let mut names: Vec<String> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| !skipped.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
