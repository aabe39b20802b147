//! What an answer may be used for: what the stage says, or what HTTP says. Owns the difference of the two.

use http::{HeaderMap, HeaderName, StatusCode, header};
use tidegate_cache::{
    directive::RequestDirectives,
    hazard::is_hazardous,
    target::Target,
    terms::{Exchange, Terms, Unstorable, judge as judge_http},
    vary::Vary,
};
use tidegate_gateway::{Response, Rule};
use tidegate_proto::limits::CACHE_VARY_NAMES_MAX;

use crate::visit::Visit;

/// Longest life of an answer where the upstream decides, in seconds: a year, as no origin means more.
const TTL_S_MAX: u64 = 365 * 24 * 3_600;
const REMAPPED_DATE: HeaderName = HeaderName::from_static("x-amzn-remapped-date");

/// Why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// What HTTP says.
    Http(Unstorable),
    /// The request had a header that frameworks obey and no key holds: that is how caches are poisoned.
    Hazard,
    /// A part of a body, and nobody knows which.
    Part,
    /// Its status is none of success.
    Status,
    /// It sets a cookie.
    SetCookie,
    /// Nobody can tell what chose it.
    Vary,
}

impl Unfit {
    /// A word for logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http(reason) => reason.name(),
            Self::Hazard => "hazard",
            Self::Part => "partial_content",
            Self::Status => "status",
            Self::SetCookie => "set_cookie",
            Self::Vary => "vary",
        }
    }

    /// Whether another request might get an answer that is stored.
    pub(super) fn is_of_request(self) -> bool {
        match self {
            Self::Hazard | Self::Http(Unstorable::RequestNoStore | Unstorable::Authorization) => true,
            Self::Http(_) | Self::Part | Self::Status | Self::SetCookie | Self::Vary => false,
        }
    }
}

/// Judges an answer.
///
/// # Errors
/// Why it is not stored.
pub(super) fn judge(rule: &Rule, visit: &Visit, response: &Response, asked_s: u64) -> Result<Terms, Unfit> {
    let request = &visit.head.headers;
    let terms = if rule.is_http() {
        let host = request.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = visit.head.uri.path_and_query().map_or("/", |path| path.as_str());
        let exchange = Exchange {
            verb: &visit.head.method,
            target: Target { scheme: visit.scheme(), authority: host, path },
            request,
            asked: RequestDirectives::read(request),
            status: response.status,
            response: &response.headers,
            requested_s: asked_s,
            received_s: asked_s,
            shares_cookies: rule.shares_cookies,
            ttl_max_s: TTL_S_MAX,
        };
        judge_http(&exchange).map_err(Unfit::Http)?
    } else {
        judge_aws(rule, response)?
    };
    match foul(rule, request).any(|name| !terms.vary.names.contains(name)) {
        true => Err(Unfit::Hazard),
        false => Ok(terms),
    }
}

/// The headers of a request that make its answer unfit for others.
fn foul<'a>(rule: &Rule, request: &'a HeaderMap) -> impl Iterator<Item = &'a HeaderName> {
    request.keys().filter(|name| is_hazardous(name.as_str()) && !rule.knows_header(name.as_str()))
}

/// Whether others should not wait for the answer to this request, because it will seldom be theirs. `names` are known to choose answers.
pub(in crate::cache) fn is_apart(rule: &Rule, request: &HeaderMap, names: &[HeaderName]) -> bool {
    foul(rule, request).any(|name| !names.contains(name))
        || rule.is_http()
            && (request.contains_key(header::AUTHORIZATION) || RequestDirectives::read(request).no_store)
}

/// Answers of success live as long as the stage says, whatever they say themselves.
fn judge_aws(rule: &Rule, response: &Response) -> Result<Terms, Unfit> {
    let headers = &response.headers;
    if !response.status.is_success() || response.status == StatusCode::PARTIAL_CONTENT {
        return Err(Unfit::Status);
    }
    if headers.contains_key(header::SET_COOKIE) && !rule.shares_cookies {
        return Err(Unfit::SetCookie);
    }
    let mut vary = Vary::read(headers).ok_or(Unfit::Vary)?;
    // What is encoded was chosen by what the client decodes, whether the upstream says so or not.
    if headers.contains_key(header::CONTENT_ENCODING) && !vary.names.contains(&header::ACCEPT_ENCODING) {
        vary.names.push(header::ACCEPT_ENCODING);
    }
    if vary.names.len() > CACHE_VARY_NAMES_MAX {
        return Err(Unfit::Vary);
    }
    Ok(Terms { lifetime_s: u64::from(rule.ttl_s), vary, ..Terms::default() })
}

/// Gives the date its name back: what HTTP says about freshness is counted from it.
pub(super) fn restore_names(headers: &mut HeaderMap) {
    if let Some(date) = headers.remove(REMAPPED_DATE) {
        headers.insert(header::DATE, date);
    }
    let remapped = headers.keys().filter(|name| name.as_str().starts_with("x-amzn-remapped-"));
    let remapped: Vec<HeaderName> = remapped.cloned().collect();
    for name in remapped {
        headers.remove(name);
    }
}
