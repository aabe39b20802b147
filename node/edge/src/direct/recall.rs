//! Stored answers on the short line: a hit is written from where it is stored, a small one in one piece; whatever else the cache has to do is the pipeline's, and the
//! connection stays here.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tidegate_gateway::{Authorized, KeyParts, Rule, push_number};
use tidegate_listener::{Body, direct::head::Head};
use tidegate_proto::limits::CACHE_COPY_BYTES_MAX;

use super::{
    decide::{Ready, Sight, Site, Turn},
    errand::Errand,
};
use crate::{
    cache::{Entry, Found, Place, find},
    limiter::is_starved,
    publish::View,
};

impl Site<'_> {
    /// What to do with a request whose method is cached. Nothing is counted unless it is answered here.
    #[inline]
    pub(super) fn recall(
        &self,
        sight: &Sight<'_, '_>,
        view: &View,
        errand: &mut Errand,
        authorized: Authorized<'_>,
        rule: &Rule,
    ) -> Turn {
        if sight.body != Some(&[]) {
            return Turn::Hand;
        }
        let place = authorized.routed().stage_index();
        let caches = view.snapshot().caches();
        let (Some(stage), Some(store)) = (caches.stage(place), view.store(place)) else { return Turn::Hand };
        let is_usual = sight.marks.is_plain() && !rule.tells_always && !authorized.has_limit_headers();
        if !is_usual {
            return Turn::Fetch;
        }
        let rest = sight.address.map_or("", |address| address.rest);
        let parts = KeyParts { rest, query: sight.head.query };
        let (cache, local) = (&self.shard.cache, &self.shard.local);
        let place = Place { cache, local, store, stage, rule };
        let found = find(&place, parts, sight.head.fields, errand.arrived_ns);
        let Found::Answer(entry) = found else { return Turn::Fetch };
        if !entry.is_fresh(errand.arrived_ns) {
            return Turn::Fetch;
        }
        match self.shard.admission.pass(authorized, errand.arrived_ns) {
            Ok(_) => Turn::Stored(entry),
            Err(rejection) if is_starved(&rejection) => Turn::Fetch,
            Err(rejection) => Turn::Reject(rejection),
        }
    }
}

/// Writes a stored answer; a large body stays where it is.
pub(super) fn stored(
    site: &Site<'_>,
    entry: &Arc<Entry>,
    sight: &Sight<'_, '_>,
    errand: &mut Errand,
) -> Ready {
    let mut out = site.desk.buffers.output();
    errand.status = entry.status.as_u16();
    errand.is_hit = true;
    out.extend_from_slice(&entry.head);
    if !entry.is_dated {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(&*site.shard.date.borrow());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Age: ");
    push_number(&mut out, entry.age_s(errand.arrived_ns));
    out.extend_from_slice(b"\r\nx-amzn-RequestId: ");
    out.extend_from_slice(errand.identity.ids());
    out.extend_from_slice(if errand.close {
        b"\r\nConnection: close\r\n\r\n".as_slice()
    } else {
        b"\r\n\r\n"
    });
    let body = if sight.head.method == "HEAD" { &Bytes::new() } else { &entry.body };
    let body_bytes = body.len() as u64;
    if body.len() <= CACHE_COPY_BYTES_MAX {
        out.extend_from_slice(body);
        return Ready { out, body: Bytes::new(), body_bytes };
    }
    Ready { out, body: body.clone(), body_bytes }
}

/// The request as the pipeline takes it; `None` for one that its types cannot hold.
pub(super) fn fetch(head: &Head<'_, '_>) -> Option<Box<http::Request<Body>>> {
    let mut headers = HeaderMap::with_capacity(head.fields.len() + 4);
    for field in head.fields {
        let name = HeaderName::from_bytes(field.name).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    let target = match head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_owned(),
    };
    let mut request = http::Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    if !headers.contains_key(header::HOST) {
        return None;
    }
    *request.headers_mut() = headers;
    Some(Box::new(request))
}
