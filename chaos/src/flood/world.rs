//! The simulated machines: what is up, whose clock shows what, and what happens next. Owns the queue of events; must never know
//! which limiter runs on it.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{
    chance::Chance,
    course::Course,
    judge::{Judge, Rules},
    level::Limit,
    moment::{MS, SECOND},
    network::Network,
};

/// Requests that wait for one paused process, as the backlog of its listener; more are not taken.
const BACKLOG_MAX: usize = 4_096;
/// Within this time after a pause everything that waited happens, in any order.
const WAKING_NS: f64 = 2.0 * MS as f64;

/// Something that happens at a place.
#[derive(Debug)]
pub(crate) struct Event<E> {
    /// When.
    pub(crate) at: u64,
    order: u64,
    /// Where it comes from; the same place for a timer.
    pub(crate) from: usize,
    /// Where it happens.
    pub(crate) to: usize,
    /// The process that set a timer, by its life.
    life: u32,
    /// What.
    pub(crate) what: E,
}

/// A machine.
#[derive(Debug)]
struct Host<E> {
    is_up: bool,
    is_paused: bool,
    life: u32,
    offset_ns: u64,
    drift: f64,
    held: Vec<Event<E>>,
    backlog: Vec<Arrival>,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When it came.
    pub(crate) at: u64,
    /// The client.
    pub(crate) key: usize,
    /// The node it came to.
    pub(crate) node: usize,
}

/// All machines. The place after the last node is that of a central store.
#[derive(Debug)]
pub(crate) struct World<E> {
    /// Virtual time.
    pub(crate) now: u64,
    /// Links.
    pub(crate) network: Network,
    /// Counts what is decided.
    pub(crate) judge: Judge,
    /// For the limiter.
    pub(crate) chance: Chance,
    /// The limit of each client, then the shared ones.
    pub(crate) limits: Vec<Limit>,
    queue: BinaryHeap<Event<E>>,
    order: u64,
    hosts: Vec<Host<E>>,
}

impl<E> World<E> {
    /// The machines of a course, all up.
    pub(crate) fn new(course: &Course, limits: Vec<Limit>) -> Self {
        let nodes = course.places.nodes();
        let mut clocks = Chance::new(course.seed, "clocks");
        let hosts = (0..=nodes).map(|_| Host::new(course.drift_ppm, &mut clocks)).collect();
        let judge = Judge::new(Rules {
            limits: limits.clone(),
            nodes,
            clock: course.clock(),
            length_ns: course.length_ns(),
            warm_ns: course.warm_ns(),
            fault_ns: course.faults.first().map(|fault| fault.at()),
        });
        Self {
            now: 0,
            network: Network::new(course.places, course.weather, course.seed),
            judge,
            chance: Chance::new(course.seed, "limiter"),
            limits,
            queue: BinaryHeap::new(),
            order: 0,
            hosts,
        }
    }

    /// Nodes, without the store.
    pub(crate) fn nodes(&self) -> usize {
        self.hosts.len() - 1
    }

    /// The place of the store.
    pub(crate) fn store(&self) -> usize {
        self.hosts.len() - 1
    }

    /// Whether a process runs there, be it paused.
    pub(crate) fn is_up(&self, place: usize) -> bool {
        self.hosts[place].is_up
    }

    /// Which process runs there, counted from 0.
    pub(crate) fn life(&self, place: usize) -> u32 {
        self.hosts[place].life
    }

    /// Whether a message from one place would arrive at a running process in the other.
    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        self.is_up(from) && self.is_up(to) && self.network.passes(from, to)
    }

    /// What the machine's clock shows.
    pub(crate) fn clock(&self, place: usize) -> u64 {
        let host = &self.hosts[place];
        (host.offset_ns + self.now).saturating_add_signed((self.now as f64 * host.drift) as i64)
    }

    /// Admits a request at a node, now.
    pub(crate) fn admit(&mut self, key: usize, node: usize) {
        self.judge.admit(key, node, self.now);
    }

    /// Lets something happen at a place later, unless its process ends before.
    pub(crate) fn after(&mut self, delay_ns: u64, place: usize, what: E) {
        self.push(self.now + delay_ns, place, place, what);
    }

    /// Sends a message that depends on nothing but luck.
    pub(crate) fn send(&mut self, from: usize, to: usize, bytes: usize, what: E)
    where
        E: Clone,
    {
        let copies = self.network.datagram(from, to, bytes);
        if let Some(delay) = copies[1] {
            self.push(self.now + delay, from, to, what.clone());
        }
        if let Some(delay) = copies[0] {
            self.push(self.now + delay, from, to, what);
        }
    }

    /// As [`Self::stream`], `extra_ns` later.
    pub(crate) fn stream_later(&mut self, extra_ns: u64, from: usize, to: usize, what: E) {
        if let Some(delay) = self.network.stream(from, to, 0).filter(|_| self.is_up(to)) {
            self.push(self.now + extra_ns + delay, from, to, what);
        }
    }

    /// Sends a message on a byte stream; false when the sender sees at once that there is nobody.
    pub(crate) fn stream(&mut self, from: usize, to: usize, bytes: usize, what: E) -> bool {
        let Some(delay) = self.network.stream(from, to, bytes).filter(|_| self.is_up(to)) else {
            return false;
        };
        self.push(self.now + delay, from, to, what);
        true
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.peek().map(|event| event.at)
    }

    /// Goes on to the next event. Nothing for what nobody is there to see any more; paused processes see it later.
    pub(crate) fn next(&mut self) -> Option<Event<E>> {
        let event = self.queue.pop()?;
        self.now = self.now.max(event.at);
        let is_timer = event.from == event.to;
        let host = &mut self.hosts[event.to];
        if !host.is_up || is_timer && host.life != event.life {
            return None;
        }
        if !is_timer && !self.network.passes(event.from, event.to) {
            return None;
        }
        if host.is_paused {
            host.held.push(event);
            return None;
        }
        Some(event)
    }

    /// A request came to a node: true when its process sees it now.
    pub(crate) fn receives(&mut self, arrival: Arrival) -> bool {
        let host = &mut self.hosts[arrival.node];
        if host.is_up && host.is_paused && host.backlog.len() < BACKLOG_MAX {
            host.backlog.push(arrival);
        }
        host.is_up && !host.is_paused
    }

    /// Ends a process.
    pub(crate) fn kill(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        host.is_up = false;
        host.is_paused = false;
        host.held.clear();
        host.backlog.clear();
    }

    /// Starts a process where none runs; false otherwise.
    pub(crate) fn start(&mut self, place: usize) -> bool {
        let host = &mut self.hosts[place];
        let starts = !host.is_up;
        host.life += u32::from(starts);
        host.is_up = true;
        starts
    }

    /// Stops a process for a while.
    pub(crate) fn pause(&mut self, place: usize) {
        self.hosts[place].is_paused = self.hosts[place].is_up;
    }

    /// Lets it go on; returns the requests that waited.
    pub(crate) fn resume(&mut self, place: usize) -> Vec<Arrival> {
        let host = &mut self.hosts[place];
        host.is_paused = false;
        let (held, backlog) = (std::mem::take(&mut host.held), std::mem::take(&mut host.backlog));
        for event in held {
            let waking = self.chance.between(0.0, WAKING_NS) as u64;
            self.queue.push(Event { at: self.now + waking, ..event });
        }
        backlog
    }

    fn push(&mut self, at: u64, from: usize, to: usize, what: E) {
        self.order += 1;
        let life = self.hosts[to].life;
        self.queue.push(Event { at, order: self.order, from, to, life, what });
    }
}

impl<E> Host<E> {
    fn new(drift_ppm: f64, clocks: &mut Chance) -> Self {
        Self {
            is_up: true,
            is_paused: false,
            life: 0,
            offset_ns: SECOND + clocks.below(1_000) as u64 * SECOND,
            drift: clocks.between(-drift_ppm, drift_ppm) / 1e6,
            held: Vec::new(),
            backlog: Vec::new(),
        }
    }
}

impl<E> PartialEq for Event<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<E> Eq for Event<E> {}

impl<E> PartialOrd for Event<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Event<E> {
    /// The earliest is the greatest, because the queue takes the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}
