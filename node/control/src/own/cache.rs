//! Cached answers as an operator sees them: what is held, and what is taken out. Owns the parameters of those calls; who holds the
//! answers is behind a seam.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tidegate_proto::{
    compiled::VERBS,
    document::CachePurge,
    limits::{CACHE_PURGE_BYTES_MAX, CACHE_TOP_COUNT_MAX},
};

use crate::{
    answer::print,
    cache::settle,
    driver::{Reply, barrier, retry_to},
    error::ApiError,
    input::Input,
    query::Query,
    rest::{purge_stage, unsupported::Shape},
    store::{CacheQuestion, CacheRequest, Caches, Store},
};

/// Answers that are listed where the question does not say how many.
const COUNT: usize = 20;

/// Answers `POST /_tidegate/cache/purge`, once every node of the region serves it.
pub(crate) async fn purge(
    store: &Arc<dyn Store>,
    caches: &dyn Caches,
    body: &Bytes,
) -> Result<Reply, ApiError> {
    let Asked { api, stage, part } = Asked::read(body)?;
    barrier(store).await?;
    let decide = || {
        let (view, api, stage, part) = (store.view(), api.clone(), stage.clone(), part.clone());
        // Looking for a resource in a large deployment takes long enough to be kept off the threads that serve sockets.
        let work = tokio::task::spawn_blocking(move || purge_stage(&view, &api, &stage, part));
        async { work.await.map_err(|fault| ApiError::internal(fault.to_string()))? }
    };
    let (answer, revision) = retry_to(store, decide).await?;
    settle(caches, revision).await?;
    Ok(Reply { answer, stale: false })
}

/// Answers `GET /_tidegate/cache/top`.
pub(crate) async fn top(caches: &dyn Caches, query: &Query) -> Result<Value, ApiError> {
    let mut question = CacheQuestion { count: COUNT, ..CacheQuestion::default() };
    for (name, value) in query.pairs() {
        match name {
            "count" => {
                let count = value.parse().ok().filter(|count| (1..=CACHE_TOP_COUNT_MAX).contains(count));
                let rule = || format!("must be a whole number from 1 to {CACHE_TOP_COUNT_MAX}");
                question.count = count.ok_or_else(|| invalid(name, value, &rule()))?;
            }
            "api" => question.api = Some(value.to_owned()),
            "stage" => question.stage = Some(value.to_owned()),
            _ => return Err(unknown(name, "api, stage, count")),
        }
    }
    Ok(print(&caches.top(question).await))
}

/// Answers `GET /_tidegate/cache/entry`.
pub(crate) async fn look(caches: &dyn Caches, query: &Query) -> Result<Value, ApiError> {
    let mut request = CacheRequest::default();
    for (name, value) in query.pairs() {
        let field = match name {
            "api" => &mut request.api,
            "stage" => &mut request.stage,
            "path" => &mut request.path,
            "query" => &mut request.query,
            _ => return Err(unknown(name, "api, stage, path, query")),
        };
        value.clone_into(field);
    }
    for (name, value) in [("api", &request.api), ("stage", &request.stage)] {
        if value.is_empty() {
            return Err(invalid(name, value, "must be given"));
        }
    }
    if !request.path.starts_with('/') {
        return Err(invalid("path", &request.path, "must begin with /"));
    }
    Ok(print(&caches.look(request).await))
}

/// What is to be taken out.
#[derive(Debug, PartialEq)]
struct Asked {
    api: String,
    stage: String,
    part: CachePurge,
}

impl Asked {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut input = Input::parse("purgeInput", body)?;
        let (api, stage) = (input.required("api")?, input.required("stage")?);
        let part = CachePurge {
            sequence: 0,
            verb: input.string("method")?,
            resource: input.string("resource")?,
            prefix: input.string("prefix")?,
            tag: input.string("tag")?,
        };
        input.finish(Shape::Tags)?;
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_path = |path: &str| path.starts_with('/');
        let verbs = format!("must be one of {}", VERBS.join(", "));
        check("method", &part.verb, |verb| VERBS.contains(&verb), &verbs)?;
        check("resource", &part.resource, is_path, "must begin with /")?;
        let rule = "must begin with / and be printable ASCII without blanks";
        check("prefix", &part.prefix, |prefix| is_path(prefix) && is_word(prefix), rule)?;
        let rule = "must be printable ASCII without blanks and commas";
        check("tag", &part.tag, |tag| is_word(tag) && !tag.contains(','), rule)?;
        Ok(Self { api, stage, part })
    }
}

fn check(
    name: &str,
    value: &Option<String>,
    is_good: impl Fn(&str) -> bool,
    rule: &str,
) -> Result<(), ApiError> {
    let Some(value) = value else { return Ok(()) };
    if value.is_empty() || value.len() > CACHE_PURGE_BYTES_MAX {
        return Err(ApiError::bad_request(format!(
            "Invalid {name} of {} bytes, must have 1 to {CACHE_PURGE_BYTES_MAX}; leave it out to purge whatever it is",
            value.len()
        )));
    }
    if is_good(value) { Ok(()) } else { Err(invalid(name, value, rule)) }
}

fn invalid(name: &str, value: &str, rule: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid {name} '{value}', {rule}"))
}

fn unknown(name: &str, known: &str) -> ApiError {
    ApiError::bad_request(format!("Unknown parameter '{name}', must be one of {known}"))
}
