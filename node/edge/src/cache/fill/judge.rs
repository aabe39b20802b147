//! What an answer may be used for: what the stage says, or what HTTP says. Owns the difference of the two.

use http::{HeaderMap, HeaderName, StatusCode, header};
use tidegate_cache::{
    directive::RequestDirectives,
    hazard::is_hazardous,
    target::Target,
    terms::{Exchange, Terms, judge as judge_http},
    vary::Vary,
};
use tidegate_gateway::{Response, Rule};
use tidegate_proto::limits::CACHE_VARY_NAMES_MAX;

use crate::visit::Visit;

/// Longest life of an answer where the upstream decides, in seconds: a year, as no origin means more.
const TTL_S_MAX: u64 = 365 * 24 * 3_600;
const REMAPPED_DATE: HeaderName = HeaderName::from_static("x-amzn-remapped-date");

/// Judges an answer.
///
/// # Errors
/// A word that says why it is not stored.
pub(super) fn judge(
    rule: &Rule,
    visit: &Visit,
    response: &Response,
    asked_s: u64,
) -> Result<Terms, &'static str> {
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
        // Parts of a body are not put together here.
        let is_part = response.status == StatusCode::PARTIAL_CONTENT;
        let terms = judge_http(&exchange).map_err(|reason| reason.name())?;
        (!is_part).then_some(terms).ok_or("partial_content")?
    } else {
        judge_aws(rule, response)?
    };
    let is_foul = |name: &HeaderName| {
        is_hazardous(name.as_str()) && !rule.has_header(name.as_str()) && !terms.vary.names.contains(name)
    };
    match request.keys().any(is_foul) {
        true => Err("hazard"),
        false => Ok(terms),
    }
}

/// Answers of success live as long as the stage says, whatever they say themselves.
fn judge_aws(rule: &Rule, response: &Response) -> Result<Terms, &'static str> {
    let headers = &response.headers;
    if !response.status.is_success() || response.status == StatusCode::PARTIAL_CONTENT {
        return Err("status");
    }
    if headers.contains_key(header::SET_COOKIE) && !rule.shares_cookies {
        return Err("set_cookie");
    }
    let mut vary = Vary::read(headers).ok_or("vary")?;
    // What is encoded was chosen by what the client decodes, whether the upstream says so or not.
    if headers.contains_key(header::CONTENT_ENCODING) && !vary.names.contains(&header::ACCEPT_ENCODING) {
        vary.names.push(header::ACCEPT_ENCODING);
    }
    if vary.names.len() > CACHE_VARY_NAMES_MAX {
        return Err("vary");
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
