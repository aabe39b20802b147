//! The targets of one upstream as a shard uses them: which one a call goes to, and the idle connections to each, newest first, as the
//! newest is the least likely to have been closed by its peer.
//!
//! Requests on the short line reach their pool by number; the general line finds it by name, and both find the same one.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use tidegate_proto::limits::{UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_PER_AUTHORITY_MAX, UPSTREAM_IDLE_TIMEOUT_MS};
use tidegate_upstream::{Budget, Reach, Target, Targets, Tries, choose};

use super::{
    connect::Counted,
    seat::{Seat, Shelf},
    source::Source,
    wire::Wire,
};

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

    /// The port where none is named.
    pub(crate) fn port(self) -> u16 {
        if self == Self::Plain { 80 } else { 443 }
    }
}

/// The pools of one shard, by authority.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    all: RefCell<HashMap<Box<str>, Vec<Rc<Pool>>>>,
    pub(super) house: Rc<House>,
}

/// What all shelves count together.
#[derive(Debug, Default)]
pub(crate) struct House {
    idle: Cell<usize>,
    /// Seconds since the start, counted by the sweeps.
    seconds: Cell<u64>,
}

/// One upstream.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) kind: Kind,
    /// Host and port as calls name them.
    pub(crate) authority: Box<str>,
    pub(crate) source: Arc<Source>,
    /// Of the source, when `roster` was made.
    generation: Cell<u64>,
    roster: RefCell<Roster>,
    budget: Cell<Budget>,
    /// Whether it was called since the last sweep.
    is_used: Cell<bool>,
    house: Rc<House>,
}

/// The targets, and a shelf for each.
#[derive(Debug, Default)]
struct Roster {
    targets: Arc<Targets>,
    shelves: Box<[Rc<Shelf>]>,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) wire: Wire,
    pub(super) counted: Counted,
    pub(super) since_s: u64,
}

impl Pools {
    /// The pool of an upstream; `source` is asked for where there is none yet.
    pub(super) fn find(
        &self,
        kind: Kind,
        authority: &str,
        is_source: impl Fn(&Source) -> bool,
        source: impl FnOnce() -> Arc<Source>,
    ) -> Rc<Pool> {
        let mut all = self.all.borrow_mut();
        let is_it = |pool: &&Rc<Pool>| pool.kind == kind && is_source(&pool.source);
        if let Some(pool) = all.get(authority).and_then(|pools| pools.iter().find(is_it)) {
            return Rc::clone(pool);
        }
        let pool = Rc::new(Pool {
            kind,
            authority: authority.into(),
            source: source(),
            generation: Cell::new(0),
            roster: RefCell::default(),
            budget: Cell::default(),
            is_used: Cell::new(true),
            house: Rc::clone(&self.house),
        });
        all.entry(authority.into()).or_default().push(Rc::clone(&pool));
        pool
    }

    /// Closes what was idle for too long and forgets pools that nobody uses. Called once per second.
    pub(super) fn sweep(&self) {
        self.house.seconds.set(self.house.seconds.get() + 1);
        self.all.borrow_mut().retain(|_, pools| {
            pools.retain(|pool| pool.sweep() || Rc::strong_count(pool) > 1);
            !pools.is_empty()
        });
    }
}

impl Pool {
    /// Chooses the target of a call's next try; none while no address is known.
    pub(crate) fn seat(&self, tries: &Tries, random: u64) -> Option<Seat> {
        self.catch_up();
        if tries.is_empty() {
            self.is_used.set(true);
            let mut budget = self.budget.get();
            budget.deposit();
            self.budget.set(budget);
        }
        let roster = self.roster.borrow();
        let standing = roster.targets.standing();
        let busy = |index: usize| roster.shelves.get(index).map_or(u32::MAX, |shelf| shelf.busy());
        let choice = choose(&standing, tries, random, busy)?;
        match choice.reach {
            Reach::Local | Reach::Anywhere => {}
            Reach::Spilled => self.source.counts.spilled.increment(),
            Reach::Panic => self.source.counts.panics.increment(),
        }
        roster.shelves.get(choice.index).map(Seat::take)
    }

    /// Notes a try that failed at a target.
    pub(crate) fn note(&self, tries: &mut Tries, seat: &Shelf, was_sent: bool) {
        tries.note(&self.roster.borrow().targets, seat.index(), was_sent);
    }

    /// Whether there is more than one target.
    pub(crate) fn has_alternatives(&self) -> bool {
        self.catch_up();
        self.roster.borrow().targets.has_alternatives()
    }

    /// Takes the newest list of targets over, if there is one.
    #[inline]
    fn catch_up(&self) {
        if self.source.generation() != self.generation.get() {
            self.follow();
        }
    }

    /// Pays for a retry, if the budget allows.
    pub(crate) fn pay(&self) -> bool {
        let mut budget = self.budget.get();
        let is_paid = budget.withdraw();
        self.budget.set(budget);
        is_paid
    }

    /// Whether a retry could be paid for now.
    pub(crate) fn can_pay(&self) -> bool {
        self.budget.get().left() > 0
    }

    /// Takes the list of targets over. Connections to those that stay are kept.
    #[cold]
    fn follow(&self) {
        // Read first: a list that comes meanwhile is taken over by the next call.
        self.generation.set(self.source.generation());
        let targets = self.source.targets();
        let mut roster = self.roster.borrow_mut();
        let shelf = |(index, target): (usize, &Arc<Target>)| {
            let known = roster.shelves.iter().find(|shelf| Arc::ptr_eq(shelf.target(), target));
            let shelf = known.map(Rc::clone);
            let shelf = shelf.unwrap_or_else(|| Shelf::new(Arc::clone(target), &self.source, &self.house));
            shelf.stand(&targets, index);
            shelf
        };
        let shelves = targets.all().iter().enumerate().map(shelf).collect();
        *roster = Roster { shelves, targets };
    }

    /// Whether it has connections still.
    fn sweep(&self) -> bool {
        let mut budget = self.budget.get();
        budget.tick();
        self.budget.set(budget);
        if self.is_used.replace(false) {
            self.source.note_use();
        }
        let roster = self.roster.borrow();
        roster.shelves.iter().filter(|shelf| shelf.sweep()).count() > 0
    }
}

impl House {
    /// Seconds since the start.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds.get()
    }

    /// The age from which on an idle connection is closed.
    pub(super) fn oldest_s(&self) -> u64 {
        self.seconds.get().saturating_sub(UPSTREAM_IDLE_TIMEOUT_MS / 1_000)
    }

    /// Whether one more may be kept, by a shelf that has so many.
    pub(super) fn has_room(&self, of_shelf: usize) -> bool {
        of_shelf < UPSTREAM_IDLE_PER_AUTHORITY_MAX && self.idle.get() < UPSTREAM_IDLE_MAX
    }

    pub(super) fn add(&self, count: usize) {
        self.idle.set(self.idle.get() + count);
    }

    pub(super) fn subtract(&self, count: usize) {
        self.idle.set(self.idle.get().saturating_sub(count));
    }
}
