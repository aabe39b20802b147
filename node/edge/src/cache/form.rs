//! The parts of a stored answer in the words of [`tidegate_proto`], and back: for those who send it elsewhere, be it another node or the
//! next process. Must never say how old an answer is.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_cache::{terms::Terms, vary::Vary};
use tidegate_proto::{
    cache::{HeaderV1, OriginV1, TermsV1},
    limits::{CACHE_TAGS_MAX, CACHE_VARY_NAMES_MAX},
};

use super::entry::Origin;

pub(crate) fn write_headers(headers: &HeaderMap) -> Vec<HeaderV1> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| HeaderV1 {
        name: name.as_str().into(),
        value: value.as_bytes().into(),
    };
    headers.iter().map(line).collect()
}

/// `None` for lines that are none.
pub(crate) fn read_headers(headers: Vec<HeaderV1>) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for HeaderV1 { name, value } in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        map.try_append(name, HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?).ok()?;
    }
    Some(map)
}

pub(crate) fn write_terms(terms: &Terms) -> TermsV1 {
    TermsV1 {
        age_s: terms.age_s,
        lifetime_s: terms.lifetime_s,
        stale_while_revalidate_s: terms.stale_while_revalidate_s,
        stale_if_error_s: terms.stale_if_error_s,
        must_revalidate: terms.must_revalidate,
        validate_always: terms.validate_always,
        has_validator: terms.has_validator,
        vary: write_names(&terms.vary.names),
    }
}

/// The terms of an answer whose age does not count from when it was received, but `before_ns` later; `None` for names that are none.
pub(crate) fn read_terms(terms: &TermsV1, before_ns: u64) -> Option<Terms> {
    Some(Terms {
        age_s: terms.age_s.saturating_add(before_ns.div_ceil(1_000_000_000)),
        lifetime_s: terms.lifetime_s,
        stale_while_revalidate_s: terms.stale_while_revalidate_s,
        stale_if_error_s: terms.stale_if_error_s,
        must_revalidate: terms.must_revalidate,
        validate_always: terms.validate_always,
        has_validator: terms.has_validator,
        vary: Vary { names: read_names(&terms.vary)? },
    })
}

pub(crate) fn write_origin(origin: &Origin) -> OriginV1 {
    OriginV1 {
        verb: origin.verb.to_string(),
        resource: origin.resource.to_string(),
        path: origin.path.to_string(),
        tags: origin.tags.iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn read_origin(origin: OriginV1) -> Origin {
    Origin {
        verb: origin.verb.into(),
        resource: origin.resource.into(),
        path: origin.path.into(),
        tags: origin.tags.into_iter().take(CACHE_TAGS_MAX).map(Into::into).collect(),
    }
}

/// Names of headers as text.
pub(crate) fn write_names(names: &[HeaderName]) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

/// Names of headers from text; `None` if one is none, or there are too many.
pub(crate) fn read_names(names: &[String]) -> Option<Vec<HeaderName>> {
    if names.len() > CACHE_VARY_NAMES_MAX {
        return None;
    }
    names.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect()
}
