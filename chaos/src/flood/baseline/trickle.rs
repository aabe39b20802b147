//! Grants from a central bucket, at once or spread over ten seconds, and the whole rate on each node when the store does not
//! answer (CockroachDB's tenant cost control of 2022, outside the range it was made for).

use crate::flood::{
    level::Level,
    limiter::Limiter,
    moment::{SECOND, ns, seconds},
    world::{Arrival, Event, World},
};

/// Time that a grant is meant for.
const PERIOD_S: f64 = 10.0;
/// Without an answer for so long, a node goes on at the whole rate.
const FALLBACK_NS: u64 = SECOND;
/// Least part of the rate that is granted while in debt.
const RATE_PART_MIN: f64 = 0.05;
const ASK_BYTES: usize = 64;
const GRANT_BYTES: usize = 40;

/// A node's bucket.
#[derive(Clone, Copy, Debug)]
struct Own {
    tokens: f64,
    at_ns: u64,
    rate: f64,
    /// End of the trickle; 0 for none.
    until_ns: u64,
    /// Asks below.
    low: f64,
    offered: f64,
    /// Requests per second.
    demand: f64,
    /// When it asked; 0 when it is not waiting.
    asked_ns: u64,
    is_active: bool,
}

/// Messages and timers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message {
    Look,
    Ask { key: usize, tokens: f64 },
    Grant { key: usize, tokens: f64, over_s: f64 },
}

/// All nodes and the store.
#[derive(Debug, Default)]
pub(crate) struct Trickle {
    own: Vec<Own>,
    store: Vec<Level>,
}

impl Trickle {
    fn ask(&mut self, world: &mut World<Message>, node: usize, key: usize) {
        let own = &mut self.own[node * world.limits.len() + key];
        if own.asked_ns > 0 {
            if world.now - own.asked_ns < FALLBACK_NS {
                return;
            }
            own.rate = world.limits[key].rate;
            own.until_ns = 0;
        }
        own.asked_ns = world.now;
        let tokens = (own.demand.max(1.0) * PERIOD_S + 1.0 - own.tokens.max(0.0)).max(1.0);
        world.stream(node, world.store(), ASK_BYTES, Message::Ask { key, tokens });
    }

    /// Tokens, and the seconds they trickle over.
    fn grant(&mut self, world: &World<Message>, key: usize, wanted: f64) -> (f64, f64) {
        let (limit, bucket) = (world.limits[key], &mut self.store[key]);
        bucket.refill(limit, world.now);
        if bucket.tokens >= wanted {
            bucket.tokens -= wanted;
            return (wanted, 0.0);
        }
        let ready = bucket.tokens.max(0.0);
        bucket.tokens -= ready;
        let debt = -bucket.tokens - limit.rate * PERIOD_S;
        let rate = match debt {
            debt if debt > 0.0 => (limit.rate - debt / PERIOD_S).max(RATE_PART_MIN * limit.rate),
            _ => limit.rate,
        };
        let over_s = ((wanted - ready) / rate).min(PERIOD_S);
        bucket.tokens -= rate * over_s;
        (ready + rate * over_s, over_s)
    }

    fn look(&mut self, world: &mut World<Message>, node: usize) {
        let keys = world.limits.len();
        for key in 0..keys {
            let own = &mut self.own[node * keys + key];
            if !own.is_active {
                continue;
            }
            own.demand = 0.5 * own.demand + 0.5 * own.offered;
            own.offered = 0.0;
            own.advance(world.now);
            own.is_active = own.demand >= 0.01;
            let ends = own.until_ns > 0 && own.until_ns.saturating_sub(world.now) < SECOND;
            if ends || own.tokens <= own.low || own.asked_ns > 0 {
                self.ask(world, node, key);
            }
        }
        world.after(SECOND, node, Message::Look);
    }
}

impl Own {
    fn advance(&mut self, now_ns: u64) {
        let until = if self.until_ns > 0 { now_ns.min(self.until_ns) } else { now_ns };
        self.tokens += self.rate * seconds(until.saturating_sub(self.at_ns));
        self.at_ns = now_ns;
    }

    fn receive(&mut self, now_ns: u64, tokens: f64, over_s: f64) {
        self.advance(now_ns);
        self.asked_ns = 0;
        let rest = self.rate * seconds(self.until_ns.saturating_sub(now_ns));
        let all = tokens + rest;
        if over_s > 0.0 {
            (self.rate, self.until_ns, self.low) = (all / over_s, now_ns + ns(over_s), 1.0);
        } else {
            self.tokens += all;
            (self.rate, self.until_ns, self.low) = (0.0, 0, (all * 0.1).max(1.0));
        }
    }
}

impl Limiter for Trickle {
    type Event = Message;

    fn start(&mut self, world: &mut World<Message>) {
        let nodes = world.nodes() as f64;
        let all = (0..world.nodes()).flat_map(|_| &world.limits);
        self.own = all
            .map(|limit| Own {
                tokens: limit.burst / nodes,
                at_ns: 0,
                rate: 0.0,
                until_ns: 0,
                low: 1.0,
                offered: 0.0,
                demand: 0.0,
                asked_ns: 0,
                is_active: false,
            })
            .collect();
        self.store = world.limits.iter().map(|_| Level::of(0.0)).collect();
        for node in 0..world.nodes() {
            let phase = world.chance.below(SECOND as usize) as u64;
            world.after(phase, node, Message::Look);
        }
    }

    fn arrive(&mut self, world: &mut World<Message>, Arrival { key, node, .. }: Arrival) {
        let own = &mut self.own[node * world.limits.len() + key];
        own.is_active = true;
        own.advance(world.now);
        own.offered += 1.0;
        if own.tokens >= 1.0 {
            own.tokens -= 1.0;
            world.judge.admit(key, node, world.now);
        }
        world.judge.wait(0);
        let trickles = own.until_ns > world.now + SECOND;
        if own.tokens <= own.low && !trickles && own.asked_ns == 0 {
            self.ask(world, node, key);
        }
    }

    fn event(&mut self, world: &mut World<Message>, event: Event<Message>) {
        match event.what {
            Message::Look => self.look(world, event.to),
            Message::Ask { key, tokens } => {
                let (tokens, over_s) = self.grant(world, key, tokens);
                let grant = Message::Grant { key, tokens, over_s };
                world.stream(event.to, event.from, GRANT_BYTES, grant);
            }
            Message::Grant { key, tokens, over_s } => {
                let own = &mut self.own[event.to * world.limits.len() + key];
                own.receive(world.now, tokens, over_s);
            }
        }
    }
}
