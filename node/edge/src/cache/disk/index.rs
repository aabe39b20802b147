//! Where answers are on disk, by the names of their keys. Owns that what was made invalid is not found again, whatever is being read,
//! written or still being looked for meanwhile; must never wait for the disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::{super::hash::Plain, keys::Name};

/// Parts of the table, so that shards seldom wait for each other.
const STRIPES: usize = 16;

/// A record in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Number of the file.
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Bytes of the record, its head included.
    pub(super) bytes: u32,
    /// Whether it is one of the variants of the name instead of its answer.
    pub(super) is_example: bool,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits for being written.
    Waiting(u64),
    At(Location),
    /// What older files have of it is not valid.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Spot {
    place: Place,
    scope: u64,
}

type Stripe = HashMap<Name, Spot, Plain>;

#[derive(Debug, Default)]
pub(super) struct Index {
    stripes: [Mutex<Stripe>; STRIPES],
    len: AtomicUsize,
    /// Whether all that was on disk at the start is known. Until then who leaves leaves a note.
    is_whole: AtomicBool,
}

impl Index {
    pub(super) fn find(&self, name: Name) -> Option<Place> {
        let place = self.stripe(name).get(&name)?.place;
        (!matches!(place, Place::Gone)).then_some(place)
    }

    /// Where a record is.
    pub(super) fn location(&self, name: Name) -> Option<Location> {
        match self.find(name)? {
            Place::At(location) => Some(location),
            Place::Waiting(_) | Place::Gone => None,
        }
    }

    /// Notes that a record will be written, in the place of what was there.
    pub(super) fn wait(&self, name: Name, scope: u64, token: u64) {
        let before = self.stripe(name).insert(name, Spot { place: Place::Waiting(token), scope });
        self.count(before.is_none());
    }

    /// Notes the same of an example, where there is none yet.
    pub(super) fn wait_for_example(&self, name: Name, scope: u64, token: u64) {
        let mut stripe = self.stripe(name);
        let is_known = stripe.get(&name).is_some_and(|spot| !matches!(spot.place, Place::Gone));
        if !is_known {
            let before = stripe.insert(name, Spot { place: Place::Waiting(token), scope });
            self.count(before.is_none());
        }
    }

    /// Whether a record is still wanted.
    pub(super) fn is_waiting(&self, name: Name, token: u64) -> bool {
        self.find(name) == Some(Place::Waiting(token))
    }

    /// Notes where it was written, if it is still wanted.
    pub(super) fn settle(&self, name: Name, token: u64, location: Location) {
        if let Some(spot) = self.stripe(name).get_mut(&name)
            && spot.place == Place::Waiting(token)
        {
            spot.place = Place::At(location);
        }
    }

    /// Notes where a newer example was written, unless one of other variants is awaited by now.
    pub(super) fn settle_example(&self, name: Name, token: u64, location: Location) {
        if let Some(spot) = self.stripe(name).get_mut(&name)
            && (spot.place == Place::Waiting(token) || matches!(spot.place, Place::At(_)))
        {
            spot.place = Place::At(location);
        }
    }

    /// Notes that it was not written.
    pub(super) fn abandon(&self, name: Name, token: u64) {
        self.vacate(name, |place| place == Place::Waiting(token));
    }

    /// Forgets a record that turned out to be none.
    pub(super) fn let_go(&self, name: Name, location: Location) {
        self.vacate(name, |place| place == Place::At(location));
    }

    /// Forgets what is under a name; `true` if there may be something of it on disk, which has to be marked.
    pub(super) fn forget(&self, name: Name) -> bool {
        if self.is_whole() {
            return self.vacate(name, |_| true);
        }
        let before = self.stripe(name).insert(name, Spot { place: Place::Gone, scope: 0 });
        self.count(before.is_none());
        true
    }

    /// Adds what a file has of a name, unless something newer is known.
    pub(super) fn learn(&self, name: Name, scope: u64, place: Place) {
        if let Entry::Vacant(room) = self.stripe(name).entry(name) {
            room.insert(Spot { place, scope });
            self.count(true);
        }
    }

    /// All that was on disk at the start is known: notes of what left are of no use any more.
    pub(super) fn complete(&self) {
        self.is_whole.store(true, Release);
        self.retain(|place, _| !matches!(place, Place::Gone));
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole.load(Acquire)
    }

    /// Keeps what passes, by its place and scope. Notes of what left stay in any case while they are needed.
    pub(super) fn retain(&self, passes: impl Fn(Place, u64) -> bool) {
        let is_whole = self.is_whole();
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            let before = stripe.len();
            stripe.retain(|_, spot| {
                let is_note = matches!(spot.place, Place::Gone);
                (is_note && !is_whole) || passes(spot.place, spot.scope)
            });
            self.len.fetch_sub(before - stripe.len(), Relaxed);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Takes a name out where its place passes.
    fn vacate(&self, name: Name, passes: impl FnOnce(Place) -> bool) -> bool {
        let mut stripe = self.stripe(name);
        let Entry::Occupied(mut known) = stripe.entry(name) else { return false };
        if !passes(known.get().place) {
            return false;
        }
        if self.is_whole() {
            known.remove();
            self.len.fetch_sub(1, Relaxed);
        } else {
            known.get_mut().place = Place::Gone;
        }
        true
    }

    fn count(&self, is_new: bool) {
        self.len.fetch_add(usize::from(is_new), Relaxed);
    }

    fn stripe(&self, name: Name) -> MutexGuard<'_, Stripe> {
        lock(&self.stripes[(name.1 >> 60) as usize % STRIPES])
    }
}

fn lock(stripe: &Mutex<Stripe>) -> MutexGuard<'_, Stripe> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}
