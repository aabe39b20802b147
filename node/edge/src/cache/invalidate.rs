//! What a request that changes something makes invalid (RFC 9111 §4.4): the stored answers of its own target, and of those that its answer
//! names. Only where answers are cached as HTTP defines it.

use http::{HeaderMap, Method, StatusCode};
use tidegate_cache::{
    invalidation::{invalidated, is_safe},
    target::Target,
};
use tidegate_gateway::{Address, KeyParts, address};

use crate::{publish::View, shard::Shard};

/// Whether a request with this verb to a stage may make stored answers invalid.
pub(crate) fn may_invalidate(view: &View, stage: usize, verb: &str) -> bool {
    view.snapshot().caches().stage(stage).is_some_and(|cache| cache.has_http)
        && Method::from_bytes(verb.as_bytes()).is_ok_and(|verb| !is_safe(&verb))
}

/// Takes out what an exchange made invalid; `response` needs to hold no more than Location and Content-Location.
pub(crate) fn invalidate(
    shard: &Shard,
    view: &View,
    verb: &Method,
    target: &Target<'_>,
    status: StatusCode,
    response: &HeaderMap,
) {
    for path in invalidated(verb, target, status, response) {
        remove(shard, view, target, &path);
    }
}

/// Takes out the answers to GET of one path, with its query. Upstreams name paths as they know them: what is not one of this gateway's is
/// taken for one after the stage of the exchange.
fn remove(shard: &Shard, view: &View, exchange: &Target<'_>, named: &str) {
    let (path, query) = named.split_once('?').map_or((named, None), |(path, query)| (path, Some(query)));
    let of = |path| address(exchange.authority.as_bytes(), path);
    let is_known = |found: &Address<'_>| view.snapshot().stage(found.api, found.stage).is_some();
    let beside = || Some(Address { rest: path, ..of(exchange.path)? });
    let Some(found) = of(path).filter(is_known).or_else(beside) else { return };
    let Ok(routed) = view.snapshot().route(Some(found), "GET") else { return };
    let (Some(rule), Some(store)) = (routed.cache_rule(), view.store(routed.stage_index())) else { return };
    let mut key = Vec::new();
    // A key by headers is not one of HTTP's rules, so nothing is missing from it.
    if rule.is_http() && rule.write_key(KeyParts { rest: found.rest, query }, &HeaderMap::new(), &mut key) {
        // First those who fill it, so that none of them puts back what is taken out.
        shard.cache.zone().forget(&key);
        store.remove(shard.cache.seed().hash(&key), &key);
    }
}
