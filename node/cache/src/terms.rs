//! Owns whether an answer may be stored, and what it may be used for later (RFC 9111 §3, §4.2). Must never look at a clock: all
//! times are those at which the exchange happened.

mod age;
mod lifetime;
mod status;
#[cfg(test)]
mod tests;

use http::header::{AUTHORIZATION, CONTENT_LOCATION, HeaderName, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use tidegate_proto::limits::CACHE_STALE_S_MAX;

use crate::condition::has_validator;
use crate::directive::{RequestDirectives, ResponseDirectives, Scope};
use crate::range::Part;
use crate::target::Target;
use crate::vary::Vary;

use lifetime::Lifetime;

/// The cookie header of RFC 2965, obsolete but still understood by some clients.
pub(crate) const SET_COOKIE2: HeaderName = HeaderName::from_static("set-cookie2");

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Method of the request.
    pub verb: &'a Method,
    /// What was asked for.
    pub target: Target<'a>,
    /// Headers of the request.
    pub request: &'a HeaderMap,
    /// What the request asks of caches.
    pub asked: RequestDirectives,
    /// Status of the answer.
    pub status: StatusCode,
    /// Headers of the answer as they came, before [`crate::stored::strip`].
    pub response: &'a HeaderMap,
    /// When the request was sent, in seconds since 1970.
    pub requested_s: u64,
    /// When the head of the answer arrived, in seconds since 1970.
    pub received_s: u64,
    /// Whether answers that set cookies may be given to everybody.
    pub shares_cookies: bool,
    /// For how long an answer may be fresh here, in seconds.
    pub ttl_max_s: u64,
}

/// What a stored answer may be used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its age when it arrived, in seconds (RFC 9111 §4.2.3).
    pub age_s: u64,
    /// The age at which it becomes stale, in seconds (§4.2.1, §4.2.2).
    pub lifetime_s: u64,
    /// For how long after that it may be used while it is validated, in seconds (RFC 5861 §3).
    pub stale_while_revalidate_s: u64,
    /// For how long after that it may be used while the origin fails, in seconds (RFC 5861 §4); `None` if the answer does not say.
    pub stale_if_error_s: Option<u64>,
    /// Whether it must not be used when it is stale, but for the two cases that the answer allows itself (RFC 9111 §4.2.4).
    pub must_revalidate: bool,
    /// Whether it must be validated before each use (§5.2.2.4).
    pub validate_always: bool,
    /// Whether the origin can be asked if it changed.
    pub has_validator: bool,
    /// Which headers of a request it depends on (§4.1).
    pub vary: Vary,
}

/// Why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unstorable {
    /// Its method: only GET, and POST that says where its answer is found (RFC 9110 §9.3.3).
    Verb,
    /// Its status, which depends on more than the resource, or forbids it (RFC 6585).
    Status,
    /// `must-understand`, and its status is not known here (RFC 9111 §5.2.2.3).
    NotUnderstood,
    /// A part of a body that cannot be used: several ranges, or lengths that contradict each other (RFC 9110 §15.3.7).
    PartialContent,
    /// The client said `no-store` (RFC 9111 §5.2.1.5).
    RequestNoStore,
    /// The origin said `no-store` (§5.2.2.5).
    ResponseNoStore,
    /// The origin said `private` (§5.2.2.7).
    Private,
    /// The request was authorized, and nothing allows to share its answer (§3.5).
    Authorization,
    /// It sets a cookie. Stricter than RFC 9111 §7.3, because a shared cookie is a shared session.
    SetCookie,
    /// No key can tell it from others: `Vary: *`, or too many names (§4.1).
    Vary,
    /// It could never be used: it is not fresh, and the origin cannot be asked if it changed (§3).
    NoFreshness,
}

impl Unstorable {
    /// A word for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verb => "verb",
            Self::Status => "status",
            Self::NotUnderstood => "not_understood",
            Self::PartialContent => "partial_content",
            Self::RequestNoStore => "request_no_store",
            Self::ResponseNoStore => "response_no_store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set_cookie",
            Self::Vary => "vary",
            Self::NoFreshness => "no_freshness",
        }
    }
}

/// Judges an answer.
///
/// # Errors
/// Why it must not, or need not, be stored.
pub fn judge(exchange: &Exchange<'_>) -> Result<Terms, Unstorable> {
    let directives = ResponseDirectives::read(exchange.response);
    let lifetime = lifetime::of(exchange, &directives);
    verb(exchange, &lifetime)?;
    status(exchange, &directives)?;
    sharing(exchange, &directives)?;
    let vary = Vary::read(exchange.response).ok_or(Unstorable::Vary)?;
    let terms = terms(exchange, &directives, &lifetime, vary)?;
    let stale_s = terms.stale_while_revalidate_s.max(terms.stale_if_error_s.unwrap_or(0));
    let is_of_use = terms.has_validator || terms.age_s < terms.lifetime_s.saturating_add(stale_s);
    if is_of_use { Ok(terms) } else { Err(Unstorable::NoFreshness) }
}

fn verb(exchange: &Exchange<'_>, lifetime: &Lifetime) -> Result<(), Unstorable> {
    let fits = match *exchange.verb {
        Method::GET => true,
        Method::POST => {
            let location = exchange.response.get(CONTENT_LOCATION);
            matches!(lifetime, Lifetime::Explicit(_))
                && exchange.status.is_success()
                && location.is_some_and(|location| exchange.target.is_named_by(location.as_bytes()))
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Unstorable::Verb) }
}

fn status(exchange: &Exchange<'_>, directives: &ResponseDirectives) -> Result<(), Unstorable> {
    let status = exchange.status;
    if !status::may_be_stored(status) {
        return Err(Unstorable::Status);
    }
    let is_get = *exchange.verb == Method::GET;
    if status == StatusCode::PARTIAL_CONTENT && !(is_get && Part::read(exchange.response).is_some()) {
        return Err(Unstorable::PartialContent);
    }
    if directives.must_understand && !status::is_known(status) {
        return Err(Unstorable::NotUnderstood);
    }
    Ok(())
}

/// Whether it may be given to others than the client that asked.
fn sharing(exchange: &Exchange<'_>, directives: &ResponseDirectives) -> Result<(), Unstorable> {
    if exchange.asked.no_store {
        return Err(Unstorable::RequestNoStore);
    }
    if directives.no_store && !directives.must_understand {
        return Err(Unstorable::ResponseNoStore);
    }
    if directives.private == Scope::Everything {
        return Err(Unstorable::Private);
    }
    let is_shared_by_origin =
        directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if exchange.request.contains_key(AUTHORIZATION) && !is_shared_by_origin {
        return Err(Unstorable::Authorization);
    }
    let sets_cookie = |name: &HeaderName| {
        let is_left_out = directives.private.names(name) || directives.no_cache.names(name);
        exchange.response.contains_key(name) && !is_left_out
    };
    // `public` is said by frameworks of whole folders, and no leave to share a session.
    if !exchange.shares_cookies && (sets_cookie(&SET_COOKIE) || sets_cookie(&SET_COOKIE2)) {
        return Err(Unstorable::SetCookie);
    }
    Ok(())
}

fn terms(
    exchange: &Exchange<'_>,
    directives: &ResponseDirectives,
    lifetime: &Lifetime,
    vary: Vary,
) -> Result<Terms, Unstorable> {
    let lifetime_s = match lifetime {
        Lifetime::Explicit(seconds) | Lifetime::Heuristic(seconds) => *seconds,
        Lifetime::Forbidden => return Err(Unstorable::NoFreshness),
    };
    let age = age::of(exchange);
    let validate_always = directives.no_cache == Scope::Everything;
    let is_strict = directives.must_revalidate || directives.proxy_revalidate || validate_always;
    // An explicit permission is not taken back by s-maxage, which only implies proxy-revalidate (§5.2.2.10).
    let allowed = |seconds: Option<u64>| {
        if is_strict { Some(0) } else { seconds.map(|seconds| seconds.min(CACHE_STALE_S_MAX)) }
    };
    Ok(Terms {
        age_s: age.seconds,
        lifetime_s: if age.is_known {
            lifetime_s.min(age.seconds.saturating_add(exchange.ttl_max_s))
        } else {
            0
        },
        stale_while_revalidate_s: allowed(directives.stale_while_revalidate).unwrap_or(0),
        stale_if_error_s: allowed(directives.stale_if_error),
        must_revalidate: is_strict || directives.s_maxage.is_some(),
        validate_always,
        has_validator: has_validator(exchange.response),
        vary,
    })
}
