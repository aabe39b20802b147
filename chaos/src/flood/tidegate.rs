//! Tidegate's own limiter: the bank and the agent of every node, and the ledger and the keeper of every shard, unchanged, on
//! simulated machines. Owns who talks to whom; decides nothing that the product decides.

mod catalog;
mod layout;
mod node;
mod oracle;
mod raft;
mod seat;
mod shards;

use std::rc::Rc;

use tidegate_proto::ledger::{MessageV1, ReportV1};
use tidegate_throttle::{GLOBAL, PART, Timing};

use super::{
    chance::Chance,
    course::Course,
    fault::Fault,
    limiter::{Cost, Limiter},
    moment::{MS, SECOND},
    world::{self, Arrival, World},
};
pub(crate) use catalog::changes_kind;
use catalog::{Catalog, FIRST_DAY};
use layout::Layout;
use node::{Node, moment};
use oracle::Oracle;
use raft::{HEARTBEAT_NS, Message, Voter};
use seat::Seat;

const POLL_NS: u64 = 10 * MS;
/// How often a leader tells all nodes that it leads.
const ANNOUNCE_NS: u64 = 100 * MS;
/// Until a node has a new version of the configuration, at most.
const CONFIGURE_NS: u64 = SECOND / 2;

/// Messages and timers.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A node looks after its agent.
    Poll,
    /// A voter looks after its shard.
    Beat(usize),
    /// A leader decides.
    Tick(usize),
    /// A leader tells that it leads.
    Announce(usize),
    /// The same, where it is heard: shard, term, leader.
    Leads(usize, u64, usize),
    /// To the leader of a shard, as bytes.
    Report(usize, Rc<Vec<u8>>),
    /// From the leader of a shard, as bytes.
    Grant(usize, Rc<Vec<u8>>),
    /// Somebody else leads the shard.
    Elsewhere(usize, u64, usize),
    /// Between voters.
    Raft(usize, Rc<Message>),
    /// A node gets a version of the configuration.
    Configure(usize),
}

/// How the product is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Its clockwork.
    pub(crate) timing: Timing,
    /// Between two ticks of a leader.
    pub(crate) tick_ns: u64,
    /// Between two looks of the oracle; 0 for none.
    pub(crate) look_ns: u64,
    /// Whether regions that are far apart are taken for zones of one region.
    pub(crate) is_flat: bool,
}

/// The product on all nodes.
#[derive(Debug)]
pub(crate) struct Tidegate {
    course: Course,
    settings: Settings,
    /// Absent while no process runs.
    nodes: Vec<Option<Node>>,
    layout: Layout,
    /// By site, then voter.
    seats: Vec<Vec<Seat>>,
    versions: Vec<Rc<Catalog>>,
    day: u32,
    chance: Chance,
    oracle: Oracle,
    looked_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timing: Timing::default(), tick_ns: 10 * MS, look_ns: 0, is_flat: false }
    }
}

impl Tidegate {
    /// Not started yet.
    pub(crate) fn new(course: &Course, settings: Settings) -> Self {
        let is_wide = course.places.regions > 1 && !settings.is_flat;
        let layout = if is_wide { Layout::wide(course.places) } else { Layout::flat(course.places) };
        let seats = layout.sites.iter().map(|site| {
            let of = |node: &usize| {
                let speaker = (site.number == PART).then(|| layout.speaker(*node));
                Seat::new(site.number, speaker, Voter::new(*node, &site.voters))
            };
            site.voters.iter().map(of).collect()
        });
        let seats = seats.collect();
        Self {
            course: course.clone(),
            settings,
            nodes: Vec::new(),
            oracle: Oracle::new(layout.sites.len()),
            layout,
            seats,
            versions: Vec::new(),
            day: FIRST_DAY,
            chance: Chance::new(course.seed, "tidegate"),
            looked_ns: 0,
        }
    }

    fn boot(&mut self, world: &mut World<Event>, node: usize) {
        let Some(catalog) = self.versions.last().map(Rc::clone) else { return };
        let leaders = self.layout.sites.iter().map(|site| (0, site.voters.first().copied().unwrap_or(0)));
        let leaders = leaders.collect();
        let life = world.life(node);
        let process = Node::new(node, life, self.settings.timing, catalog, leaders, moment(world, node));
        self.nodes[node] = Some(process);
        world.after(self.chance.below(POLL_NS as usize) as u64, node, Event::Poll);
        for shard in (0..self.seats.len()).filter(|at| self.layout.sites[*at].voters.contains(&node)) {
            let tick_ns = self.settings.tick_ns;
            world.after(self.chance.below(HEARTBEAT_NS as usize) as u64, node, Event::Beat(shard));
            world.after(self.chance.below(tick_ns as usize) as u64, node, Event::Tick(shard));
            world.after(self.chance.below(ANNOUNCE_NS as usize) as u64, node, Event::Announce(shard));
        }
    }

    fn poll(&mut self, world: &mut World<Event>, node: usize) {
        let Some(process) = &mut self.nodes[node] else { return };
        let reports = process.poll(world, node);
        world.after(POLL_NS, node, Event::Poll);
        for (number, report) in reports {
            match self.layout.site(node, number) {
                Some(at) => self.report(world, node, at, report),
                None => self.oracle.complain(format!("a report for ledger {number}, which is not there")),
            }
        }
    }

    fn report(&mut self, world: &mut World<Event>, node: usize, shard: usize, report: ReportV1) {
        let (number, is_of_region) = (self.layout.sites[shard].number, report.rank > 0);
        let Some(process) = &mut self.nodes[node] else { return };
        let (_, leader) = process.leader(shard);
        let message = MessageV1::Report { group: shard as u64, report };
        match message.encode() {
            Ok(_) if !world.is_up(leader) && world.network.passes(node, leader) => match is_of_region {
                true => self.lost_for_region(node),
                false => process.agent.lost(number),
            },
            Ok(bytes) => world.send(node, leader, bytes.len(), Event::Report(shard, Rc::new(bytes))),
            Err(reason) => self.oracle.complain(format!("a report cannot be sent: {reason}")),
        }
    }

    fn granted(&mut self, world: &mut World<Event>, node: usize, shard: usize, bytes: &[u8]) {
        let Ok(MessageV1::Grant { grant, .. }) = MessageV1::decode(bytes) else {
            self.oracle.complain("a grant cannot be read".into());
            return;
        };
        if grant.rank > 0 {
            let clock = world.clock(node);
            let part = self.layout.site(node, PART);
            if let Some(seat) = part.and_then(|part| self.seat(part, node)) {
                seat.take_grant(clock, &grant);
            }
            return;
        }
        let number = self.layout.sites[shard].number;
        if let Some(process) = &mut self.nodes[node] {
            process.take_in(world, &self.course, (node, number), &grant);
        }
    }

    /// What a region said did not arrive.
    fn lost_for_region(&mut self, node: usize) {
        let part = self.layout.site(node, PART);
        if let Some(seat) = part.and_then(|part| self.seat(part, node)) {
            seat.lost();
        }
    }

    fn is_wide(&self) -> bool {
        self.layout.sites.iter().any(|site| site.number == GLOBAL)
    }

    fn learn_leader(&mut self, node: usize, shard: usize, term: u64, leader: usize) {
        if let Some(process) = &mut self.nodes[node] {
            process.learn_leader(shard, term, leader);
        }
    }
}

impl Limiter for Tidegate {
    type Event = Event;

    fn start(&mut self, world: &mut World<Event>) {
        let catalog = Catalog::first(&self.course, &world.limits, self.is_wide());
        self.versions.push(Rc::new(catalog));
        self.nodes = (0..world.nodes()).map(|_| None).collect();
        for seat in self.seats.iter_mut().filter_map(|seats| seats.first_mut()) {
            seat.voter.appoint(0);
        }
        (0..world.nodes()).for_each(|node| self.boot(world, node));
    }

    fn arrive(&mut self, world: &mut World<Event>, arrival: Arrival) {
        if let Some(process) = &mut self.nodes[arrival.node] {
            process.arrive(world, &self.course, arrival);
        }
    }

    fn event(&mut self, world: &mut World<Event>, event: world::Event<Event>) {
        let node = event.to;
        match &event.what {
            Event::Poll => self.poll(world, node),
            Event::Beat(shard) => self.beat(world, node, *shard),
            Event::Tick(shard) => self.tick(world, node, *shard),
            Event::Announce(shard) => self.announce(world, node, *shard),
            Event::Leads(shard, term, leader) => self.learn_leader(node, *shard, *term, *leader),
            Event::Report(shard, bytes) => self.reported(world, &event, *shard, bytes),
            Event::Grant(shard, bytes) => self.granted(world, node, *shard, bytes),
            Event::Elsewhere(shard, term, leader) => {
                self.learn_leader(node, *shard, *term, *leader);
                let number = self.layout.sites[*shard].number;
                if let Some(process) = &mut self.nodes[node] {
                    process.agent.lost(number);
                }
                if number == GLOBAL {
                    self.lost_for_region(node);
                }
            }
            Event::Raft(shard, message) => self.voted(world, &event, *shard, (**message).clone()),
            Event::Configure(version) => {
                if let (Some(process), Some(catalog)) = (&mut self.nodes[node], self.versions.get(*version))
                    && catalog.version > process.catalog().version
                {
                    process.adopt(Rc::clone(catalog), moment(world, node));
                }
            }
        }
    }

    fn fault(&mut self, world: &mut World<Event>, fault: &Fault) {
        match fault {
            Fault::Kill(_) | Fault::Start(_) => {
                for node in 0..self.nodes.len() {
                    match (world.is_up(node), self.nodes[node].is_some()) {
                        (false, true) => {
                            self.nodes[node] = None;
                            (0..self.seats.len())
                                .for_each(|shard| self.seat(shard, node).into_iter().for_each(Seat::vacate));
                        }
                        (true, false) => self.restart(world, node),
                        _ => {}
                    }
                }
            }
            Fault::Depose(which) => {
                for shard in (0..self.seats.len()).filter(|shard| which.is_none_or(|which| which == *shard)) {
                    for seat in self.seats[shard].iter_mut().filter(|seat| seat.voter.leads()) {
                        seat.voter.step_aside(world.now);
                        seat.vacate();
                    }
                }
            }
            Fault::Scale(..) => {
                let Some(before) = self.versions.last() else { return };
                let next = before.next(&self.course, &world.limits, self.is_wide(), world.now);
                self.versions.push(Rc::new(next));
                for node in 0..self.nodes.len() {
                    let delay = self.chance.below(CONFIGURE_NS as usize) as u64;
                    world.after(delay, node, Event::Configure(self.versions.len() - 1));
                }
            }
            Fault::Day => self.day += 1,
            Fault::Pause(_)
            | Fault::Resume(_)
            | Fault::Isolate(_)
            | Fault::Cut(..)
            | Fault::Heal
            | Fault::StopStore
            | Fault::StartStore => {}
        }
    }

    fn look(&mut self, world: &World<Event>) {
        if self.settings.look_ns == 0 || world.now < self.looked_ns + self.settings.look_ns {
            return;
        }
        self.looked_ns = world.now;
        let newest = self.seats.iter().filter_map(|seats| {
            let voters = seats.iter().map(|seat| &seat.voter);
            voters.max_by_key(|voter| voter.applied()).map(Voter::ledger)
        });
        let newest: Vec<_> = newest.collect();
        if let Some(catalog) = self.versions.last() {
            self.oracle.look(world, &self.nodes, &self.layout, &newest, catalog.ids());
        }
    }

    fn cost(&self) -> Cost {
        let per_shard = self.seats.iter().map(|seats| seats.iter().map(|seat| seat.commits).sum());
        Cost {
            commits: per_shard.max().unwrap_or(0),
            changes: self.seats.iter().flatten().map(|seat| seat.changes).sum(),
        }
    }

    fn complaints(&self) -> &[String] {
        &self.oracle.complaints
    }
}
