//! Idle upstream connections of one shard, newest first: the newest is the least likely to have been closed by its peer.
//!
//! A shelf holds the connections to one upstream. Requests on the short line reach theirs by number; the general line finds it by
//! name, and both find the same one.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use tidegate_proto::limits::{UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_PER_AUTHORITY_MAX, UPSTREAM_IDLE_TIMEOUT_MS};

use super::{connect::Counted, wire::Wire};

/// How a connection is secured; connections of different kinds are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Plain,
    Verified,
    Unverified,
}

impl Kind {
    pub(crate) fn of(tls: bool, unverified: bool) -> Self {
        match (tls, unverified) {
            (false, _) => Self::Plain,
            (true, false) => Self::Verified,
            (true, true) => Self::Unverified,
        }
    }
}

/// The shelves of one shard.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    shelves: RefCell<HashMap<Box<str>, Vec<Rc<Shelf>>>>,
    house: Rc<House>,
}

/// What all shelves count together.
#[derive(Debug, Default)]
struct House {
    idle: Cell<usize>,
    /// Seconds since the start, counted by the sweeps.
    seconds: Cell<u64>,
}

/// The idle connections to one upstream.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) kind: Kind,
    pub(crate) authority: Box<str>,
    idle: RefCell<Vec<Idle>>,
    house: Rc<House>,
}

#[derive(Debug)]
struct Idle {
    wire: Wire,
    counted: Counted,
    since_s: u64,
}

impl Pool {
    /// The shelf of an upstream.
    pub(crate) fn shelf(&self, kind: Kind, authority: &str) -> Rc<Shelf> {
        let mut shelves = self.shelves.borrow_mut();
        let known = shelves.get(authority).and_then(|all| all.iter().find(|shelf| shelf.kind == kind));
        if let Some(shelf) = known {
            return Rc::clone(shelf);
        }
        let shelf = Rc::new(Shelf {
            kind,
            authority: authority.into(),
            idle: RefCell::default(),
            house: Rc::clone(&self.house),
        });
        shelves.entry(authority.into()).or_default().push(Rc::clone(&shelf));
        shelf
    }

    /// Closes what was idle for too long and forgets shelves that nobody uses. Called once per second.
    pub(super) fn sweep(&self) {
        self.house.seconds.set(self.house.seconds.get() + 1);
        self.shelves.borrow_mut().retain(|_, all| {
            all.retain(|shelf| {
                shelf.sweep();
                Rc::strong_count(shelf) > 1 || !shelf.idle.borrow().is_empty()
            });
            !all.is_empty()
        });
    }
}

impl Shelf {
    /// The connection that became idle last, if one still seems alive.
    pub(super) fn take(&self) -> Option<(Wire, Counted)> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut wire, counted, .. }) = idle.pop() {
            self.house.idle.set(self.house.idle.get() - 1);
            if wire.is_quiet() {
                return Some((wire, counted));
            }
        }
        None
    }

    /// Keeps a connection whose exchange has ended on the wire.
    pub(super) fn put(&self, wire: Wire, counted: Counted) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < UPSTREAM_IDLE_PER_AUTHORITY_MAX && self.house.idle.get() < UPSTREAM_IDLE_MAX {
            self.house.idle.set(self.house.idle.get() + 1);
            idle.push(Idle { wire, counted, since_s: self.house.seconds.get() });
        }
    }

    fn sweep(&self) {
        let oldest_s = self.house.seconds.get().saturating_sub(UPSTREAM_IDLE_TIMEOUT_MS / 1_000);
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain_mut(|one| one.since_s >= oldest_s && one.wire.is_quiet());
        self.house.idle.set(self.house.idle.get() - (before - idle.len()));
    }
}
