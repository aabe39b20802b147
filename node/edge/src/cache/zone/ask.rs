//! What a miss does before it calls an upstream: it asks the owner of its key, waits for another node's call, or learns that the call is
//! its own. Owns how long that may take; whatever goes wrong, the answer is to call the upstream.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName};
use tidegate_cache::{
    directive::RequestDirectives,
    reuse::{Reuse, reuse},
    vary::write_secondary_key,
};
use tidegate_gateway::{Rule, StageCache};
use tidegate_proto::{
    cache::{EntryV1, MessageV1},
    limits::{
        CACHE_KEY_BYTES_MAX, CACHE_UNFIT_MS, CACHE_ZONE_ASK_MS, CACHE_ZONE_HOLD_MS, CACHE_ZONE_ROUNDS_MAX,
        CACHE_ZONE_WAIT_MS,
    },
};
use tokio::time::{Instant, timeout};

use super::{
    Duty, Zone,
    table::{Entered, Landed, Waiting},
    wire::{self, Moment},
};
use crate::cache::{
    Cache, Store,
    entry::Entry,
    hit::survives,
    store::{Kept, keep},
};

/// How long an owner may take to reply.
pub(super) const PATIENCE: Duration = Duration::from_millis(CACHE_ZONE_ASK_MS);
/// How long it holds a reply.
pub(super) const HOLD: Duration = Duration::from_millis(CACHE_ZONE_HOLD_MS);
/// How long a request waits for other nodes altogether.
const WAIT: Duration = Duration::from_millis(CACHE_ZONE_WAIT_MS);

/// A miss.
pub(crate) struct Question<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) rule: &'a Rule,
    pub(crate) store: &'a Store,
    pub(crate) stage: &'a StageCache,
    /// The key of all variants.
    pub(crate) primary: &'a [u8],
    /// Headers of the request.
    pub(crate) headers: &'a HeaderMap,
    /// What it asks of caches.
    pub(crate) asked: &'a RequestDirectives,
}

/// What it shall do.
pub(crate) enum Verdict {
    /// Take this answer.
    Found(Discovery),
    /// Call the upstream, and tell what came of it where somebody is to be told.
    Fill(Option<Duty>),
    /// Call the upstream for itself, like all others for this long.
    Unfit { for_ms: u64 },
}

/// An answer that needed no call of this node.
pub(crate) struct Discovery {
    pub(crate) entry: Arc<Entry>,
    /// Whether it is stored here.
    pub(crate) is_kept: bool,
    /// Whether it was made for another request just now.
    pub(crate) has_waited: bool,
}

/// What to do after one round.
enum Next {
    Done(Verdict),
    /// Ask again, for the same or for another key.
    Again,
    /// Ask again for the key of the variant that these headers select.
    Variant(Vec<HeaderName>),
}

impl Question<'_> {
    /// Finds out.
    pub(crate) async fn settle(&self) -> Verdict {
        // Another call may have ended between the first look and the moment when this one became its key's only one.
        if let Some(entry) = self.stored() {
            return Verdict::Found(Discovery { entry, is_kept: true, has_waited: false });
        }
        let zone = self.cache.zone();
        if zone.sharers() < 2 {
            return Verdict::Fill(None);
        }
        if zone.forgotten.has(self.primary, zone.now_ns()) {
            return Verdict::Fill(Duty::unasked(zone, self.primary));
        }
        let (mut key, mut has_waited) = (self.known_key(), false);
        let deadline = Instant::now() + WAIT;
        for _ in 0..CACHE_ZONE_ROUNDS_MAX {
            let next = match zone.owner(self.primary, zone.now_ns()) {
                Some(owner) => self.ask(zone, owner, &key, &mut has_waited).await,
                None => self.enter(zone, &key, &mut has_waited).await,
            };
            match next {
                Next::Done(verdict) => return verdict,
                Next::Again if Instant::now() >= deadline => break,
                Next::Again => {}
                Next::Variant(names) => match self.key_of(&names) {
                    Some(variant) => key = variant,
                    None => break,
                },
            }
        }
        Verdict::Fill(None)
    }

    /// One question to the owner.
    async fn ask(&self, zone: &Arc<Zone>, owner: u64, key: &[u8], has_waited: &mut bool) -> Next {
        let patience = if *has_waited { HOLD + PATIENCE } else { PATIENCE };
        let counters = &zone.counters;
        let sent = zone.now();
        let question = self.question(key, *has_waited);
        let duty = |ticket| Some(Duty::new(zone, Some(owner), ticket, key));
        match zone.ask(owner, question, patience).await {
            Some(MessageV1::Found { is_kept, entry }) => {
                counters.found.increment();
                self.take_in(*entry, is_kept, *has_waited, sent)
                    .unwrap_or_else(|| Next::Done(Verdict::Fill(duty(0))))
            }
            Some(MessageV1::Variants { names }) => {
                let names = wire::read_names(&names);
                names.map_or_else(|| Next::Done(Verdict::Fill(duty(0))), Next::Variant)
            }
            Some(MessageV1::Fill { ticket }) => {
                counters.fill.increment();
                Next::Done(Verdict::Fill(duty(ticket)))
            }
            Some(MessageV1::Busy) => {
                *has_waited = true;
                Next::Again
            }
            Some(MessageV1::Unfit { for_ms }) => {
                counters.unfit.increment();
                Next::Done(Verdict::Unfit { for_ms: for_ms.min(CACHE_UNFIT_MS) })
            }
            _ => {
                counters.failed.increment();
                Next::Done(Verdict::Fill(duty(0)))
            }
        }
    }

    fn question(&self, key: &[u8], waits: bool) -> MessageV1 {
        let primary_bytes = u32::try_from(self.primary.len()).unwrap_or(u32::MAX);
        MessageV1::Ask { key: key.to_vec(), primary_bytes, waits }
    }

    /// The same with this node's own table.
    async fn enter(&self, zone: &Arc<Zone>, key: &[u8], has_waited: &mut bool) -> Next {
        match zone.table.enter(key, zone.own(), zone.now_ns()) {
            Entered::Fill(ticket) => {
                let duty = Duty::new(zone, None, ticket, key);
                Next::Done(match self.stored() {
                    Some(entry) => {
                        Verdict::Found(Discovery { entry, is_kept: true, has_waited: *has_waited })
                    }
                    None => Verdict::Fill(Some(duty)),
                })
            }
            Entered::Full => {
                zone.counters.tickets_bounded.increment();
                Next::Done(Verdict::Fill(None))
            }
            Entered::Wait(waiting) => {
                *has_waited = true;
                match land(waiting, HOLD).await {
                    Some(Landed::Entry(entry)) => self.found(entry, true, true).unwrap_or(Next::Again),
                    Some(Landed::Shared(entry)) => self.found(entry, false, true).unwrap_or(Next::Again),
                    Some(Landed::Unfit) => Next::Done(Verdict::Unfit { for_ms: CACHE_UNFIT_MS }),
                    Some(Landed::Failed) => Next::Done(Verdict::Fill(None)),
                    Some(Landed::Lost) | None => Next::Again,
                }
            }
        }
    }

    /// An answer that arrived; `None` when it is of no use.
    fn take_in(&self, entry: EntryV1, is_kept: bool, has_waited: bool, sent: Moment) -> Option<Next> {
        let entry = Arc::new(wire::read(entry, sent)?);
        let next = self.found(Arc::clone(&entry), is_kept, has_waited)?;
        if is_kept {
            keep(self.store, self.cache.seed(), self.primary, &entry);
        }
        Some(next)
    }

    /// An answer; `None` when it was made invalid, or is not what the request wants.
    fn found(&self, entry: Arc<Entry>, is_kept: bool, has_waited: bool) -> Option<Next> {
        let names = &entry.terms.vary.names;
        if self.key_of(names).is_none_or(|key| key != *entry.key) {
            let is_variant = entry.key.starts_with(self.primary);
            return is_variant.then(|| Next::Variant(names.clone()));
        }
        let now_ns = self.cache.zone().now_ns();
        let is_fit = || reuse(&entry.terms, entry.resident_s(now_ns), self.asked) == Reuse::Fresh;
        if !survives(&entry, self.stage) || !(has_waited || is_fit()) {
            return None;
        }
        Some(Next::Done(Verdict::Found(Discovery { entry, is_kept, has_waited })))
    }

    /// What is stored here by now and would have been found.
    fn stored(&self) -> Option<Arc<Entry>> {
        let now_ns = self.cache.zone().now_ns();
        if !self.cache.is_current(self.rule, now_ns) {
            return None;
        }
        let find = |key: &[u8]| self.store.find(self.cache.seed().hash(key), key);
        let (found, since_ns) = match find(self.primary) {
            Some(Kept::Variants(variants)) => (find(&self.key_of(&variants.names)?), variants.since_ns),
            found => (found, 0),
        };
        let Some(Kept::Answer(entry)) = found.filter(|kept| kept.is_since(since_ns)) else { return None };
        let is_fit = reuse(&entry.terms, entry.resident_s(now_ns), self.asked) == Reuse::Fresh;
        (is_fit && entry.is_whole() && !entry.is_gone() && survives(&entry, self.stage)).then_some(entry)
    }

    /// The key to ask for: that of a variant where it is known that there are some.
    fn known_key(&self) -> Vec<u8> {
        let known = self.store.find(self.cache.seed().hash(self.primary), self.primary);
        let variant = match &known {
            Some(Kept::Variants(variants)) => self.key_of(&variants.names),
            Some(Kept::Answer(_) | Kept::Unfit(_)) | None => None,
        };
        variant.unwrap_or_else(|| self.primary.to_vec())
    }

    /// The key of the request, where these headers of it matter; `None` when it would be too long.
    fn key_of(&self, names: &[HeaderName]) -> Option<Vec<u8>> {
        let mut key = self.primary.to_vec();
        write_secondary_key(names, self.headers, &mut key);
        (key.len() <= CACHE_KEY_BYTES_MAX).then_some(key)
    }
}

/// Waits for what comes of a call; `None` when nothing does in time, or nobody will tell.
pub(super) async fn land(mut waiting: Waiting, patience: Duration) -> Option<Landed> {
    let landed = timeout(patience, waiting.wait_for(Option::is_some)).await;
    landed.ok()?.ok()?.clone()
}
