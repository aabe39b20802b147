//! Decides whether a presented signature is right. Owns the order of checks; must never say in which byte two signatures differ.

use super::canonical::{self, HeaderIndex};
use super::present::{Form, Presented};
use super::refusal::{Incomplete, Invalid, Refusal};
use super::{PathRules, RequestView, SigningKey, TERMINATOR, UNSIGNED_PAYLOAD, clock, digest};

/// What a service accepts.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Allowed clock difference in seconds: 300 for JSON and REST services, 900 for query services.
    pub skew_s_max: i64,
    /// The region that must be in the scope; `None` accepts any.
    pub expected_region: Option<&'a str>,
    /// The services that may be in the scope; empty accepts any.
    pub expected_services: &'a [&'a str],
    /// How the path is canonicalised.
    pub path: PathRules,
    /// Accept `UNSIGNED-PAYLOAD`; only S3 has a use for it.
    pub unsigned_payload: bool,
}

/// What the verifier knows about the body.
#[derive(Clone, Copy, Debug)]
pub enum PayloadHash<'a> {
    /// The body was read: its lower-case hex SHA-256.
    Computed(&'a str),
    /// The body is still on the wire: trust `x-amz-content-sha256` now, compare later (see [`Body::Expect`]); without that header the body must be empty.
    Deferred,
}

/// What is left to do about the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Covered by the signature and compared.
    Checked,
    /// Not covered by the signature.
    Unsigned,
    /// The caller must compare the body's SHA-256 with this before acting on it.
    Expect(String),
}

/// A proven caller.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose secret signed the request.
    pub access_key_id: String,
    /// Lower-case, sorted: the only headers the caller vouches for.
    pub signed_headers: Vec<String>,
    /// What is left to do about the body.
    pub body: Body,
}

/// Everything that can be decided without a key: signed host, clock, scope.
///
/// # Errors
/// [`Refusal::InvalidSignature`] with the first fault in AWS's order.
pub fn check(
    presented: &Presented<'_>,
    request: &RequestView<'_>,
    now_epoch_s: i64,
    rules: &Rules<'_>,
) -> Result<(), Refusal> {
    check_signed_headers(presented, request)?;
    check_clock(presented, now_epoch_s, rules)?;
    check_scope(presented, rules)
}

/// Checks and compares; `secret` belongs to the presented access key and session token.
///
/// # Errors
/// [`Refusal::InvalidSignature`] with the first fault in AWS's order, [`Refusal::IncompleteSignature`] when the request exceeds this crate's limits.
pub fn verify(
    presented: &Presented<'_>,
    request: &RequestView<'_>,
    secret_access_key: &str,
    payload: PayloadHash<'_>,
    now_epoch_s: i64,
    rules: &Rules<'_>,
) -> Result<Verified, Refusal> {
    let key = SigningKey::derive(secret_access_key, &presented.scope);
    verify_with_key(presented, request, &key, payload, now_epoch_s, rules)
}

/// [`verify`] with a signing key that was derived earlier for the presented scope.
///
/// # Errors
/// As [`verify`].
pub fn verify_with_key(
    presented: &Presented<'_>,
    request: &RequestView<'_>,
    key: &SigningKey,
    payload: PayloadHash<'_>,
    now_epoch_s: i64,
    rules: &Rules<'_>,
) -> Result<Verified, Refusal> {
    check(presented, request, now_epoch_s, rules)?;
    let too_large = || Refusal::IncompleteSignature(Incomplete::TooLarge);
    let headers = HeaderIndex::new(request.headers).ok_or_else(too_large)?;
    let query =
        canonical::canonical_query(request.query, presented.form != Form::Header).ok_or_else(too_large)?;
    let (hash, body) = payload_hash(headers.value("x-amz-content-sha256"), payload, rules)?;
    let canonical =
        canonical::canonical_request(request, &headers, &presented.signed_headers, &query, rules.path, &hash);
    let date = clock::format_date(presented.signed_s);
    if !key.matches(&canonical::string_to_sign(&date, &presented.scope, &canonical), &presented.signature) {
        return Err(invalid(Invalid::Mismatch));
    }
    // Told only to a caller that holds the secret: before, it would answer questions about other people's requests.
    if body == Body::Checked && matches!(payload, PayloadHash::Computed(computed) if computed != hash) {
        return Err(invalid(Invalid::PayloadHash));
    }
    Ok(Verified {
        access_key_id: presented.access_key_id.to_string(),
        signed_headers: presented.signed_headers.clone(),
        body,
    })
}

fn check_signed_headers(presented: &Presented<'_>, request: &RequestView<'_>) -> Result<(), Refusal> {
    let signed =
        |name: &str| presented.signed_headers.binary_search_by(|probe| probe.as_str().cmp(name)).is_ok();
    if !signed("host") && !signed(":authority") {
        return Err(invalid(Invalid::HostNotSigned));
    }
    // These three are bound by other means: the string to sign, the key look-up and the payload hash.
    let bound = |name: &str| matches!(name, "x-amz-date" | "x-amz-security-token" | "x-amz-content-sha256");
    let headers =
        HeaderIndex::new(request.headers).ok_or(Refusal::IncompleteSignature(Incomplete::TooLarge))?;
    let loose: Vec<String> = headers
        .names()
        .filter(|name| name.starts_with("x-amz-") && !bound(name) && !signed(name))
        .map(str::to_owned)
        .collect();
    if loose.is_empty() { Ok(()) } else { Err(invalid(Invalid::HeadersNotSigned(loose))) }
}

fn check_clock(presented: &Presented<'_>, now_s: i64, rules: &Rules<'_>) -> Result<(), Refusal> {
    let (signed_s, skew_s) = (presented.signed_s, rules.skew_s_max);
    let life_s = match presented.form {
        Form::Header => skew_s,
        Form::Query { expires_s } => expires_s,
    };
    if signed_s < now_s.saturating_sub(life_s) {
        return Err(invalid(Invalid::Expired { signed_s, now_s, life_s }));
    }
    if signed_s > now_s.saturating_add(skew_s) {
        return Err(invalid(Invalid::NotYetCurrent { signed_s, now_s, skew_s }));
    }
    Ok(())
}

fn check_scope(presented: &Presented<'_>, rules: &Rules<'_>) -> Result<(), Refusal> {
    let scope = &presented.scope;
    let mut faults = Vec::new();
    if rules.expected_region.is_some_and(|region| region != scope.region) {
        faults.push(format!("Credential should be scoped to a valid region, not '{}'. ", scope.region));
    }
    if let [first, ..] = rules.expected_services
        && !rules.expected_services.contains(&scope.service.as_str())
    {
        faults.push(format!("Credential should be scoped to correct service: '{first}'. "));
    }
    if presented.terminator != TERMINATOR {
        faults.push(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'. ",
            presented.terminator
        ));
    }
    let date = clock::format_date(presented.signed_s);
    let day = date.get(..8).unwrap_or_default();
    if day != scope.date {
        faults.push(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{date}'.",
            scope.date
        ));
    }
    if faults.is_empty() { Ok(()) } else { Err(invalid(Invalid::Scope(faults.concat()))) }
}

/// The hash to put into the canonical request, and what it means for the body.
fn payload_hash(
    declared: Option<String>,
    payload: PayloadHash<'_>,
    rules: &Rules<'_>,
) -> Result<(String, Body), Refusal> {
    match (declared, payload) {
        (Some(declared), _) if declared == UNSIGNED_PAYLOAD && rules.unsigned_payload => {
            Ok((declared, Body::Unsigned))
        }
        (Some(declared), _) if !digest::is_sha256_hex(&declared) => Err(invalid(Invalid::UnsignedPayload)),
        (Some(declared), PayloadHash::Computed(_)) => Ok((declared, Body::Checked)),
        (Some(declared), PayloadHash::Deferred) => Ok((declared.clone(), Body::Expect(declared))),
        (None, PayloadHash::Computed(computed)) => Ok((computed.to_owned(), Body::Checked)),
        (None, PayloadHash::Deferred) => {
            Ok((super::EMPTY_SHA256.to_owned(), Body::Expect(super::EMPTY_SHA256.to_owned())))
        }
    }
}

fn invalid(why: Invalid) -> Refusal {
    Refusal::InvalidSignature(why)
}
