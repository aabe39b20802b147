//! The call that fills the cache: made on its own, so that it comes to its end though the client that asked first leaves. Owns that
//! nothing is stored that is not whole.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tidegate_gateway::{Fault, Pass, Rejection, Response, ResponseBody, Rule};
use tidegate_proto::limits::{
    CACHE_BODY_BYTES_MAX, CACHE_TAGS_MAX, CACHE_UNFIT_MS, CACHE_VARY_NAMES_MAX, INTEGRATION_TIMEOUT_MS_MAX,
};
use tokio::{sync::oneshot, task::spawn_local, time::timeout};

use super::{
    Entry, Store,
    entry::{Fresh, Origin},
    flight::{Landing, Lead},
    hit::write_variant,
    store::{Kept, Unfit, Variants},
};
use crate::{
    integrate::{Answer, Taken},
    pipeline,
    shard::Shard,
    upstream::{ReplyBody, UpstreamBody},
    visit::{Trail, Visit},
};

/// Longest time for the body of an answer once its head is there.
const BODY_TIME: Duration = Duration::from_millis(INTEGRATION_TIMEOUT_MS_MAX as u64);
/// What asks for less than the whole, or for an answer only if it differs: that is between the client and this gateway.
const CONDITIONS: [header::HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// A call to be made.
pub(super) struct Order {
    pub(super) shard: Rc<Shard>,
    pub(super) visit: Visit,
    pub(super) pass: Pass,
    pub(super) store: Arc<Store>,
    pub(super) key: Vec<u8>,
    pub(super) hash: u64,
    /// Where others wait for it.
    pub(super) lead: Option<Lead>,
}

/// What came of it, for the request that ordered it.
pub(super) struct Filled {
    pub(super) outcome: Outcome,
    /// How the call went.
    pub(super) trail: Trail,
}

pub(super) enum Outcome {
    /// Stored, or good for all who wait.
    Entry(Arc<Entry>),
    /// For this request alone.
    Passing(Answer),
    Failed(Rejection),
}

/// Makes the call.
pub(super) fn launch(mut order: Order) -> oneshot::Receiver<Filled> {
    let (told, seen) = oneshot::channel();
    for name in CONDITIONS {
        order.visit.head.headers.remove(name);
    }
    spawn_local(async move {
        let mut trail = Trail::begin(std::time::Instant::now());
        let outcome = order.fill(&mut trail).await;
        // The client may have left meanwhile.
        let _ = told.send(Filled { outcome, trail });
    });
    seen
}

impl Order {
    async fn fill(&mut self, trail: &mut Trail) -> Outcome {
        let asked_ns = self.shard.now_ns();
        let gathered = match self.call(trail).await {
            Ok(answer) => gather(answer).await,
            Err(rejection) => Err(rejection),
        };
        let lead = self.lead.take();
        let land = |landing: Landing| lead.into_iter().for_each(|lead| lead.land(landing.clone()));
        match gathered {
            Ok(Gathered::Whole(response, body)) => {
                let stores = self.stores(&response);
                let entry = self.write_out(response, body, asked_ns);
                self.shard.cache.note_kept(stores.is_some());
                match stores {
                    Some(names) => {
                        self.keep(&entry, names);
                        land(Landing::Stored(Arc::clone(&entry)));
                    }
                    None if is_for_all(&entry) => land(Landing::Shared(Arc::clone(&entry))),
                    None => {
                        self.note_unfit();
                        land(Landing::Unfit);
                    }
                }
                Outcome::Entry(entry)
            }
            Ok(Gathered::TooLarge(answer)) => {
                self.note_unfit();
                land(Landing::Unfit);
                Outcome::Passing(answer)
            }
            Err(rejection) => {
                land(Landing::Failed(rejection.clone()));
                Outcome::Failed(rejection)
            }
        }
    }

    async fn call(&self, trail: &mut Trail) -> Result<Answer, Rejection> {
        let (visit, request) = (&self.visit, self.visit.request());
        let admitted = visit.snapshot().readmit(self.pass).ok_or(Rejection::ApiConfigurationError)?;
        let mut taken = Taken::nothing();
        pipeline::call(&self.shard, visit, &request, &admitted, &mut taken, trail).await
    }

    fn rule(&self) -> Option<&Rule> {
        self.visit.snapshot().readmit(self.pass)?.cache_rule()
    }

    /// The names of the headers that choose the answer, where it may be stored.
    fn stores(&self, response: &Response) -> Option<Vec<Box<str>>> {
        let rule = self.rule()?;
        let headers = &response.headers;
        let is_fit = response.status.is_success() && response.status != StatusCode::PARTIAL_CONTENT;
        let shares = rule.shares_cookies || !headers.contains_key(header::SET_COOKIE);
        (is_fit && shares).then(|| varying(headers)).flatten()
    }

    fn write_out(&self, response: Response, body: Bytes, asked_ns: u64) -> Arc<Entry> {
        let rule = self.rule();
        let lifetime_s = rule.map_or(0, |rule| u64::from(rule.ttl_s));
        let Response { status, headers, .. } = response;
        let origin = self.origin(&headers);
        Arc::new(Entry::new(
            &self.key,
            Fresh {
                status,
                headers,
                body,
                stored_ns: asked_ns,
                lifetime_ns: lifetime_s * 1_000_000_000,
                age_s: 0,
                origin,
                sequence: rule.map_or(0, |rule| rule.sequence),
            },
        ))
    }

    fn origin(&self, headers: &HeaderMap) -> Origin {
        let request = self.visit.request();
        let admitted = self.visit.snapshot().readmit(self.pass);
        let tags = ["cache-tag", "surrogate-key"].into_iter().flat_map(|name| headers.get_all(name));
        let tags = tags.filter_map(|value| value.to_str().ok());
        let tags =
            tags.flat_map(|value| value.split([',', ' '])).map(str::trim).filter(|tag| !tag.is_empty());
        Origin {
            verb: request.verb.into(),
            resource: admitted.map_or("", |admitted| admitted.routed().resource_path()).into(),
            path: request.rest().into(),
            tags: tags.take(CACHE_TAGS_MAX).map(Box::from).collect(),
        }
    }

    fn keep(&self, entry: &Arc<Entry>, names: Vec<Box<str>>) {
        if names.is_empty() {
            return self.store.keep(self.hash, Kept::Answer(Arc::clone(entry)));
        }
        let mut key = self.key.clone();
        if !write_variant(&names, &self.visit.head.headers, &mut key) {
            return;
        }
        let hash = self.shard.cache.seed().hash(&key);
        let entry = Arc::new(entry.under(&key));
        self.store.keep(hash, Kept::Answer(entry));
        let variants = Variants { key: self.key.clone().into(), names: names.into() };
        self.store.keep(self.hash, Kept::Variants(Arc::new(variants)));
    }

    fn note_unfit(&self) {
        let until_ns = self.shard.now_ns() + CACHE_UNFIT_MS * 1_000_000;
        let unfit = Unfit { key: self.key.clone().into(), until_ns };
        self.store.keep(self.hash, Kept::Unfit(Arc::new(unfit)));
    }
}

/// Whether an answer that is not stored may be given to all who asked for it at the same time: an error that is nobody's own.
fn is_for_all(entry: &Entry) -> bool {
    let is_error = entry.status.is_client_error() || entry.status.is_server_error();
    is_error && !entry.headers.contains_key(header::SET_COOKIE)
}

/// The headers that choose an answer; `None` when nobody can say which. What is encoded was chosen by what the client decodes, whether
/// the upstream says so or not.
fn varying(headers: &HeaderMap) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    for value in headers.get_all(header::VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return None;
            }
            names.push(name.to_ascii_lowercase().into_boxed_str());
        }
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        names.push(header::ACCEPT_ENCODING.as_str().into());
    }
    names.sort_unstable();
    names.dedup();
    (names.len() <= CACHE_VARY_NAMES_MAX).then_some(names)
}

/// An answer that has been read as far as it may be kept.
enum Gathered {
    Whole(Response, Bytes),
    TooLarge(Answer),
}

async fn gather(answer: Answer) -> Result<Gathered, Rejection> {
    let Answer { response, stream } = answer;
    let stream = match (&response.body, stream) {
        (ResponseBody::Bytes(bytes), _) if bytes.len() <= CACHE_BODY_BYTES_MAX => {
            let bytes = bytes.clone();
            return Ok(Gathered::Whole(response, bytes));
        }
        (ResponseBody::Stream, None) => return Ok(Gathered::Whole(response, Bytes::new())),
        (ResponseBody::Stream, Some(ReplyBody::Whole(bytes))) if bytes.len() <= CACHE_BODY_BYTES_MAX => {
            return Ok(Gathered::Whole(response, bytes));
        }
        (ResponseBody::Stream, Some(ReplyBody::Stream(stream))) => stream,
        (_, stream) => return Ok(Gathered::TooLarge(Answer { response, stream })),
    };
    read(response, stream).await
}

/// Reads a body to its end, or until it is too large to keep; what ends with its connection may have been cut off.
async fn read(response: Response, mut stream: Box<UpstreamBody>) -> Result<Gathered, Rejection> {
    let mut whole = Vec::new();
    let is_long = stream.size_hint().lower() > CACHE_BODY_BYTES_MAX as u64;
    while !is_long && !stream.ends_with_connection() {
        let frame = timeout(BODY_TIME, stream.frame()).await.map_err(|_| Rejection::IntegrationTimeout)?;
        match frame {
            None => return Ok(Gathered::Whole(response, whole.into())),
            Some(Ok(frame)) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(fault)) => {
                tracing::debug!(%fault, "an answer for the cache broke off");
                return Err(Rejection::IntegrationFailure(Fault::Answer));
            }
        }
        if whole.len() > CACHE_BODY_BYTES_MAX {
            break;
        }
    }
    stream.begin_with(whole.into());
    Ok(Gathered::TooLarge(Answer { response, stream: Some(ReplyBody::Stream(stream)) }))
}
