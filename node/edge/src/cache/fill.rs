//! The call that fills the cache: made on its own, so that it comes to its end though the client that asked first leaves. Owns that
//! nothing is stored that is not whole.

mod gather;
mod judge;
mod parts;

use std::{
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tidegate_cache::{
    condition::add_validators,
    directive::RequestDirectives,
    range::{Stored, complete},
    stored,
    terms::Terms,
    update::freshen,
    vary::write_secondary_key,
};
use tidegate_gateway::{Pass, Rejection, Response, Rule};
use tidegate_proto::limits::{CACHE_KEY_BYTES_MAX, CACHE_TAGS_MAX, CACHE_UNFIT_MS};
use tokio::{sync::oneshot, task::spawn_local};

use super::{
    Entry, Store,
    entry::{Fresh, Origin},
    flight::{Landing, Lead},
    store::{Kept, Unfit as UnfitKey, keep},
    zone::{Discovery, Duty, Question as Miss, Verdict},
};
use crate::{
    integrate::{Answer, Taken},
    pipeline,
    shard::Shard,
    visit::{Trail, Visit},
};
use gather::{Gathered, gather};
use judge::Unfit;
pub(super) use judge::is_apart;

/// What asks for less than the whole, or for an answer only if it differs: that is between the client and this gateway.
const CONDITIONS: [HeaderName; 6] = [
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
    /// What is stored and may still be right, or a part of what is asked for.
    pub(super) stale: Option<Arc<Entry>>,
    /// Whether a part is asked for, and not the whole.
    pub(super) asks_part: bool,
    /// What the request asks of caches.
    pub(super) asked: RequestDirectives,
    /// Whether it wants the upstream to be called, whatever is stored.
    pub(super) insists: bool,
    /// Whether its answer shall replace what others have stored.
    pub(super) replaces: bool,
}

/// What the upstream is asked about the stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Nothing.
    None,
    /// Whether it is still right.
    Validates,
    /// What it lacks.
    Completes,
}

/// What came of it, for the request that ordered it.
pub(super) struct Filled {
    pub(super) outcome: Outcome,
    /// How the call went.
    pub(super) trail: Trail,
}

pub(super) enum Outcome {
    /// Stored or not, an answer that is all here.
    Entry(Arc<Entry>),
    /// One that another call brought, here or at another node of the zone.
    Found(Discovery),
    /// For this request alone.
    Passing(Answer),
    Failed(Rejection),
}

/// Makes the call.
pub(super) fn launch(mut order: Order) -> oneshot::Receiver<Filled> {
    let (told, seen) = oneshot::channel();
    let is_part = |name: &HeaderName| *name == header::RANGE || *name == header::IF_RANGE;
    for name in CONDITIONS.iter().filter(|name| !(order.asks_part && is_part(name))) {
        order.visit.head.headers.remove(name);
    }
    spawn_local(async move {
        let mut trail = Trail::begin(Instant::now());
        let outcome = order.fill(&mut trail).await;
        // The client may have left meanwhile.
        let _ = told.send(Filled { outcome, trail });
    });
    seen
}

impl Order {
    async fn fill(&mut self, trail: &mut Trail) -> Outcome {
        let duty = match self.ask_zone().await {
            Verdict::Found(discovery) => {
                let entry = Arc::clone(&discovery.entry);
                let landing = if discovery.is_kept { Landing::Stored(entry) } else { Landing::Shared(entry) };
                self.lead.take().into_iter().for_each(|lead| lead.land(landing.clone()));
                return Outcome::Found(discovery);
            }
            Verdict::Unfit { for_ms } => {
                self.note_unfit(for_ms);
                self.lead.take().into_iter().for_each(|lead| lead.land(Landing::Unfit));
                None
            }
            Verdict::Fill(duty) => duty,
        };
        let asked_ns = self.shard.now_ns();
        let selecting = self.visit.head.headers.clone();
        let question = self.ask();
        let gathered = match self.call(trail).await {
            Ok(answer) => gather(answer).await,
            Err(rejection) => Err(rejection),
        };
        self.visit.head.headers = selecting;
        let (outcome, landing) = match gathered {
            Ok(Gathered::Whole(response, body)) => self.settle(response, body, question, asked_ns),
            Ok(Gathered::TooLarge(answer)) => {
                self.note_unfit(CACHE_UNFIT_MS);
                (Outcome::Passing(answer), Landing::Unfit)
            }
            Err(rejection) => (Outcome::Failed(rejection.clone()), Landing::Failed(rejection)),
        };
        if let Some(duty) = duty {
            duty.land(&landing, &self.key);
        }
        if self.replaces && matches!(landing, Landing::Stored(_)) {
            self.shard.cache.zone().replace(&self.key);
        }
        if let Some(lead) = self.lead.take() {
            lead.land(landing);
        }
        outcome
    }

    /// Whether the call is needed, and who is to learn what comes of it.
    async fn ask_zone(&self) -> Verdict {
        let cache = &self.shard.cache;
        if self.insists {
            return Verdict::Fill(Duty::unasked(cache.zone(), &self.key));
        }
        let place = self.visit.snapshot().readmit(self.pass);
        let stage = place.and_then(|admitted| {
            let place = admitted.routed().stage_index();
            Some((admitted.cache_rule()?, self.visit.snapshot().caches().stage(place)?))
        });
        let (Some(_), Some((rule, stage))) = (&self.lead, stage) else { return Verdict::Fill(None) };
        let (headers, store) = (&self.visit.head.headers, &self.store);
        let question = Miss { cache, rule, store, stage, primary: &self.key, headers, asked: &self.asked };
        question.settle().await
    }

    async fn call(&self, trail: &mut Trail) -> Result<Answer, Rejection> {
        let (visit, request) = (&self.visit, self.visit.request());
        let admitted = visit.snapshot().readmit(self.pass).ok_or(Rejection::ApiConfigurationError)?;
        let mut taken = Taken::nothing();
        pipeline::call(&self.shard, visit, &request, &admitted, &mut taken, trail).await
    }

    /// Stores an answer where it may be stored.
    fn settle(
        &self,
        mut response: Response,
        mut body: Bytes,
        question: Question,
        asked_ns: u64,
    ) -> (Outcome, Landing) {
        let Some(rule) = self.visit.snapshot().readmit(self.pass).and_then(|admitted| admitted.cache_rule())
        else {
            return (Outcome::Failed(Rejection::ApiConfigurationError), Landing::Lost);
        };
        if rule.is_http() {
            judge::restore_names(&mut response.headers);
        }
        let mut part = parts::of(&response, &body);
        match (&self.stale, response.status) {
            (Some(stale), StatusCode::NOT_MODIFIED) if question == Question::Validates => {
                let mut headers = stale.headers.clone();
                freshen(&mut headers, &response.headers, rule.shares_cookies);
                (response.status, response.headers) = (stale.status, headers);
                (body, part) = (stale.body.clone(), stale.part);
            }
            (Some(stale), StatusCode::PARTIAL_CONTENT) => {
                parts::join(stale, rule.shares_cookies, &mut response, &mut body, &mut part);
            }
            _ => {}
        }
        let asked_s = self.shard.wall_ms(asked_ns) / 1_000;
        let judged =
            part.ok_or(Unfit::Part).and_then(|_| judge::judge(rule, &self.visit, &response, asked_s));
        if judged.is_ok() {
            stored::strip(&mut response.headers);
            if rule.is_http() {
                stored::add_date(&mut response.headers, asked_s);
            }
        }
        let terms = judged.as_ref().cloned().unwrap_or_default();
        let entry = Arc::new(self.write_out(rule, response, (body, part), terms, asked_ns));
        self.shard.cache.note_kept(judged.is_ok());
        let landing = match judged {
            Ok(_) => self.keep(&entry).map_or(Landing::Unfit, Landing::Stored),
            Err(_) if is_for_all(rule, &entry) => Landing::Shared(Arc::clone(&entry)),
            Err(unfit) => {
                tracing::debug!(
                    reason = unfit.name(),
                    path = self.visit.head.uri.path(),
                    "an answer is not stored"
                );
                // What one request brought says nothing about the others.
                if unfit.is_of_request() {
                    Landing::Lost
                } else {
                    self.note_unfit(CACHE_UNFIT_MS);
                    Landing::Unfit
                }
            }
        };
        (Outcome::Entry(entry), landing)
    }

    /// Turns the request into a question about the stored answer.
    fn ask(&mut self) -> Question {
        let Some(stale) = &self.stale else { return Question::None };
        let (headers, request) = (&stale.headers, &mut self.visit.head.headers);
        let lacks = stale.part.filter(|part| !part.is_whole());
        match lacks {
            Some(part) if !self.asks_part && complete(headers, &part, request) => Question::Completes,
            None if !self.asks_part && add_validators(headers, request) => Question::Validates,
            Some(_) | None => Question::None,
        }
    }

    fn write_out(
        &self,
        rule: &Rule,
        response: Response,
        (body, part): (Bytes, Option<Stored>),
        terms: Terms,
        asked_ns: u64,
    ) -> Entry {
        let stored_s = self.shard.wall_ms(asked_ns) / 1_000;
        let Response { status, headers, .. } = response;
        let origin = self.origin(&headers);
        let (stored_ns, sequence) = (asked_ns, rule.sequence);
        Entry::new(
            &self.key,
            Fresh { status, headers, body, stored_ns, stored_s, terms, part, origin, sequence },
        )
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

    /// Keeps an answer under its key, or under that of its variant; `None` when that is too long.
    fn keep(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let names = &entry.terms.vary.names;
        let mut key = self.key.clone();
        write_secondary_key(names, &self.visit.head.headers, &mut key);
        if key.len() > CACHE_KEY_BYTES_MAX {
            return None;
        }
        let entry = if names.is_empty() { Arc::clone(entry) } else { Arc::new(entry.under(&key)) };
        keep(&self.store, self.shard.cache.seed(), &self.key, &entry);
        Some(entry)
    }

    fn note_unfit(&self, for_ms: u64) {
        let until_ns = self.shard.now_ns() + for_ms * 1_000_000;
        let unfit = UnfitKey { key: self.key.clone().into(), is_gone: AtomicBool::new(false), until_ns };
        self.store.note(self.hash, Kept::Unfit(Arc::new(unfit)));
    }
}

/// Whether an answer that is not stored may be given to all who asked for it at the same time: an error that is nobody's own. Were it
/// not, all who wait would fall upon an upstream that fails.
fn is_for_all(rule: &Rule, entry: &Entry) -> bool {
    let is_error = entry.status.is_server_error() || entry.status.is_client_error() && !rule.is_http();
    is_error && !entry.headers.contains_key(header::SET_COOKIE)
}
