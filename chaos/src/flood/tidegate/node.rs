//! The data plane of one node: the product's bank and agent, and the requests that wait for a grant. Owns parking; every decision
//! is the bank's.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use tidegate_proto::ledger::{GrantV1, ReportV1};
use tidegate_throttle::{Agent, Bank, Identity, Now, Reason, Timing, Verdict};

use super::{Event, catalog::Catalog};
use crate::flood::{
    course::Course,
    moment::{MS, SECOND},
    world::{Arrival, World},
};

/// Requests that wait for a grant at a time.
const PARKED_MAX: usize = 256;
/// How long one waits.
const PARKED_NS: u64 = 100 * MS;
/// The clock of leases is ahead of that of decisions, so that one taken for the other shows.
const BOOT_AHEAD_NS: u64 = 77 * SECOND;

/// A node that runs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) agent: Agent,
    bank: Arc<Bank>,
    catalog: Rc<Catalog>,
    parked: VecDeque<Arrival>,
    /// Who leads each shard, as far as it knows, with the term.
    leaders: Vec<(u64, usize)>,
}

/// What becomes of a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Decided,
    Waits,
}

impl Node {
    /// A process that has just started, as life `life` of its node.
    pub(super) fn new(
        node: usize,
        life: u32,
        timing: Timing,
        catalog: Rc<Catalog>,
        leaders: Vec<(u64, usize)>,
        now: Now,
    ) -> Self {
        let bank = Arc::new(Bank::new());
        let identity =
            Identity { holder: node as u64 + 1, incarnation: u64::from(life) + 1, has_lived: life > 0 };
        let mut agent = Agent::new(identity, timing, Arc::clone(&bank));
        agent.adopt(Arc::clone(&catalog.index), now);
        Self { agent, bank, catalog, parked: VecDeque::new(), leaders }
    }

    /// Takes a new version of the configuration over.
    pub(super) fn adopt(&mut self, catalog: Rc<Catalog>, now: Now) {
        self.agent.adopt(Arc::clone(&catalog.index), now);
        self.catalog = catalog;
    }

    /// The configuration it knows.
    pub(super) fn catalog(&self) -> &Rc<Catalog> {
        &self.catalog
    }

    /// Decides about a request, or lets it wait.
    pub(super) fn arrive(&mut self, world: &mut World<Event>, course: &Course, arrival: Arrival) {
        let may_wait = self.parked.len() < PARKED_MAX;
        if self.decide(world, course, arrival, may_wait) == Outcome::Waits {
            self.parked.push_back(arrival);
        }
    }

    /// Looks after everything that is due; returns the reports to send, with the shard each is for.
    pub(super) fn poll(&mut self, world: &mut World<Event>, node: usize) -> Vec<(usize, ReportV1)> {
        while let Some(first) = self.parked.front().filter(|first| first.at + PARKED_NS <= world.now) {
            world.judge.wait_for(first.key, world.now - first.at, false);
            self.parked.pop_front();
        }
        self.agent.poll(moment(world, node))
    }

    /// Takes a grant in and decides again about what waits.
    pub(super) fn take_in(
        &mut self,
        world: &mut World<Event>,
        course: &Course,
        place: (usize, usize),
        grant: &GrantV1,
    ) {
        let (node, shard) = place;
        self.agent.take_in(moment(world, node), shard, grant);
        for arrival in std::mem::take(&mut self.parked) {
            if self.decide(world, course, arrival, true) == Outcome::Waits {
                self.parked.push_back(arrival);
            }
        }
    }

    /// Hears that `node` leads a shard.
    pub(super) fn learn_leader(&mut self, shard: usize, term: u64, node: usize) {
        if let Some(known) = self.leaders.get_mut(shard)
            && term > known.0
        {
            *known = (term, node);
        }
    }

    /// Where reports for a shard go, and the term that is known.
    pub(super) fn leader(&self, shard: usize) -> (u64, usize) {
        self.leaders.get(shard).copied().unwrap_or_default()
    }

    fn decide(&self, world: &mut World<Event>, course: &Course, arrival: Arrival, may_wait: bool) -> Outcome {
        let (refs, count) = self.catalog.refs(arrival.key);
        let now = moment(world, arrival.node);
        let decide = |refs: &[_]| self.bank.decide(refs, now.now_ns, || now.boot_ns);
        let verdict = match refs {
            [Some(own), Some(shared)] => decide(&[own, shared]),
            [Some(own), None] if count == 1 => decide(&[own]),
            _ => return Outcome::Decided,
        };
        match verdict {
            Verdict::Refused(refusal) if refusal.reason == Reason::Starved && may_wait => {
                return Outcome::Waits;
            }
            Verdict::Refused(_) => {}
            Verdict::Admitted => {
                world.admit(arrival.key, arrival.node);
                if let Some(shared) = course.shared_by(arrival.key) {
                    world.admit(shared, arrival.node);
                }
            }
        }
        world.judge.wait_for(arrival.key, world.now - arrival.at, verdict == Verdict::Admitted);
        Outcome::Decided
    }
}

/// Both clocks of a node.
pub(super) fn moment<E>(world: &World<E>, node: usize) -> Now {
    let now_ns = world.clock(node);
    Now { now_ns, boot_ns: now_ns + BOOT_AHEAD_NS }
}
