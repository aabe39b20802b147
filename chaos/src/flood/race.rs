//! One limiter through one course: deals requests, events and faults out in the order of virtual time. Owns the routing of
//! clients around dead nodes; must never decide about a request.

use std::collections::VecDeque;

use super::{
    chance::Chance,
    course::{Course, Terms},
    demand::{Demand, STEP_NS},
    fault::{Fault, Part, Timed},
    judge::{Figure, Figures, Judge},
    level::Limit,
    limiter::Limiter,
    moment::{MS, SECOND, seconds},
    tidegate,
    world::{Arrival, World},
};

/// Requests are drawn for so long at a time.
const BATCH_NS: u64 = MS;
/// Until clients notice that a node is gone, or back.
const REROUTE_NS: u64 = SECOND;
/// Until a central store is replaced.
const STORE_DOWN_MS: u64 = 5_000;

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The figures.
    pub(crate) figures: Figures,
    /// What the limiter found wrong with itself.
    pub(crate) complaints: Vec<String>,
    /// Knows more.
    pub(crate) judge: Judge,
}

/// A run that goes on.
struct Race<'c, L: Limiter> {
    course: &'c Course,
    limiter: L,
    world: World<L::Event>,
    demand: Demand,
    arrivals: Chance,
    faults: VecDeque<Timed>,
    routable: Vec<bool>,
    /// Nodes that clients will leave or find again, in order of time.
    reroutes: VecDeque<(u64, usize, bool)>,
}

/// Runs a course to its end.
pub(crate) fn run<L: Limiter>(limiter: L, course: &Course) -> Outcome {
    let demand = Demand::new(course);
    let mut race = Race {
        course,
        limiter,
        world: World::new(course, demand.limits.clone()),
        demand,
        arrivals: Chance::new(course.seed, "arrivals"),
        faults: course.faults.iter().copied().collect(),
        routable: vec![true; course.places.nodes()],
        reroutes: VecDeque::new(),
    };
    race.limiter.start(&mut race.world);
    let mut batch = Vec::new();
    for begin in (0..course.length_ns()).step_by(BATCH_NS as usize) {
        race.faults_until(begin);
        race.route(begin);
        race.draw(begin, &mut batch);
        race.play(begin + BATCH_NS, &batch);
        race.limiter.look(&race.world);
    }
    race.outcome()
}

impl<L: Limiter> Race<'_, L> {
    fn faults_until(&mut self, until: u64) {
        while let Some(timed) = self.faults.front().filter(|timed| timed.at() <= until).copied() {
            self.faults.pop_front();
            self.world.now = self.world.now.max(timed.at());
            self.apply(&timed);
            self.limiter.fault(&mut self.world, &timed.fault);
        }
    }

    fn apply(&mut self, timed: &Timed) {
        match timed.fault {
            Fault::Kill(part) => {
                for node in self.nodes(part) {
                    self.world.kill(node);
                    self.reroute(node, false);
                }
                if matches!(part, Part::Zone(zone) if self.world.network.store_zone == zone) {
                    self.stop_store(timed.at_ms);
                }
            }
            Fault::Start(part) => {
                for node in self.nodes(part) {
                    self.world.start(node);
                    self.reroute(node, true);
                }
            }
            Fault::Pause(part) => {
                for node in self.nodes(part) {
                    self.world.pause(node);
                    self.reroute(node, false);
                }
            }
            Fault::Resume(part) => self.resume(part),
            Fault::Isolate(Part::Node(node)) => self.world.network.isolate_node(node),
            Fault::Isolate(Part::Zone(zone)) => self.world.network.isolate_zone(zone),
            Fault::Isolate(Part::Region(region)) => self.world.network.isolate_region(region),
            Fault::Cut(from, to) => self.world.network.cut(from, to),
            Fault::Heal => self.world.network.heal(),
            Fault::StopStore => self.stop_store(timed.at_ms),
            Fault::StartStore => self.start_store(),
            Fault::Scale(limit, factor) => {
                let before = self.world.limits[limit];
                let numbers = Limit { rate: before.rate * factor, burst: (before.burst * factor).floor() };
                self.world.limits[limit] = numbers;
                let is_afresh = tidegate::changes_kind(self.course, limit, before, numbers);
                self.world.judge.change(limit, numbers, is_afresh, timed.at());
            }
            Fault::Day => {
                let quotas = (0..self.course.keys).filter(|at| self.course.terms(*at) == Terms::Quota);
                quotas.for_each(|limit| self.world.judge.start_over(limit));
            }
            Fault::Depose(_) => {}
        }
    }

    fn nodes(&self, part: Part) -> std::ops::Range<usize> {
        let places = self.course.places;
        match part {
            Part::Node(node) => node..node + 1,
            Part::Zone(zone) => places.nodes_of(zone),
            Part::Region(region) => {
                let nodes = places.zones_per_region * places.nodes_per_zone;
                region * nodes..(region + 1) * nodes
            }
        }
    }

    fn resume(&mut self, part: Part) {
        for node in self.nodes(part) {
            for arrival in self.world.resume(node) {
                self.limiter.arrive(&mut self.world, arrival);
            }
            if self.world.is_up(node) {
                self.reroute(node, true);
            }
        }
    }

    fn stop_store(&mut self, at_ms: u64) {
        let store = self.world.store();
        self.world.kill(store);
        self.faults.push_back(Timed { at_ms: at_ms + STORE_DOWN_MS, fault: Fault::StartStore });
        self.faults.make_contiguous().sort_by_key(|timed| timed.at_ms);
    }

    /// A replica in another zone is promoted where that can be known.
    fn start_store(&mut self) {
        let store = self.world.store();
        self.world.start(store);
        if !self.world.network.is_cut() {
            self.world.network.store_zone = 1;
        }
    }

    fn reroute(&mut self, node: usize, is_routable: bool) {
        self.reroutes.push_back((self.world.now + REROUTE_NS, node, is_routable));
    }

    fn route(&mut self, now: u64) {
        let mut changed = false;
        while let Some((_, node, is_routable)) = self.reroutes.front().filter(|(at, ..)| *at <= now).copied()
        {
            self.reroutes.pop_front();
            self.routable[node] = is_routable;
            changed = true;
        }
        if now.is_multiple_of(STEP_NS) {
            self.demand.step(now, &self.routable);
        } else if changed {
            self.demand.route(&self.routable);
        }
    }

    fn draw(&mut self, begin: u64, batch: &mut Vec<Arrival>) {
        batch.clear();
        let count = self.arrivals.poisson(self.demand.total() * seconds(BATCH_NS));
        for _ in 0..count {
            let (key, node) = self.demand.draw(&mut self.arrivals);
            let at = begin + self.arrivals.below(BATCH_NS as usize) as u64;
            batch.push(Arrival { at, key, node });
        }
        batch.sort_by_key(|arrival| arrival.at);
    }

    fn play(&mut self, end: u64, batch: &[Arrival]) {
        let mut arrivals = batch.iter().copied().peekable();
        loop {
            let arrives = arrivals.peek().map(|arrival| arrival.at);
            let happens = self.world.next_at().filter(|at| *at < end);
            match (arrives, happens) {
                (Some(at), happens) if happens.is_none_or(|happens| at < happens) => {
                    self.world.now = self.world.now.max(at);
                    arrivals.next().into_iter().for_each(|arrival| self.arrive(arrival));
                }
                (_, Some(_)) => {
                    if let Some(event) = self.world.next() {
                        self.limiter.event(&mut self.world, event);
                    }
                }
                (_, None) => break,
            }
        }
    }

    /// Requests to a dead node never were; those to a paused one wait.
    fn arrive(&mut self, arrival: Arrival) {
        if self.world.is_up(arrival.node) {
            self.world.judge.offer(arrival.key, arrival.node, arrival.at);
        }
        if self.world.receives(arrival) {
            self.limiter.arrive(&mut self.world, arrival);
        }
    }

    fn outcome(self) -> Outcome {
        let mut figures = self.world.judge.figures();
        let per_second = |count: u64| count as f64 / self.course.length_s;
        let (traffic, cost) = (self.world.network.traffic, self.limiter.cost());
        figures.set(Figure::Messages, per_second(traffic.messages));
        figures.set(Figure::Kilobytes, per_second(traffic.bytes) / 1_000.0);
        figures.set(Figure::Commits, per_second(cost.commits));
        figures.set(Figure::Changes, per_second(cost.changes));
        Outcome { figures, complaints: self.limiter.complaints().to_vec(), judge: self.world.judge }
    }
}
