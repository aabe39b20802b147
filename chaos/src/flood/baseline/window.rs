//! Sliding windows of one second, counted on each node and pushed to and pulled from a store at an interval (Kong's advanced rate
//! limiting with Redis). Without the store every node counts alone.

use crate::flood::{
    fault::Fault,
    limiter::Limiter,
    moment::{SECOND, seconds},
    world::{Arrival, Event, World},
};

const PUSH_BYTES: usize = 40;
const PULL_BYTES: usize = 32;

/// Requests of one client in this window and the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    now: f64,
    before: f64,
}

/// What a node knows of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    window: u64,
    /// As the store last said.
    pulled: Counts,
    /// Pushed and not answered yet.
    pushed: Counts,
    own: Counts,
    is_listed: bool,
}

/// A client's counts, on the way to the store and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    key: usize,
    window: u64,
    counts: Counts,
}

/// Messages and timers.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Push,
    Pushed(Vec<Line>),
    Pulled(Vec<Line>),
}

/// All nodes and the store.
#[derive(Debug)]
pub(crate) struct Window {
    interval_ns: u64,
    keys: usize,
    seen: Vec<Seen>,
    store: Vec<(u64, Counts)>,
    /// Clients to push, by node.
    lists: Vec<Vec<usize>>,
    is_waiting: Vec<bool>,
}

impl Window {
    /// With the store at this interval.
    pub(crate) fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            keys: 0,
            seen: Vec::new(),
            store: Vec::new(),
            lists: Vec::new(),
            is_waiting: Vec::new(),
        }
    }

    fn push(&mut self, world: &mut World<Message>, node: usize) {
        if !self.is_waiting[node] && world.reaches(node, world.store()) {
            let mut lines = Vec::new();
            for key in std::mem::take(&mut self.lists[node]) {
                let seen = &mut self.seen[node * self.keys + key];
                lines.push(Line { key, window: seen.window, counts: seen.own });
                seen.pushed.now += seen.own.now;
                seen.pushed.before += seen.own.before;
                seen.own = Counts::default();
                seen.is_listed = false;
            }
            if !lines.is_empty() {
                self.is_waiting[node] = true;
                world.stream(node, world.store(), lines.len() * PUSH_BYTES, Message::Pushed(lines));
            }
        }
        world.after(self.interval_ns, node, Message::Push);
    }

    fn add(&mut self, line: &mut Line) {
        let (window, counts) = &mut self.store[line.key];
        if line.window > *window {
            counts.before = if line.window == *window + 1 { counts.now } else { 0.0 };
            counts.now = 0.0;
            *window = line.window;
        }
        if line.window == *window {
            counts.now += line.counts.now;
            counts.before += line.counts.before;
        } else if line.window + 1 == *window {
            counts.before += line.counts.now;
        }
        (line.window, line.counts) = (*window, *counts);
    }

    fn pull(&mut self, node: usize, line: &Line) {
        let seen = &mut self.seen[node * self.keys + line.key];
        if seen.window == line.window {
            seen.pulled = line.counts;
            seen.pushed = Counts::default();
        } else if seen.window == line.window + 1 {
            seen.pulled.before = line.counts.now;
            seen.pushed.before = 0.0;
        }
    }
}

impl Seen {
    fn enter(&mut self, window: u64) {
        if self.window == window {
            return;
        }
        let follows = self.window + 1 == window;
        let before = |value: f64| if follows { value } else { 0.0 };
        self.pulled = Counts { now: 0.0, before: before(self.pulled.now + self.pushed.now) };
        self.own = Counts { now: 0.0, before: before(self.own.before + self.own.now) };
        self.pushed = Counts { now: 0.0, before: before(self.pushed.before + self.pushed.now) };
        self.window = window;
    }

    fn used(&self, part_of_window: f64) -> f64 {
        let now = self.pulled.now + self.pushed.now + self.own.now;
        now + (self.pulled.before + self.own.before) * (1.0 - part_of_window)
    }
}

impl Limiter for Window {
    type Event = Message;

    fn start(&mut self, world: &mut World<Message>) {
        self.keys = world.limits.len();
        self.seen = vec![Seen::default(); world.nodes() * self.keys];
        self.store = vec![(0, Counts::default()); self.keys];
        self.lists = vec![Vec::new(); world.nodes()];
        self.is_waiting = vec![false; world.nodes()];
        for node in 0..world.nodes() {
            let phase = world.chance.below(self.interval_ns as usize) as u64;
            world.after(phase, node, Message::Push);
        }
    }

    fn arrive(&mut self, world: &mut World<Message>, Arrival { key, node, .. }: Arrival) {
        let seen = &mut self.seen[node * self.keys + key];
        seen.enter(world.now / SECOND);
        if seen.used(seconds(world.now % SECOND)) + 1.0 <= world.limits[key].rate {
            seen.own.now += 1.0;
            if !seen.is_listed {
                seen.is_listed = true;
                self.lists[node].push(key);
            }
            world.admit(key, node);
        }
        world.judge.wait(0);
    }

    fn event(&mut self, world: &mut World<Message>, event: Event<Message>) {
        match event.what {
            Message::Push => self.push(world, event.to),
            Message::Pushed(mut lines) => {
                lines.iter_mut().for_each(|line| self.add(line));
                world.stream(event.to, event.from, lines.len() * PULL_BYTES, Message::Pulled(lines));
            }
            Message::Pulled(lines) => {
                self.is_waiting[event.to] = false;
                lines.iter().for_each(|line| self.pull(event.to, line));
            }
        }
    }

    fn fault(&mut self, _world: &mut World<Message>, fault: &Fault) {
        if matches!(fault, Fault::StopStore | Fault::StartStore | Fault::Heal | Fault::Kill(_)) {
            self.is_waiting.fill(false);
        }
    }
}
