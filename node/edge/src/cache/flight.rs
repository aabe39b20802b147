//! One call for many requests: whoever asks first for a key that has no answer calls, the others wait for what comes of it. Owns that a
//! key has one call under way on a node; must never let a request wait for a call that has ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_gateway::Rejection;
use tidegate_proto::limits::CACHE_FLIGHTS_MAX;
use tokio::sync::watch;

use super::{entry::Entry, hash::Plain};

/// Parts of the table, so that misses of different keys do not wait for each other.
const LANES: usize = 16;

/// All calls under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    lanes: [Mutex<HashMap<u64, Flight, Plain>>; LANES],
}

#[derive(Debug)]
struct Flight {
    key: Box<[u8]>,
    landing: watch::Receiver<Option<Landing>>,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// An answer that is stored.
    Stored(Arc<Entry>),
    /// An answer that is not stored, but good for all who asked for it at the same time.
    Shared(Arc<Entry>),
    /// An answer that only the request it was made for may have.
    Unfit,
    /// No answer.
    Failed(Rejection),
    /// Whoever called is gone.
    Lost,
}

/// A request's part in a call.
#[derive(Debug)]
pub(crate) enum Boarding {
    /// It makes the call.
    Lead(Lead),
    /// It waits for it.
    Follow(watch::Receiver<Option<Landing>>),
    /// It goes alone: another key has its place, or there are too many.
    Alone,
}

/// The duty to say what came of a call.
#[derive(Debug)]
pub(crate) struct Lead {
    flights: Arc<Flights>,
    hash: u64,
    landing: watch::Sender<Option<Landing>>,
}

impl Flights {
    /// Takes part in the call for a key.
    pub(crate) fn board(self: &Arc<Self>, hash: u64, key: &[u8]) -> Boarding {
        let mut lane = self.lane(hash);
        match lane.get(&hash) {
            Some(flight) if *flight.key == *key => Boarding::Follow(flight.landing.clone()),
            Some(_) => Boarding::Alone,
            None if lane.len() >= CACHE_FLIGHTS_MAX / LANES => Boarding::Alone,
            None => {
                let (landing, seen) = watch::channel(None);
                lane.insert(hash, Flight { key: key.into(), landing: seen });
                Boarding::Lead(Lead { flights: Arc::clone(self), hash, landing })
            }
        }
    }

    fn lane(&self, hash: u64) -> MutexGuard<'_, HashMap<u64, Flight, Plain>> {
        // The upper bits, because the table takes the lower ones.
        let lane = &self.lanes[(hash >> 60) as usize % LANES];
        lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Says what came of it. Who asks from now on finds no call under way.
    pub(crate) fn land(self, landing: Landing) {
        self.end(landing);
    }

    fn end(&self, landing: Landing) {
        self.flights.lane(self.hash).remove(&self.hash);
        self.landing.send_if_modified(|seen| {
            let is_first = seen.is_none();
            if is_first {
                *seen = Some(landing);
            }
            is_first
        });
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.landing.borrow().is_none() {
            self.end(Landing::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_and_the_others_learn_what_came_of_it() {
        let flights = Arc::new(Flights::default());
        let Boarding::Lead(lead) = flights.board(7, b"key") else { panic!("nobody leads") };
        let Boarding::Follow(first) = flights.board(7, b"key") else { panic!("two lead") };
        assert!(matches!(flights.board(7, b"other"), Boarding::Alone));
        assert!(first.borrow().is_none());
        lead.land(Landing::Unfit);
        assert!(matches!(*first.borrow(), Some(Landing::Unfit)));
        let Boarding::Lead(lost) = flights.board(7, b"key") else { panic!("an ended call is under way") };
        let Boarding::Follow(second) = flights.board(7, b"key") else { panic!("two lead") };
        drop(lost);
        assert!(matches!(*second.borrow(), Some(Landing::Lost)));
        assert!(matches!(flights.board(7, b"other"), Boarding::Lead(_)));
    }

    #[test]
    fn calls_are_bounded() {
        let flights = Arc::new(Flights::default());
        let bound = (CACHE_FLIGHTS_MAX / LANES) as u64;
        let leads: Vec<_> = (0..bound).map(|hash| flights.board(hash, b"key")).collect();
        assert!(leads.iter().all(|one| matches!(one, Boarding::Lead(_))));
        assert!(matches!(flights.board(bound, b"key"), Boarding::Alone));
    }
}
