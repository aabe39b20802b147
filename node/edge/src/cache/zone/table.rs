//! The owner's table: which keys somebody fills at this moment, and who waits for them. Owns that a key is filled by one call at a time;
//! must never hold an answer.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_proto::limits::{CACHE_ZONE_TICKETS_MAX, CACHE_ZONE_WAIT_MS};
use tokio::sync::watch;

use super::super::entry::Entry;

/// How long a duty lasts before the next one who asks gets another.
const TICKET_NS: u64 = CACHE_ZONE_WAIT_MS * 1_000_000;

/// The keys that are being filled.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: BTreeMap<Box<[u8]>, Slot>,
    /// The newest ticket; 0 is none.
    newest: u64,
}

#[derive(Debug)]
struct Slot {
    /// The duty that is waited for.
    ticket: u64,
    /// The first one that is not void: an older call that ends late is still a good answer, unless the key was made invalid since.
    oldest: u64,
    /// The node that has it.
    holder: u64,
    expires_ns: u64,
    landing: watch::Sender<Option<Landed>>,
}

/// What came of a call, for those who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Landed {
    /// An answer that is stored.
    Entry(Arc<Entry>),
    /// An answer that is not stored, but good for all who wait now.
    Shared(Arc<Entry>),
    /// One that is nobody else's.
    Unfit,
    /// None, so that everybody may try.
    Failed,
    /// Nothing is known: ask again.
    Lost,
}

/// Who waits for a call.
pub(crate) type Waiting = watch::Receiver<Option<Landed>>;

/// What somebody who needs a key shall do.
#[derive(Debug)]
pub(crate) enum Entered {
    /// Call the upstream, and tell what came of it.
    Fill(u64),
    /// Wait for another one's call.
    Wait(Waiting),
    /// Call the upstream; there is no room for more tickets.
    Full,
}

impl Table {
    /// Takes part in filling a key, for a node. One that asks again for what it has to fill has lost the ticket, and gets it back.
    pub(crate) fn enter(&self, key: &[u8], holder: u64, now_ns: u64) -> Entered {
        let mut slots = self.slots();
        let ticket = slots.newest + 1;
        if let Some(slot) = slots.by_key.get_mut(key) {
            if slot.expires_ns > now_ns && slot.holder != holder {
                return Entered::Wait(slot.landing.subscribe());
            }
            if slot.expires_ns > now_ns {
                return Entered::Fill(slot.ticket);
            }
            (slot.ticket, slot.holder, slot.expires_ns) = (ticket, holder, now_ns + TICKET_NS);
        } else if slots.by_key.len() >= CACHE_ZONE_TICKETS_MAX {
            slots.sweep(now_ns);
            if slots.by_key.len() >= CACHE_ZONE_TICKETS_MAX {
                return Entered::Full;
            }
            slots.open(key, ticket, holder, now_ns);
        } else {
            slots.open(key, ticket, holder, now_ns);
        }
        slots.newest = ticket;
        Entered::Fill(ticket)
    }

    /// Says what came of a call; `false` when its ticket is void. A call without a ticket, 0, stands for the one that its node may
    /// have lost; an answer is one for all who wait, whoever made the call.
    pub(crate) fn land(&self, key: &[u8], ticket: u64, from: u64, landed: Landed) -> bool {
        let mut slots = self.slots();
        let is_answer = matches!(landed, Landed::Entry(_) | Landed::Shared(_));
        let ends = |slot: &Slot| match ticket {
            0 => is_answer || slot.holder == from,
            // What failed says nothing about the call that replaced it.
            ticket if is_answer => (slot.oldest..=slot.ticket).contains(&ticket),
            ticket => slot.ticket == ticket,
        };
        if !slots.by_key.get(key).is_some_and(ends) {
            return false;
        }
        slots.close(key, landed);
        true
    }

    /// Whether the answer of a call with this ticket is still wanted.
    pub(crate) fn wants(&self, key: &[u8], ticket: u64) -> bool {
        ticket == 0
            || self.slots().by_key.get(key).is_some_and(|slot| (slot.oldest..=slot.ticket).contains(&ticket))
    }

    /// Makes the tickets of a key and of its variants void: their answers may be older than the change that made it invalid.
    pub(crate) fn forget(&self, primary: &[u8]) {
        let mut slots = self.slots();
        // The key of a variant begins with that of all variants.
        let from = (Bound::Included(primary), Bound::Unbounded);
        let found = slots.by_key.range::<[u8], _>(from).map(|(key, _)| key);
        let found: Vec<Box<[u8]>> = found.take_while(|key| key.starts_with(primary)).cloned().collect();
        found.iter().for_each(|key| slots.close(key, Landed::Lost));
    }

    /// Takes the tickets of nodes that are gone back, so that nobody waits for them.
    pub(crate) fn retain_holders(&self, is_here: impl Fn(u64) -> bool) {
        let mut slots = self.slots();
        let gone = slots.by_key.iter().filter(|(_, slot)| !is_here(slot.holder));
        let gone: Vec<Box<[u8]>> = gone.map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| slots.close(key, Landed::Lost));
    }

    /// Lets go of tickets that nobody came back for.
    pub(crate) fn sweep(&self, now_ns: u64) {
        self.slots().sweep(now_ns);
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn open(&mut self, key: &[u8], ticket: u64, holder: u64, now_ns: u64) {
        let expires_ns = now_ns + TICKET_NS;
        let landing = watch::Sender::new(None);
        self.by_key.insert(key.into(), Slot { ticket, oldest: ticket, holder, expires_ns, landing });
    }

    fn close(&mut self, key: &[u8], landed: Landed) {
        if let Some(slot) = self.by_key.remove(key) {
            slot.landing.send_replace(Some(landed));
        }
    }

    fn sweep(&mut self, now_ns: u64) {
        // Those who wait see that the other end is gone, and ask again.
        self.by_key.retain(|_, slot| slot.expires_ns > now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"key";
    const A: u64 = 1;
    const B: u64 = 2;
    const C: u64 = 3;

    fn filled(table: &Table, holder: u64, now_ns: u64) -> u64 {
        match table.enter(KEY, holder, now_ns) {
            Entered::Fill(ticket) => ticket,
            other => panic!("{holder} got {other:?}"),
        }
    }

    fn waiting(table: &Table, holder: u64, now_ns: u64) -> Waiting {
        match table.enter(KEY, holder, now_ns) {
            Entered::Wait(waiting) => waiting,
            other => panic!("{holder} got {other:?}"),
        }
    }

    fn word(waiting: &Waiting) -> &'static str {
        match &*waiting.borrow() {
            None if waiting.has_changed().is_err() => "gone",
            None => "none",
            Some(Landed::Entry(_)) => "entry",
            Some(Landed::Shared(_)) => "shared",
            Some(Landed::Unfit) => "unfit",
            Some(Landed::Failed) => "failed",
            Some(Landed::Lost) => "lost",
        }
    }

    fn entry() -> Landed {
        Landed::Entry(Arc::new(super::super::wire::tests::entry(b"key")))
    }

    #[test]
    fn one_fills_and_the_others_learn_what_came_of_it() {
        for (landed, expect) in
            [(entry(), "entry"), (Landed::Unfit, "unfit"), (Landed::Failed, "failed"), (Landed::Lost, "lost")]
        {
            let table = Table::default();
            let ticket = filled(&table, A, 0);
            let (second, third) = (waiting(&table, B, 1), waiting(&table, C, 1));
            assert_eq!(word(&second), "none");
            assert!(table.land(KEY, ticket, A, landed));
            assert_eq!((word(&second), word(&third)), (expect, expect));
            assert!(!table.land(KEY, ticket, A, Landed::Lost), "a call that has ended ends again");
            assert_ne!(filled(&table, B, 2), ticket);
        }
    }

    #[test]
    fn a_ticket_that_expired_goes_to_the_next_who_asks() {
        let table = Table::default();
        let first = filled(&table, A, 0);
        let waits = waiting(&table, B, TICKET_NS - 1);
        let second = filled(&table, B, TICKET_NS);
        assert_ne!(first, second);
        let third = waiting(&table, C, TICKET_NS);
        assert!(
            !table.land(KEY, first, A, Landed::Failed),
            "a call that was replaced ends the one that replaced it"
        );
        assert!(table.land(KEY, first, A, entry()), "a late answer is none");
        assert_eq!((word(&waits), word(&third)), ("entry", "entry"));
        assert!(!table.land(KEY, second, B, entry()));
    }

    #[test]
    fn what_was_made_invalid_is_not_an_answer() {
        let table = Table::default();
        let first = filled(&table, A, 0);
        let waits = waiting(&table, B, 0);
        let Entered::Fill(variant) = table.enter(b"key-de", A, 0) else { panic!() };
        let Entered::Fill(other) = table.enter(b"kez", A, 0) else { panic!() };
        assert!(table.wants(KEY, first) && table.wants(b"key-de", variant));
        table.forget(KEY);
        assert_eq!(word(&waits), "lost");
        assert!(!table.wants(KEY, first) && !table.wants(b"key-de", variant));
        assert!(table.wants(b"kez", other) && table.wants(KEY, 0));
        assert!(!table.land(KEY, first, A, entry()));
        let second = filled(&table, B, 0);
        assert!(!table.land(KEY, first, A, entry()) && !table.wants(KEY, first));
        assert!(table.land(KEY, second, B, entry()));
    }

    #[test]
    fn a_ticket_that_did_not_arrive_is_handed_out_again() {
        let table = Table::default();
        let ticket = filled(&table, A, 0);
        assert_eq!(filled(&table, A, 1), ticket);
        let waits = waiting(&table, B, 1);
        assert!(!table.land(KEY, 0, C, Landed::Failed), "a node ends what another one fills");
        assert!(table.land(KEY, 0, A, Landed::Failed));
        assert_eq!(word(&waits), "failed");
        filled(&table, A, 2);
        let waits = waiting(&table, B, 2);
        assert!(table.land(KEY, 0, C, entry()));
        assert_eq!(word(&waits), "entry");
    }

    #[test]
    fn nobody_waits_for_a_node_that_is_gone() {
        let table = Table::default();
        filled(&table, A, 0);
        let waits = waiting(&table, B, 0);
        table.retain_holders(|node| node != C);
        assert_eq!(word(&waits), "none");
        table.retain_holders(|node| node != A);
        assert_eq!(word(&waits), "lost");
        filled(&table, B, 0);
    }

    #[test]
    fn tickets_are_bounded_and_old_ones_make_room() {
        let table = Table::default();
        let enter = |number: usize, now_ns| table.enter(&number.to_le_bytes(), A, now_ns);
        for number in 0..CACHE_ZONE_TICKETS_MAX {
            assert!(matches!(enter(number, 0), Entered::Fill(_)));
        }
        let waits = match table.enter(&0_usize.to_le_bytes(), B, 0) {
            Entered::Wait(waits) => waits,
            other => panic!("{other:?}"),
        };
        assert!(matches!(enter(CACHE_ZONE_TICKETS_MAX, 0), Entered::Full));
        assert!(matches!(enter(CACHE_ZONE_TICKETS_MAX, TICKET_NS), Entered::Fill(_)));
        assert_eq!(word(&waits), "gone");
    }
}
