//! A node's side of the ledger: keeps its cells within what it was granted, and asks for more. Owns the sessions with the
//! shards; decides nothing about requests, which never wait for it. Pure: it is polled with the time and hands out messages.

mod chunks;
mod counts;
mod places;
mod session;
mod slices;

use std::sync::Arc;

use tidegate_proto::ledger::{BusyHolderV1, BusyV1, GrantV1, ReportV1};

use crate::{
    bank::Bank,
    busy::busiest,
    cell::flag,
    index::Index,
    limit::{LEDGERS, LimitId},
    page::Mark,
    timing::Timing,
};
use places::Places;
use session::Session;

/// A moment on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the clock of the decisions, in nanoseconds.
    pub now_ns: u64,
    /// On the clock of the leases, which counts while the machine sleeps, in nanoseconds.
    pub boot_ns: u64,
}

/// Who an agent speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node.
    pub holder: u64,
    /// This life of it; never used twice.
    pub incarnation: u64,
    /// Whether this may not be its first life: then what a strict bucket holds at the start was perhaps spent already.
    pub has_lived: bool,
}

/// A node's side of the ledger.
#[derive(Debug)]
pub struct Agent {
    identity: Identity,
    /// Towards each ledger.
    timings: [Timing; LEDGERS],
    bank: Arc<Bank>,
    index: Arc<Index>,
    places: Places,
    sessions: [Session; LEDGERS],
    measured_ns: u64,
}

/// A session with a shard, as metrics see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
    /// Whether there is one.
    pub is_open: bool,
    /// How long the lease lasts, in nanoseconds.
    pub left_ns: u64,
}

/// Limits of one kind that are in use on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InUse {
    /// How many.
    pub limits: usize,
    /// Requests per second that were offered to them.
    pub demand: f64,
    /// Requests per second that they refused.
    pub refused: f64,
}

impl InUse {
    fn add(&mut self, one: &BusyHolderV1) {
        self.limits += 1;
        self.demand += f64::from(one.demand);
        self.refused += f64::from(one.refused);
    }
}

/// What the parts of a session work with.
struct Ground<'a> {
    now: Now,
    timings: &'a [Timing; LEDGERS],
    /// Towards the ledger of the session that is at work.
    timing: &'a Timing,
    bank: &'a Bank,
    index: &'a Index,
    places: &'a mut Places,
}

impl Agent {
    /// An agent without limits.
    pub fn new(identity: Identity, timing: Timing, bank: Arc<Bank>) -> Self {
        let places = Places::new(&bank);
        Self {
            identity,
            timings: std::array::from_fn(|ledger| timing.towards(ledger)),
            bank,
            index: Arc::default(),
            places,
            sessions: std::array::from_fn(Session::new),
            measured_ns: 0,
        }
    }

    /// Says which life of the node this is, where that was not known at first; nothing may have been sent before.
    pub fn count_life(&mut self, incarnation: u64) {
        self.identity.incarnation = incarnation;
    }

    /// Takes a new index over. Requests may use its places as soon as this has returned.
    pub fn adopt(&mut self, index: Arc<Index>, now: Now) {
        for cell in 0..index.cells() {
            self.bank.cells.ensure(cell);
        }
        let (before, is_first) = (std::mem::replace(&mut self.index, index), self.measured_ns == 0);
        let may_be_spent = self.identity.has_lived && is_first;
        let (sessions, mut ground) = self.split(now);
        for session in sessions {
            ground.turn_to(session);
            session.adopt(&before, may_be_spent, &mut ground);
        }
        for cell in 0..before.cells() {
            let freed = |index: &Index| index.entry(cell).and_then(|entry| entry.key);
            if freed(&before) != freed(&self.index)
                && let Some(cell) = self.bank.cells.get(cell)
                && freed(&before).is_none()
            {
                cell.reset();
            }
        }
    }

    /// The limits it knows.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Looks after leases, measures demand when it is time, and returns what is to be sent, with the ledger it is for. To be
    /// called every ten milliseconds while [`Self::is_busy`], and ten times a second otherwise.
    pub fn poll(&mut self, now: Now) -> Vec<(usize, ReportV1)> {
        let is_time = now.now_ns.saturating_sub(self.measured_ns) >= self.timings[0].report_ns;
        let identity = self.identity;
        let (sessions, mut ground) = self.split(now);
        // What was used is told apart before the terms of its use change.
        wake(sessions, &mut ground, Mark::Touched);
        for session in sessions.iter_mut() {
            ground.turn_to(session);
            session.check_lease(&mut ground);
        }
        wake(sessions, &mut ground, Mark::Urgent);
        let mut out = Vec::new();
        for session in sessions.iter_mut() {
            ground.turn_to(session);
            session.work(is_time, &mut ground);
            if let Some(report) = session.report(identity, &mut ground) {
                out.push((session.ledger(), report));
            }
        }
        if is_time {
            self.measured_ns = now.now_ns.max(1);
        }
        out
    }

    /// Takes a grant in.
    pub fn take_in(&mut self, now: Now, ledger: usize, grant: &GrantV1) {
        let identity = self.identity;
        let (sessions, mut ground) = self.split(now);
        if grant.open.is_some() || grant.reopen {
            wake(sessions, &mut ground, Mark::Touched);
        }
        if let Some(session) = sessions.get_mut(ledger) {
            ground.turn_to(session);
            session.take_in(identity, grant, &mut ground);
        }
    }

    /// A report did not arrive.
    pub fn lost(&mut self, ledger: usize) {
        if let Some(session) = self.sessions.get_mut(ledger) {
            session.repeat();
        }
    }

    /// Gives everything back that can be: for a planned stop. No request may be decided after this.
    pub fn retire(&mut self, now: Now) -> Vec<(usize, ReportV1)> {
        let identity = self.identity;
        let (sessions, mut ground) = self.split(now);
        let reports = sessions.iter_mut().map(|session| {
            ground.turn_to(session);
            (session.ledger(), session.retire(identity, &mut ground))
        });
        reports.filter_map(|(ledger, report)| Some((ledger, report?))).collect()
    }

    /// Whether any limit is in use or waited for.
    pub fn is_busy(&self) -> bool {
        self.sessions.iter().any(Session::is_busy)
    }

    /// Whether there is anything to do at all.
    pub fn is_needed(&self) -> bool {
        !self.index.is_empty()
    }

    /// Whether a ledger has given a session.
    pub fn is_open(&self, ledger: usize) -> bool {
        self.sessions.get(ledger).is_some_and(Session::is_open)
    }

    /// The share of a limit that this node may use now, of [`tidegate_proto::ledger::WHOLE`], as far as a ledger must know: 0
    /// without a lease, and of a limit that does not exist here. For checks of conservation.
    pub fn share(&self, limit: LimitId, now: Now) -> u32 {
        let session = self.sessions.get(limit.ledger()).filter(|_| self.index.find(limit).is_some());
        session.map_or(0, |session| session.share(limit, now))
    }

    /// Tokens of a quota or pool at hand. For checks of conservation.
    pub fn tokens(&self, limit: LimitId) -> u64 {
        self.sessions.get(limit.ledger()).map_or(0, |session| session.tokens(limit, &self.bank))
    }

    /// The limits with the highest demand on this node, busiest first.
    pub fn busiest(&mut self, now: Now, count: usize) -> Vec<BusyV1> {
        let holder = self.identity.holder;
        let (sessions, ground) = self.split(now);
        let all = sessions.iter().flat_map(|session| session.demands(holder, &ground)).collect();
        let describe = |limit: u64| {
            let session = sessions.get(LimitId::new(limit)?.ledger())?;
            session.describe(limit, holder, &ground)
        };
        busiest(all, count).into_iter().filter_map(describe).collect()
    }

    /// Its sessions by ledger, and what is in use: slices, counts, pools and quotas, with their names.
    pub fn survey(&mut self, now: Now) -> ([LeaseView; LEDGERS], [(&'static str, InUse); 4]) {
        let (sessions, ground) = self.split(now);
        let leases = std::array::from_fn(|shard| {
            sessions.get(shard).map_or_else(LeaseView::default, |session| session.lease_view(&ground))
        });
        let mut in_use = [InUse::default(); 4];
        sessions.iter().for_each(|session| session.add_up(&ground, &mut in_use));
        let [slices, counts, pools, quotas] = in_use;
        (leases, [("slice", slices), ("count", counts), ("pool", pools), ("quota", quotas)])
    }

    fn split(&mut self, now: Now) -> (&mut [Session; LEDGERS], Ground<'_>) {
        let Self { timings, bank, index, places, sessions, .. } = self;
        let timing = &timings[0];
        (sessions, Ground { now, timings, timing, bank, index, places })
    }
}

impl Ground<'_> {
    fn turn_to(&mut self, session: &Session) {
        if let Some(timing) = self.timings.get(session.ledger()) {
            self.timing = timing;
        }
    }
}

/// The sessions that a cell's rate and quota hang off, mostly one.
fn concerned<'a>(
    cell: u32,
    sessions: &'a mut [Session; LEDGERS],
    index: &Index,
) -> impl Iterator<Item = &'a mut Session> {
    let entry = index.entry(cell);
    let ledger = |place: Option<u32>| place.and_then(|place| index.described(place)).map(|d| d.ledger);
    let rate = ledger(entry.and_then(|entry| entry.rate()));
    let quota = ledger(entry.and_then(|entry| entry.quota()));
    sessions.iter_mut().filter(move |session| [rate, quota].contains(&Some(session.ledger())))
}

/// Makes sessions look at cells that were marked.
fn wake(sessions: &mut [Session; LEDGERS], ground: &mut Ground<'_>, mark: Mark) {
    let mut marked = Vec::new();
    ground.bank.cells.sweep(mark, |cell| marked.push(cell));
    for cell in marked {
        for session in concerned(cell, sessions, ground.index) {
            ground.turn_to(session);
            session.wake(cell, mark == Mark::Urgent, ground);
        }
        if mark == Mark::Urgent
            && let Some(cell) = ground.bank.cells.get(cell)
        {
            cell.clear(flag::URGENT);
        }
    }
}
