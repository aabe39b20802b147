//! One node owns each limit, by hash, and the others ask it in batches of 500 µs (Gubernator). Its state is in memory: a new owner
//! begins with a full bucket. A caller that reaches no owner admits.

use crate::flood::{
    chance::Chance,
    fault::Fault,
    level::Level,
    limiter::Limiter,
    moment::{MS, SECOND, US},
    world::{Arrival, Event, World},
};

const BATCH_NS: u64 = 500 * US;
/// A decision by the own node.
const LOCAL_NS: u64 = 50 * US;
/// Until an error about an unreachable owner.
const ERROR_NS: u64 = MS;
/// Until nodes notice that others are gone or back.
const NOTICE_NS: u64 = 2 * SECOND;
/// How long the process is gone that a lost coordinator stands for.
const OUTAGE_NS: u64 = 5 * SECOND;
/// That process.
const VICTIM: usize = 1;
const ASK_BYTES: usize = 40;
const ANSWER_BYTES: usize = 24;

/// A request in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    key: usize,
    at: u64,
}

/// Messages and timers.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Flush { owner: usize },
    Notice,
    Ask(Vec<Asked>),
    Answer(Vec<Asked>),
}

/// All owners, and what each node believes of the others.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    nodes: usize,
    keys: usize,
    buckets: Vec<Level>,
    /// By asking node, then owner.
    batches: Vec<Vec<Asked>>,
    /// By node: who it believes is there.
    views: Vec<Vec<bool>>,
    /// By node, then client.
    owners: Vec<u16>,
}

impl Owner {
    fn choose(&mut self, node: usize) {
        for key in 0..self.keys {
            let rank = |other: usize| Chance::new((key as u64) << 16 | other as u64, "owner").word();
            let there = (0..self.nodes).filter(|other| self.views[node][*other]);
            let owner = there.max_by_key(|other| rank(*other)).unwrap_or(node);
            self.owners[node * self.keys + key] = owner as u16;
        }
    }

    fn look_around(&mut self, world: &World<Message>) {
        for node in (0..self.nodes).filter(|node| world.is_up(*node)) {
            let view: Vec<bool> =
                (0..self.nodes).map(|other| other == node || world.reaches(node, other)).collect();
            if view != self.views[node] {
                self.views[node] = view;
                self.choose(node);
            }
        }
    }

    fn take(&mut self, world: &mut World<Message>, owner: usize, key: usize, caller: usize) {
        if self.buckets[owner * self.keys + key].take(world.limits[key], world.now) {
            world.admit(key, caller);
        }
    }

    fn flush(&mut self, world: &mut World<Message>, node: usize, owner: usize) {
        let batch = std::mem::take(&mut self.batches[node * self.nodes + owner]);
        if !world.stream(node, owner, batch.len() * ASK_BYTES, Message::Ask(batch.clone())) {
            for asked in batch {
                world.admit(asked.key, node);
                world.judge.wait(world.now + ERROR_NS - asked.at);
            }
        }
    }
}

impl Limiter for Owner {
    type Event = Message;

    fn start(&mut self, world: &mut World<Message>) {
        (self.nodes, self.keys) = (world.nodes(), world.limits.len());
        let all = (0..self.nodes).flat_map(|_| &world.limits);
        self.buckets = all.map(|limit| Level::of(limit.burst)).collect();
        self.batches = vec![Vec::new(); self.nodes * self.nodes];
        self.views = vec![vec![true; self.nodes]; self.nodes];
        self.owners = vec![0; self.nodes * self.keys];
        (0..self.nodes).for_each(|node| self.choose(node));
    }

    fn arrive(&mut self, world: &mut World<Message>, Arrival { key, node, .. }: Arrival) {
        let owner = usize::from(self.owners[node * self.keys + key]);
        if owner == node {
            self.take(world, node, key, node);
            world.judge.wait(LOCAL_NS);
            return;
        }
        let batch = &mut self.batches[node * self.nodes + owner];
        batch.push(Asked { key, at: world.now });
        if batch.len() == 1 {
            world.after(BATCH_NS, node, Message::Flush { owner });
        }
    }

    fn event(&mut self, world: &mut World<Message>, event: Event<Message>) {
        match event.what {
            Message::Flush { owner } => self.flush(world, event.to, owner),
            Message::Notice => self.look_around(world),
            Message::Ask(batch) => {
                for asked in &batch {
                    self.take(world, event.to, asked.key, event.from);
                }
                world.stream(event.to, event.from, batch.len() * ANSWER_BYTES, Message::Answer(batch));
            }
            Message::Answer(batch) => {
                batch.iter().for_each(|asked| world.judge.wait(world.now - asked.at));
            }
        }
    }

    fn fault(&mut self, world: &mut World<Message>, fault: &Fault) {
        let store = world.store();
        match fault {
            Fault::Depose(_) => {
                for key in 0..self.keys {
                    let full = Level { tokens: world.limits[key].burst, at_ns: world.now };
                    self.buckets[VICTIM * self.keys + key] = full;
                }
                for node in 0..self.nodes {
                    self.views[node][VICTIM] = false;
                    self.choose(node);
                }
                world.after(OUTAGE_NS, store, Message::Notice);
            }
            Fault::Start(_) | Fault::Kill(_) | Fault::Isolate(_) | Fault::Cut(..) | Fault::Heal => {
                world.after(NOTICE_NS, store, Message::Notice);
            }
            Fault::Pause(_)
            | Fault::Resume(_)
            | Fault::StopStore
            | Fault::StartStore
            | Fault::Scale(..)
            | Fault::Day => {}
        }
    }
}
