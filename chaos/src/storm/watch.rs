//! The observer's eyes: asks every node's admin listener for its figures all the time, and remembers who led, who was ready and
//! which elections there were. Never part of a fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    clock::Clock,
    exchange::get_once,
    lab::site::Site,
    limits::{SIGHTINGS, WATCH, WATCH_ANSWER},
};

/// What a node's figures say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sight {
    /// When it was seen, in microseconds of the run.
    pub(crate) at_us: u64,
    /// Whether the figures could be had.
    pub(crate) answers: bool,
    /// Whether it says that it leads the configuration group.
    pub(crate) leads: bool,
    /// Its term.
    pub(crate) term: u64,
    /// Revision of the configuration that it serves.
    pub(crate) serving_revision: u64,
    /// Newest revision that it has.
    pub(crate) revision: u64,
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
}

/// Someone led in a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reign {
    /// When it was first seen.
    pub(crate) at_us: u64,
    /// The term.
    pub(crate) term: u64,
    /// Where the leader is.
    pub(crate) site: Site,
}

/// A running watch.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

/// What a [`Watch`] has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// The newest sight of each node.
    pub(crate) now: BTreeMap<Site, Sight>,
    /// Everything that was seen, per node, in order.
    pub(crate) history: BTreeMap<Site, Vec<Sight>>,
    /// Who led, in the order of being seen.
    pub(crate) reigns: Vec<Reign>,
    /// Terms in which two nodes said that they lead.
    pub(crate) contested: BTreeSet<u64>,
}

impl Watch {
    /// Watches until `stop` turns true; must be called within the observer's runtime.
    pub(crate) fn start(&self, nodes: Vec<(Site, SocketAddr)>, clock: Clock, stop: &watch::Receiver<bool>) {
        for (site, admin) in nodes {
            let (seen, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                while !*stop.borrow() {
                    let due = Instant::now() + WATCH;
                    let page = get_once(admin, "/metrics", WATCH_ANSWER).await;
                    let sight = match page {
                        Some((status, body)) if status.is_success() => read(&String::from_utf8_lossy(&body)),
                        _ => Sight::default(),
                    };
                    seen.seen().note(site, Sight { at_us: clock.now_us(), ..sight });
                    sleep_until(due).await;
                }
            });
        }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the leader is: the node that said so in the newest term.
    pub(crate) fn leader(&self) -> Option<Site> {
        let seen = self.seen();
        let leads = seen.now.iter().filter(|(_, sight)| sight.answers && sight.leads);
        leads.max_by_key(|(_, sight)| sight.term).map(|(site, _)| *site)
    }
}

impl Seen {
    /// Takes a sight into account.
    pub(crate) fn note(&mut self, site: Site, sight: Sight) {
        if sight.answers && sight.leads {
            let same = |reign: &&Reign| reign.term == sight.term;
            match self.reigns.iter().find(same) {
                Some(reign) if reign.site != site => {
                    self.contested.insert(sight.term);
                }
                Some(_) => {}
                None => self.reigns.push(Reign { at_us: sight.at_us, term: sight.term, site }),
            }
        }
        self.now.insert(site, sight);
        let history = self.history.entry(site).or_default();
        if history.len() < SIGHTINGS {
            history.push(sight);
        }
    }

    /// Changes of the leader between two moments; a leader that is elected again is none.
    pub(crate) fn changes(&self, from_us: u64, to_us: u64) -> usize {
        let mut reigns: Vec<&Reign> = self.reigns.iter().collect();
        reigns.sort_by_key(|reign| reign.term);
        let new =
            |pair: &&[&Reign]| pair[0].site != pair[1].site && (from_us..=to_us).contains(&pair[1].at_us);
        reigns.windows(2).filter(new).count()
    }

    /// The newest term that anybody knew at a moment.
    pub(crate) fn term_at(&self, at_us: u64) -> u64 {
        let before = |sights: &Vec<Sight>| {
            sights.iter().filter(|s| s.answers && s.at_us <= at_us).map(|s| s.term).max().unwrap_or_default()
        };
        self.history.values().map(before).max().unwrap_or_default()
    }
}

/// Reads the figures of the configuration group from a page of metrics.
fn read(page: &str) -> Sight {
    let mut sight = Sight { answers: true, ..Sight::default() };
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        match name {
            "tidegate_raft_is_leader{group=\"config\"}" => sight.leads = value > 0.5,
            "tidegate_raft_term{group=\"config\"}" => sight.term = value as u64,
            "tidegate_config_serving_revision" => sight.serving_revision = value as u64,
            "tidegate_config_revision" => sight.revision = value as u64,
            "process_resident_memory_bytes" | "tidegate_process_resident_memory_bytes" => {
                sight.memory = value as u64;
            }
            _ => {}
        }
    }
    sight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(at_us: u64, leads: bool, term: u64) -> Sight {
        Sight { at_us, answers: true, leads, term, ..Sight::default() }
    }

    #[test]
    fn figures_are_read() {
        let page = "# HELP x\ntidegate_raft_is_leader{group=\"config\"} 1.0\n\
                    tidegate_raft_is_leader{group=\"ledger-0\"} 0.0\ntidegate_raft_term{group=\"config\"} 7.0\n\
                    tidegate_config_serving_revision 12\n";
        assert_eq!(read(page), Sight { serving_revision: 12, ..sight(0, true, 7) });
    }

    #[test]
    fn changes_elections_and_contests_are_seen() {
        let (one, other) = (Site::Az { region: 0, az: 0 }, Site::Az { region: 1, az: 0 });
        let mut seen = Seen::default();
        for (site, sight) in [
            (one, sight(10, true, 1)),
            (other, sight(11, false, 1)),
            (other, sight(50, true, 3)),
            // The old leader does not know yet.
            (one, sight(60, true, 1)),
            (other, sight(90, true, 4)),
        ] {
            seen.note(site, sight);
        }
        assert_eq!((seen.changes(0, 100), seen.changes(51, 100)), (1, 0));
        assert_eq!((seen.term_at(49), seen.term_at(50), seen.contested.len()), (1, 3, 0));
        seen.note(one, sight(95, true, 4));
        assert_eq!(seen.contested.len(), 1);
    }
}
