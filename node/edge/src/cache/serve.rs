//! The general line's way through the cache: look, join the call that is under way, or make it. Every request ends with an answer, with or
//! without the cache.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use tidegate_gateway::{Admitted, Asked, KeyParts, Rejection, Request, Response, ResponseBody, Rule};
use tidegate_proto::{compiled::caches::RefreshV1, limits::INTEGRATION_TIMEOUT_MS_MAX};
use tidegate_telemetry::metrics::CacheOutcome;
use tokio::{sync::watch, time::timeout};

use super::{
    Entry, Store,
    fill::{self, Filled, Order, Outcome},
    flight::{Boarding, Landing},
    hit::{Hit, Place, find},
};
use crate::{
    integrate::{Answer, Taken},
    pipeline,
    shard::Shard,
    visit::{Trail, Visit},
};

/// How often a request joins or makes a call before it goes alone.
const ATTEMPTS: usize = 3;
/// How long it waits for another one's call: as long as any call may take.
const PATIENCE: Duration = Duration::from_millis(INTEGRATION_TIMEOUT_MS_MAX as u64 + 1_000);
/// What a caller who may not replace stored answers is told. AWS: `SUCCEED_WITH_RESPONSE_HEADER`.
const WARNING: HeaderValue =
    HeaderValue::from_static("199 Cache-control headers were ignored because the caller was unauthorized.");

/// A request at the cache.
struct Guest<'a, 's> {
    shard: &'a Rc<Shard>,
    visit: &'a Visit,
    request: &'a Request<'s>,
    admitted: &'a Admitted<'s>,
    rule: &'a Rule,
    store: Arc<Store>,
    trail: &'a mut Trail,
}

/// Answers a request without a body whose method is cached.
pub(crate) async fn serve<'s>(
    shard: &Rc<Shard>,
    visit: &Visit,
    request: &Request<'s>,
    admitted: &Admitted<'s>,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let stage = admitted.routed().stage_index();
    let (Some(rule), Some(store)) = (admitted.cache_rule(), visit.view.store(stage)) else {
        return pipeline::call(shard, visit, request, admitted, &mut Taken::nothing(), trail).await;
    };
    let store = Arc::clone(store);
    Guest { shard, visit, request, admitted, rule, store, trail }.serve().await
}

impl<'s> Guest<'_, 's> {
    async fn serve(mut self) -> Result<Answer, Rejection> {
        let headers = self.request.headers;
        let (mut refreshes, mut is_warned) = (false, false);
        match self.rule.asked(headers) {
            Asked::Stored => {}
            Asked::Own => return self.alone().await,
            Asked::Refresh if !self.rule.needs_signature() || self.shard.is_signed(self.visit) => {
                refreshes = true;
            }
            Asked::Refresh => match self.rule.refresh {
                RefreshV1::SignedOrRefused => return Err(Rejection::AccessDenied(String::new())),
                RefreshV1::SignedOrWarned => is_warned = true,
                RefreshV1::Anyone | RefreshV1::SignedOrIgnored => {}
            },
        }
        let mut answer = self.answer(refreshes).await?;
        if is_warned {
            answer.response.headers.append(header::WARNING, WARNING);
        }
        Ok(answer)
    }

    async fn answer(&mut self, refreshes: bool) -> Result<Answer, Rejection> {
        let mut key = Vec::new();
        let Some(stage) = self.visit.snapshot().caches().stage(self.admitted.routed().stage_index()) else {
            return self.alone().await;
        };
        if !self.rule.write_key(self.parts(), self.request.headers, &mut key) {
            return self.alone().await;
        }
        let hash = self.shard.cache.seed().hash(&key);
        for _ in 0..ATTEMPTS {
            let now_ns = self.shard.now_ns();
            let (cache, local) = (&self.shard.cache, &self.shard.local);
            let place = Place { cache, local, store: &self.store, stage, rule: self.rule };
            if !refreshes {
                match find(&place, self.parts(), self.request.headers, now_ns) {
                    Hit::Fresh(entry) => {
                        self.trail.cache = CacheOutcome::Hit;
                        return Ok(self.hand_out(&entry, now_ns));
                    }
                    Hit::Unfit => return self.alone().await,
                    Hit::Nothing => {}
                }
            }
            let lead = match self.shard.cache.board(hash, &key) {
                Boarding::Lead(lead) => Some(lead),
                Boarding::Follow(_) | Boarding::Alone if refreshes => None,
                Boarding::Alone => return self.alone().await,
                Boarding::Follow(landing) => match self.follow(landing).await {
                    Some(Landing::Stored(_) | Landing::Lost) => continue,
                    Some(Landing::Shared(entry)) => return Ok(self.hand_out(&entry, now_ns)),
                    Some(Landing::Failed(rejection)) => return Err(rejection),
                    Some(Landing::Unfit) | None => return self.alone().await,
                },
            };
            self.trail.cache = CacheOutcome::Miss;
            let order = Order {
                shard: Rc::clone(self.shard),
                visit: self.visit.clone(),
                pass: self.admitted.pass(),
                store: Arc::clone(&self.store),
                key,
                hash,
                lead,
            };
            return match fill::launch(order).await {
                Ok(filled) => self.take(filled),
                Err(_) => self.alone().await,
            };
        }
        self.alone().await
    }

    fn parts(&self) -> KeyParts<'s> {
        KeyParts { rest: self.request.rest(), query: self.request.query }
    }

    /// Waits for what comes of another one's call.
    async fn follow(&self, mut landing: watch::Receiver<Option<Landing>>) -> Option<Landing> {
        self.shard.cache.note_coalesced();
        match timeout(PATIENCE, landing.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone(),
            Ok(Err(_)) => Some(Landing::Lost),
            Err(_) => None,
        }
    }

    /// Makes the call for this request, and stores nothing.
    async fn alone(&mut self) -> Result<Answer, Rejection> {
        let Self { shard, visit, request, admitted, trail, .. } = self;
        pipeline::call(shard, visit, request, admitted, &mut Taken::nothing(), trail).await
    }

    /// Takes what came of the call that was made for it.
    fn take(&mut self, filled: Filled) -> Result<Answer, Rejection> {
        let Filled { outcome, trail } = filled;
        self.trail.integration_status = trail.integration_status;
        self.trail.integration_error = trail.integration_error;
        self.trail.phases.integrate_us = self.trail.lap_us();
        match outcome {
            Outcome::Entry(entry) => Ok(self.hand_out(&entry, entry.stored_ns)),
            Outcome::Passing(answer) => Ok(answer),
            Outcome::Failed(rejection) => Err(rejection),
        }
    }

    /// A stored answer as this request gets it.
    fn hand_out(&self, entry: &Entry, now_ns: u64) -> Answer {
        let mut headers: HeaderMap = entry.headers.clone();
        if self.trail.cache == CacheOutcome::Hit {
            headers.insert(header::AGE, HeaderValue::from(entry.age_s(now_ns)));
        }
        let body = ResponseBody::Bytes(entry.body.clone());
        Answer::local(Response { status: entry.status, headers, body })
    }
}
