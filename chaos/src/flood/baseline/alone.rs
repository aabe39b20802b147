//! Every node on its own: with the whole limit (what a limiter without any exchange does), or with an even part of it (Tyk's
//! distributed rate limiter).

use crate::flood::{
    level::{Level, Limit},
    limiter::Limiter,
    world::{Arrival, Event, World},
};

/// A bucket per node and client.
#[derive(Debug)]
pub(crate) struct Alone {
    /// Whether a node has only its part.
    is_split: bool,
    buckets: Vec<Level>,
    parts: f64,
}

impl Alone {
    /// Without exchange; `is_split` gives every node an even part.
    pub(crate) fn new(is_split: bool) -> Self {
        Self { is_split, buckets: Vec::new(), parts: 1.0 }
    }
}

impl Limiter for Alone {
    type Event = ();

    fn start(&mut self, world: &mut World<()>) {
        self.parts = if self.is_split { world.nodes() as f64 } else { 1.0 };
        let all = (0..world.nodes()).flat_map(|_| &world.limits);
        self.buckets = all.map(|limit| Level::of(limit.burst / self.parts)).collect();
    }

    fn arrive(&mut self, world: &mut World<()>, arrival: Arrival) {
        let limit = world.limits[arrival.key];
        let part = Limit { rate: limit.rate / self.parts, burst: limit.burst / self.parts };
        let bucket = &mut self.buckets[arrival.node * world.limits.len() + arrival.key];
        if bucket.take(part, world.now) {
            world.admit(arrival.key, arrival.node);
        }
        world.judge.wait(0);
    }

    fn event(&mut self, _world: &mut World<()>, _event: Event<()>) {}
}
