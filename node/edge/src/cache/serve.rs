//! The general line's way through the cache: look, join the call that is under way, or make it. Every request ends with an answer, with or
//! without the cache.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, header};
use tidegate_cache::{
    condition::must_forward,
    directive::RequestDirectives,
    reuse::{Failure, Reuse, on_error, reuse},
    status::{Reason, Told},
};
use tidegate_gateway::{Admitted, Asked, Fault, KeyParts, Rejection, Request, Rule, StageCache};
use tidegate_proto::{compiled::caches::RefreshV1, limits::INTEGRATION_TIMEOUT_MS_MAX};
use tidegate_telemetry::metrics::CacheOutcome;
use tokio::{sync::watch, time::timeout};

use super::{
    Entry, Store,
    fill::{self, Filled, Order, Outcome},
    flight::{Boarding, Landing, Lead},
    hit::{Found, Place, find, survives},
    present::{gateway_timeout, present},
    restore::restore,
    zone::Discovery,
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
    rule: &'s Rule,
    stage: &'s StageCache,
    store: Arc<Store>,
    /// What it asks of caches, where HTTP's rules apply.
    asked: RequestDirectives,
    trail: &'a mut Trail,
    told: Told,
    /// Whether it wants the upstream to be called, whatever is stored.
    insists: bool,
}

/// What to do with what was found.
enum Step {
    Done(Answer),
    /// Ask the upstream, whether the stored answer is still right.
    Fill(Option<Arc<Entry>>),
    /// Ask it without waiting for others: what comes is seldom for all.
    Apart,
}

/// Answers a request without a body whose method is cached.
pub(crate) async fn serve<'s>(
    shard: &Rc<Shard>,
    visit: &'s Visit,
    request: &Request<'s>,
    admitted: &Admitted<'s>,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let place = admitted.routed().stage_index();
    let stage = visit.snapshot().caches().stage(place);
    let (Some(rule), Some(stage), Some(store)) = (admitted.cache_rule(), stage, visit.view.store(place))
    else {
        return pipeline::call(shard, visit, request, admitted, &mut Taken::nothing(), trail).await;
    };
    let asked = match rule.is_http() {
        true => RequestDirectives::read(request.headers),
        false => RequestDirectives::default(),
    };
    let (store, told) = (Arc::clone(store), Told::forwarded(Reason::Bypass));
    let insists = false;
    let mut guest =
        Guest { shard, visit, request, admitted, rule, stage, store, asked, trail, told, insists };
    let mut answer = guest.serve().await?;
    if rule.tells(request.headers) {
        let mut text = Vec::new();
        guest.told.write(&mut text);
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            answer.response.headers.append("cache-status", value);
        }
    }
    Ok(answer)
}

impl<'s> Guest<'_, 's> {
    async fn serve(&mut self) -> Result<Answer, Rejection> {
        let (mut refreshes, mut is_warned) = (false, false);
        match self.rule.asked(self.request.headers) {
            Asked::Stored => {}
            Asked::Own => return self.alone().await,
            Asked::Refresh if !self.rule.needs_signature() || self.is_signed() => {
                refreshes = true;
            }
            Asked::Refresh => match self.rule.refresh {
                RefreshV1::SignedOrRefused => return Err(Rejection::AccessDenied(String::new())),
                RefreshV1::SignedOrWarned => is_warned = true,
                RefreshV1::Anyone | RefreshV1::SignedOrIgnored => {}
            },
        }
        if self.rule.is_http() && must_forward(self.request.headers) {
            return self.alone().await;
        }
        let mut answer = self.answer(refreshes).await?;
        if is_warned {
            answer.response.headers.append(header::WARNING, WARNING);
        }
        Ok(answer)
    }

    async fn answer(&mut self, refreshes: bool) -> Result<Answer, Rejection> {
        let mut key = Vec::new();
        if !self.rule.write_key(self.parts(), self.request.headers, &mut key) {
            return self.alone().await;
        }
        let hash = self.shard.cache.seed().hash(&key);
        let mut may_restore = !refreshes;
        for _ in 0..ATTEMPTS {
            let stale = match self.look(&key, hash, refreshes) {
                Step::Done(answer) => return Ok(answer),
                Step::Apart if self.restore(&key, &mut may_restore).await => continue,
                Step::Apart => return self.fill(key, hash, None, None, refreshes).await,
                Step::Fill(stale) => stale,
            };
            let lead = match self.shard.cache.board(hash, &key) {
                // Those who wait look again too.
                Boarding::Lead(_) if stale.is_none() && self.restore(&key, &mut may_restore).await => {
                    continue;
                }
                Boarding::Lead(lead) => Some(lead),
                Boarding::Follow(_) | Boarding::Alone if refreshes => None,
                Boarding::Alone => None,
                Boarding::Follow(landing) => match self.follow(landing).await {
                    Some(Landing::Stored(entry) | Landing::Shared(entry))
                        if *entry.key == *key && survives(&entry, self.stage) =>
                    {
                        self.note_collapsed();
                        if let Some(stale) = stale.filter(|stale| self.may_stand_in(stale, entry.status)) {
                            return self.stand_in(&stale);
                        }
                        return self.hand_out(&entry).ok_or(Rejection::IntegrationFailure(Fault::Answer));
                    }
                    Some(Landing::Stored(_) | Landing::Shared(_) | Landing::Lost) => continue,
                    Some(Landing::Failed(rejection)) => return self.fail(stale, rejection),
                    Some(Landing::Unfit) | None => return self.alone().await,
                },
            };
            return self.fill(key, hash, lead, stale, refreshes).await;
        }
        self.alone().await
    }

    /// Whether an answer came back from disk; asked once per request.
    async fn restore(&self, key: &[u8], may_restore: &mut bool) -> bool {
        let cache = &self.shard.cache;
        std::mem::take(may_restore)
            && cache.is_current(self.rule, self.shard.now_ns())
            && restore(cache, &self.store, key, |variants| variants.key_of(self.request.headers)).await
    }

    /// What to do with what is stored.
    fn look(&mut self, key: &[u8], hash: u64, refreshes: bool) -> Step {
        let now_ns = self.shard.now_ns();
        let (cache, local) = (&self.shard.cache, &self.shard.local);
        let place = Place { cache, local, store: &self.store, stage: self.stage, rule: self.rule };
        let is_current = cache.is_current(self.rule, now_ns);
        let reason = if is_current { Reason::UriMiss } else { Reason::Bypass };
        (self.told, self.insists) = (Told::forwarded(reason), refreshes);
        let found = find(&place, self.parts(), self.request.headers, now_ns);
        let entry = match found {
            Found::Answer(entry) => entry,
            _ if self.asked.only_if_cached => {
                self.trail.cache = CacheOutcome::Miss;
                return Step::Done(gateway_timeout());
            }
            Found::Unfit => return Step::Apart,
            // A call that is under way may be older than a flush that this node does not know of.
            Found::Nothing if !is_current => return Step::Apart,
            Found::Variants(variants) => return self.miss(&variants.names),
            Found::Nothing => return self.miss(&[]),
        };
        if refreshes {
            self.told = Told::forwarded(Reason::Request);
            return Step::Fill(None);
        }
        let verdict = reuse(&entry.terms, entry.resident_s(now_ns), &self.asked);
        match verdict {
            Reuse::Fresh | Reuse::StaleWhileRevalidate => {
                // What is stored is a part, and not the one that is asked for.
                let Some(answer) = self.hit(&entry, now_ns) else { return Step::Fill(Some(entry)) };
                if verdict == Reuse::StaleWhileRevalidate {
                    self.refresh(key, hash, entry);
                }
                Step::Done(answer)
            }
            Reuse::OnlyIfCached => Step::Done(gateway_timeout()),
            Reuse::Validate => {
                let is_fresh = entry.is_fresh(now_ns);
                self.insists = is_fresh;
                self.told = Told::forwarded(if is_fresh { Reason::Request } else { Reason::Stale });
                Step::Fill(Some(entry))
            }
        }
    }

    /// Whether a caller of the account signed the request.
    fn is_signed(&self) -> bool {
        let now_s = i64::try_from(self.request.facts.time_ms / 1_000).unwrap_or(i64::MAX);
        self.shard.cache.is_signed(&self.visit.head, now_s)
    }

    /// What to do where nothing is stored for a key whose answers are chosen by these headers, as far as is known.
    fn miss(&self, names: &[HeaderName]) -> Step {
        match fill::is_apart(self.rule, self.request.headers, names) {
            true => Step::Apart,
            false => Step::Fill(None),
        }
    }

    /// Asks the upstream while the stored answer is served.
    fn refresh(&self, key: &[u8], hash: u64, stale: Arc<Entry>) {
        if let Boarding::Lead(lead) = self.shard.cache.board(hash, key) {
            drop(fill::launch(self.order(key.to_vec(), hash, Some(lead), Some(stale))));
        }
    }

    fn order(&self, key: Vec<u8>, hash: u64, lead: Option<Lead>, stale: Option<Arc<Entry>>) -> Order {
        Order {
            shard: Rc::clone(self.shard),
            visit: self.visit.clone(),
            pass: self.admitted.pass(),
            store: Arc::clone(&self.store),
            key,
            hash,
            lead,
            stale,
            asks_part: false,
            asked: self.asked,
            insists: self.insists,
            replaces: self.insists && !self.rule.is_http(),
        }
    }

    async fn fill(
        &mut self,
        key: Vec<u8>,
        hash: u64,
        lead: Option<Lead>,
        stale: Option<Arc<Entry>>,
        refreshes: bool,
    ) -> Result<Answer, Rejection> {
        self.trail.cache = match self.told {
            Told::Forwarded { reason: Reason::Bypass, .. } => CacheOutcome::Bypass,
            _ => CacheOutcome::Miss,
        };
        // What is asked by HEAD, or of a part, is no answer for who waits for the whole.
        let asks_part = self.rule.is_http() && self.request.headers.contains_key(header::RANGE);
        let asks_head = self.rule.is_http() && self.request.verb == "HEAD";
        let lead = lead.filter(|_| !asks_part && !asks_head);
        if asks_head {
            return self.alone().await;
        }
        let mut order = Order { asks_part, ..self.order(key, hash, lead, stale.clone()) };
        if refreshes && self.rule.needs_signature() {
            // The signature was for this gateway; with it the answer would be one of the caller's own.
            order.visit.head.headers.remove(header::AUTHORIZATION);
        }
        let Ok(Filled { outcome, trail }) = fill::launch(order).await else { return self.alone().await };
        if !matches!(outcome, Outcome::Found(_)) {
            self.trail.integration_status = trail.integration_status;
            self.trail.integration_error = trail.integration_error;
            (self.trail.upstream, self.trail.attempts) = (trail.upstream, trail.attempts);
            self.trail.phases.integrate_us = self.trail.lap_us();
        }
        match outcome {
            Outcome::Found(discovery) => self.discovered(&discovery),
            Outcome::Entry(entry) => {
                if let Some(stale) = stale.filter(|stale| self.may_stand_in(stale, entry.status)) {
                    return self.stand_in(&stale);
                }
                self.note_forwarded(trail.integration_status, &entry);
                // An answer that was young when it came has no age worth telling.
                let now_ns = (entry.terms.age_s > 0).then_some(entry.stored_ns);
                let answer = present(&entry, self.request, now_ns);
                answer.ok_or(Rejection::IntegrationFailure(Fault::Answer))
            }
            Outcome::Passing(answer) => Ok(answer),
            Outcome::Failed(rejection) => self.fail(stale, rejection),
        }
    }

    /// Whether a stale answer is better than an error of the upstream.
    fn may_stand_in(&self, stale: &Entry, status: StatusCode) -> bool {
        let resident_s = stale.resident_s(self.shard.now_ns());
        on_error(&stale.terms, resident_s, &self.asked, Failure::Answered(status))
    }

    /// Without an answer of the upstream, a stale one may do.
    fn fail(&mut self, stale: Option<Arc<Entry>>, rejection: Rejection) -> Result<Answer, Rejection> {
        let now_ns = self.shard.now_ns();
        let may = |stale: &Arc<Entry>| {
            on_error(&stale.terms, stale.resident_s(now_ns), &self.asked, Failure::Unreachable)
        };
        match stale.filter(|stale| self.rule.is_http() && may(stale)) {
            Some(stale) => self.stand_in(&stale),
            None => Err(rejection),
        }
    }

    fn stand_in(&mut self, stale: &Arc<Entry>) -> Result<Answer, Rejection> {
        let answer = present(stale, self.request, Some(self.shard.now_ns()));
        self.trail.cache = CacheOutcome::Stale;
        answer.ok_or(Rejection::IntegrationFailure(Fault::Answer))
    }

    /// A stored answer as this request gets it; `None` when it is not all that is asked for.
    fn hit(&mut self, entry: &Arc<Entry>, now_ns: u64) -> Option<Answer> {
        let answer = present(entry, self.request, Some(now_ns))?;
        let ttl_s = tidegate_cache::reuse::ttl_s(&entry.terms, entry.resident_s(now_ns));
        self.trail.cache = if ttl_s > 0 { CacheOutcome::Hit } else { CacheOutcome::Stale };
        self.told = Told::Hit { ttl_s };
        Some(answer)
    }

    /// An answer that was just made for another request.
    fn hand_out(&mut self, entry: &Arc<Entry>) -> Option<Answer> {
        present(entry, self.request, Some(self.shard.now_ns()))
    }

    /// An answer that needed no call for this request.
    fn discovered(&mut self, found: &Discovery) -> Result<Answer, Rejection> {
        let answer = if found.has_waited {
            self.note_collapsed();
            self.hand_out(&found.entry)
        } else {
            self.hit(&found.entry, self.shard.now_ns())
        };
        answer.ok_or(Rejection::IntegrationFailure(Fault::Answer))
    }

    fn note_collapsed(&mut self) {
        self.trail.cache = CacheOutcome::Coalesced;
        if let Told::Forwarded { collapsed, .. } = &mut self.told {
            *collapsed = true;
        }
    }

    fn note_forwarded(&mut self, upstream: Option<u16>, entry: &Entry) {
        if let Told::Forwarded { status, stored, ttl_s, .. } = &mut self.told {
            *status = upstream.filter(|upstream| *upstream != entry.status.as_u16());
            *stored = entry.terms != tidegate_cache::terms::Terms::default();
            *ttl_s = stored.then(|| tidegate_cache::reuse::ttl_s(&entry.terms, 0));
        }
    }

    fn parts(&self) -> KeyParts<'s> {
        KeyParts { rest: self.request.rest(), query: self.request.query }
    }

    /// Waits for what comes of another one's call.
    async fn follow(&mut self, mut landing: watch::Receiver<Option<Landing>>) -> Option<Landing> {
        self.trail.cache = CacheOutcome::Miss;
        match timeout(PATIENCE, landing.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone(),
            Ok(Err(_)) => Some(Landing::Lost),
            Err(_) => None,
        }
    }

    /// Makes the call for this request, and stores nothing.
    async fn alone(&mut self) -> Result<Answer, Rejection> {
        let Self { shard, visit, request, admitted, trail, .. } = self;
        if trail.cache == CacheOutcome::Off {
            trail.cache = CacheOutcome::Bypass;
        }
        pipeline::call(shard, visit, request, admitted, &mut Taken::nothing(), trail).await
    }
}
