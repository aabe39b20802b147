//! What a node does with the messages of others about cached answers. Owns that a key it is asked for is filled by one call at a time;
//! whoever asks is answered soon, whatever the answer.

use std::sync::{Arc, atomic::AtomicBool};

use tidegate_gateway::StageCache;
use tidegate_proto::{
    cache::{DropV1, EntryV1, MessageV1},
    limits::{CACHE_KEY_BYTES_MAX, CACHE_UNFIT_MS, CACHE_ZONE_FORGET_KEYS_MAX},
};

use super::{
    Zone,
    ask::{HOLD, land},
    table::{Entered, Landed},
    wire,
};
use crate::{
    cache::{
        Cache, Store,
        entry::Entry,
        hit::survives,
        restore::restore,
        store::{Kept, Unfit, Variants, keep},
    },
    publish::{Published, Publisher},
};

/// Takes a message of another node in.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn take(
    publisher: &Publisher,
    from: u64,
    message: MessageV1,
) -> Result<MessageV1, &'static str> {
    let desk = Desk { publisher, cache: publisher.cache(), zone: publisher.cache().zone() };
    match message {
        MessageV1::Hello => Ok(MessageV1::Taken),
        MessageV1::Ask { key, .. } if key.len() > CACHE_KEY_BYTES_MAX => Err("the key is too long"),
        MessageV1::Ask { key, primary_bytes, waits } => {
            let primary = key.get(..primary_bytes as usize).ok_or("the key is too short")?;
            Ok(desk.answer(from, &key, primary, waits).await)
        }
        MessageV1::Put { ticket, asked, primary, is_kept, entry } => {
            let call = Call { from, ticket, asked: &asked };
            desk.put(&call, &primary, is_kept, *entry).map(|()| MessageV1::Taken)
        }
        MessageV1::Drop { ticket, asked, reason } => {
            desk.drop_it(&Call { from, ticket, asked: &asked }, reason);
            Ok(MessageV1::Taken)
        }
        MessageV1::Forget { keys } if keys.len() > CACHE_ZONE_FORGET_KEYS_MAX => {
            Err("there are too many keys")
        }
        MessageV1::Forget { keys } => {
            keys.iter().for_each(|key| desk.forget(key));
            Ok(MessageV1::Taken)
        }
        MessageV1::Taken
        | MessageV1::Found { .. }
        | MessageV1::Variants { .. }
        | MessageV1::Fill { .. }
        | MessageV1::Busy
        | MessageV1::Unfit { .. }
        | MessageV1::Alone => Err("a reply belongs to a question"),
    }
}

/// What messages are answered from.
struct Desk<'a> {
    publisher: &'a Publisher,
    cache: &'a Cache,
    zone: &'a Arc<Zone>,
}

/// A call of another node.
struct Call<'a> {
    from: u64,
    ticket: u64,
    asked: &'a [u8],
}

impl Desk<'_> {
    async fn answer(&self, from: u64, key: &[u8], primary: &[u8], waits: bool) -> MessageV1 {
        if let Some(reply) = self.known(key, primary) {
            return reply;
        }
        if let Some(reply) = self.restored(key, primary).await {
            return reply;
        }
        let waiting = match self.zone.table.enter(key, from, self.zone.now_ns()) {
            Entered::Fill(ticket) => return self.known(key, primary).unwrap_or(MessageV1::Fill { ticket }),
            Entered::Full => {
                self.zone.counters.tickets_bounded.increment();
                return MessageV1::Alone;
            }
            Entered::Wait(_) if !waits => return MessageV1::Busy,
            Entered::Wait(waiting) => waiting,
        };
        let Ok(_place) = self.zone.held.try_acquire() else {
            self.zone.counters.held_bounded.increment();
            return MessageV1::Alone;
        };
        match land(waiting, HOLD).await {
            Some(Landed::Entry(entry)) => self.found(&entry, true),
            Some(Landed::Shared(entry)) => self.found(&entry, false),
            Some(Landed::Unfit) => MessageV1::Unfit { for_ms: CACHE_UNFIT_MS },
            Some(Landed::Failed) => MessageV1::Alone,
            Some(Landed::Lost) | None => MessageV1::Busy,
        }
    }

    /// The same after a look at the disk.
    async fn restored(&self, key: &[u8], primary: &[u8]) -> Option<MessageV1> {
        let published = self.publisher.load_full();
        let (store, _) = of(&published, key).filter(|_| self.cache.is_certain(self.zone.now_ns()))?;
        let variant = |_: &Variants| (key != primary).then(|| key.to_vec());
        restore(self.cache, store, primary, variant).await;
        self.known(key, primary)
    }

    /// The reply that needs no call.
    fn known(&self, key: &[u8], primary: &[u8]) -> Option<MessageV1> {
        let now_ns = self.zone.now_ns();
        if !self.cache.is_certain(now_ns) {
            return None;
        }
        let published = self.publisher.load();
        let (store, stage) = of(&published, key)?;
        let find = |key: &[u8]| store.find(self.cache.seed().hash(key), key);
        let since_ns = match find(primary) {
            Some(Kept::Variants(variants)) if key != primary => variants.since_ns,
            // Without them nobody knows since when the variants are valid.
            _ if key != primary => return None,
            _ => 0,
        };
        match find(key).filter(|kept| kept.is_since(since_ns))? {
            Kept::Answer(entry) if entry.is_fresh(now_ns) && !entry.is_gone() && survives(&entry, stage) => {
                entry.add_hits(1);
                Some(self.found(&entry, true))
            }
            Kept::Answer(_) => None,
            Kept::Variants(variants) => {
                Some(MessageV1::Variants { names: wire::write_names(&variants.names) })
            }
            Kept::Unfit(unfit) => {
                let for_ms = unfit.until_ns.checked_sub(now_ns)? / 1_000_000;
                Some(MessageV1::Unfit { for_ms })
            }
        }
    }

    fn found(&self, entry: &Entry, is_kept: bool) -> MessageV1 {
        match wire::write(entry, self.zone.now_ns()) {
            Some(entry) => {
                self.zone.counters.served.increment();
                MessageV1::Found { is_kept, entry: Box::new(entry) }
            }
            None => MessageV1::Alone,
        }
    }

    fn put(
        &self,
        call: &Call<'_>,
        primary: &[u8],
        is_kept: bool,
        entry: EntryV1,
    ) -> Result<(), &'static str> {
        let Call { from, ticket, asked } = *call;
        // How long it was on its way is not known; its sender gives up after a second, the unit of ages.
        let entry = Arc::new(wire::read(entry, self.zone.now()).ok_or("the answer is none")?);
        if !entry.key.starts_with(primary) {
            return Err("the answer is another key's");
        }
        if !is_kept {
            self.zone.table.land(asked, ticket, from, Landed::Shared(entry));
            return Ok(());
        }
        if !self.zone.table.wants(asked, ticket) {
            return Ok(());
        }
        // Stored before anybody learns that the call has ended: who asks from then on finds it.
        let published = self.publisher.load();
        let place = of(&published, primary).filter(|(_, stage)| survives(&entry, stage));
        if let Some((store, _)) = place {
            keep(store, self.cache.seed(), primary, &entry);
        }
        let is_wanted = self.zone.table.land(asked, ticket, from, Landed::Entry(Arc::clone(&entry)));
        if let Some((store, _)) = place.filter(|_| !is_wanted && ticket != 0) {
            // It was made invalid, or replaced, at this very moment.
            store.remove(self.cache.seed().hash(&entry.key), &entry.key);
        }
        Ok(())
    }

    fn drop_it(&self, call: &Call<'_>, reason: DropV1) {
        let Call { from, ticket, asked } = *call;
        let landed = match reason {
            DropV1::Unfit => Landed::Unfit,
            DropV1::Failed => Landed::Failed,
            DropV1::Lost => Landed::Lost,
        };
        let published = self.publisher.load();
        if let (DropV1::Unfit, Some((store, _))) = (reason, of(&published, asked)) {
            let until_ns = self.zone.now_ns() + CACHE_UNFIT_MS * 1_000_000;
            let unfit = Unfit { key: asked.into(), is_gone: AtomicBool::new(false), until_ns };
            store.note(self.cache.seed().hash(asked), Kept::Unfit(Arc::new(unfit)));
        }
        self.zone.table.land(asked, ticket, from, landed);
    }

    fn forget(&self, key: &[u8]) {
        self.zone.table.forget(key);
        let published = self.publisher.load();
        if let Some((store, _)) = of(&published, key) {
            store.remove(self.cache.seed().hash(key), key);
        }
    }
}

/// The store that a key belongs to, and its cache; `None` when this node has another one by now, or not yet.
fn of<'a>(published: &'a Published, key: &[u8]) -> Option<(&'a Store, &'a StageCache)> {
    let (place, stage) = published.snapshot().cache_of(key)?;
    Some((published.store(place)?, stage))
}
