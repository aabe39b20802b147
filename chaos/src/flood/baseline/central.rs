//! A central store decides about each request (the Envoy rate-limit service with Redis). The caller admits by itself after 20 ms
//! without an answer.

use crate::flood::{
    level::Level,
    limiter::Limiter,
    moment::MS,
    world::{Arrival, Event, World},
};

/// The caller's patience.
const PATIENCE_NS: u64 = 20 * MS;
/// A question this old was answered by the caller itself long ago.
const STALE_NS: u64 = 150 * MS;
const ASK_BYTES: usize = 120;
const ANSWER_BYTES: usize = 80;

/// Question and answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message {
    Ask { key: usize, asked_at: u64 },
    Answer { asked_at: u64 },
}

/// The buckets of the store.
#[derive(Debug, Default)]
pub(crate) struct Central {
    buckets: Vec<Level>,
}

impl Limiter for Central {
    type Event = Message;

    fn start(&mut self, world: &mut World<Message>) {
        self.buckets = world.limits.iter().map(|limit| Level::of(limit.burst)).collect();
    }

    fn arrive(&mut self, world: &mut World<Message>, Arrival { key, node, .. }: Arrival) {
        let ask = Message::Ask { key, asked_at: world.now };
        if !world.stream(node, world.store(), ASK_BYTES, ask) {
            world.admit(key, node);
            world.judge.wait(PATIENCE_NS);
        }
    }

    fn event(&mut self, world: &mut World<Message>, event: Event<Message>) {
        match event.what {
            Message::Ask { key, asked_at } => {
                let passes = self.buckets[key].take(world.limits[key], world.now);
                let is_stale = world.now - asked_at > STALE_NS;
                if passes || is_stale {
                    world.admit(key, event.from);
                }
                if is_stale {
                    world.judge.wait(PATIENCE_NS);
                } else {
                    world.stream(event.to, event.from, ANSWER_BYTES, Message::Answer { asked_at });
                }
            }
            Message::Answer { asked_at } => world.judge.wait((world.now - asked_at).min(PATIENCE_NS)),
        }
    }
}
