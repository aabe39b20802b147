//! A token bucket on each node that follows a central one: hits are reported at an interval, the answer is the true level, and
//! debt is remembered (Gubernator's global mode, Databricks' rate limiting). Kinder than either: debt lasts a whole burst.

use crate::flood::{
    fault::Fault,
    level::Level,
    limiter::Limiter,
    world::{Arrival, Event, World},
};

const REPORT_BYTES: usize = 32;
const ANSWER_BYTES: usize = 24;

/// A node's bucket.
#[derive(Clone, Copy, Debug)]
struct Own {
    level: Level,
    hits: f64,
    is_listed: bool,
}

/// Hits on the way to the store, or the level on the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    key: usize,
    tokens: f64,
}

/// Messages and timers.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Report,
    Reported(Vec<Line>),
    Answered(Vec<Line>),
}

/// All nodes and the store.
#[derive(Debug)]
pub(crate) struct Drifting {
    interval_ns: u64,
    keys: usize,
    own: Vec<Own>,
    store: Vec<Level>,
    /// Clients to report, by node.
    lists: Vec<Vec<usize>>,
    is_waiting: Vec<bool>,
}

impl Drifting {
    /// With reports at this interval.
    pub(crate) fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            keys: 0,
            own: Vec::new(),
            store: Vec::new(),
            lists: Vec::new(),
            is_waiting: Vec::new(),
        }
    }

    fn report(&mut self, world: &mut World<Message>, node: usize) {
        if !self.is_waiting[node] && world.reaches(node, world.store()) {
            let mut lines = Vec::new();
            for key in std::mem::take(&mut self.lists[node]) {
                let own = &mut self.own[node * self.keys + key];
                lines.push(Line { key, tokens: own.hits });
                own.hits = 0.0;
                own.is_listed = false;
            }
            if !lines.is_empty() {
                self.is_waiting[node] = true;
                world.stream(node, world.store(), lines.len() * REPORT_BYTES, Message::Reported(lines));
            }
        }
        world.after(self.interval_ns, node, Message::Report);
    }
}

impl Limiter for Drifting {
    type Event = Message;

    fn start(&mut self, world: &mut World<Message>) {
        self.keys = world.limits.len();
        let all = (0..world.nodes()).flat_map(|_| &world.limits);
        self.own =
            all.map(|limit| Own { level: Level::of(limit.burst), hits: 0.0, is_listed: false }).collect();
        self.store = world.limits.iter().map(|limit| Level::of(limit.burst)).collect();
        self.lists = vec![Vec::new(); world.nodes()];
        self.is_waiting = vec![false; world.nodes()];
        for node in 0..world.nodes() {
            let phase = world.chance.below(self.interval_ns as usize) as u64;
            world.after(phase, node, Message::Report);
        }
    }

    fn arrive(&mut self, world: &mut World<Message>, Arrival { key, node, .. }: Arrival) {
        let own = &mut self.own[node * self.keys + key];
        if own.level.take(world.limits[key], world.now) {
            own.hits += 1.0;
            world.admit(key, node);
        }
        if !own.is_listed {
            own.is_listed = true;
            self.lists[node].push(key);
        }
        world.judge.wait(0);
    }

    fn event(&mut self, world: &mut World<Message>, event: Event<Message>) {
        match event.what {
            Message::Report => self.report(world, event.to),
            Message::Reported(mut lines) => {
                for line in &mut lines {
                    let (limit, level) = (world.limits[line.key], &mut self.store[line.key]);
                    level.refill(limit, world.now);
                    level.tokens = (level.tokens - line.tokens).max(-limit.burst);
                    line.tokens = level.tokens;
                }
                world.stream(event.to, event.from, lines.len() * ANSWER_BYTES, Message::Answered(lines));
            }
            Message::Answered(lines) => {
                self.is_waiting[event.to] = false;
                for line in lines {
                    let own = &mut self.own[event.to * self.keys + line.key];
                    own.level = Level { tokens: line.tokens - own.hits, at_ns: world.now };
                }
            }
        }
    }

    fn fault(&mut self, _world: &mut World<Message>, fault: &Fault) {
        if matches!(fault, Fault::StopStore | Fault::StartStore | Fault::Heal | Fault::Kill(_)) {
            self.is_waiting.fill(false);
        }
    }
}
