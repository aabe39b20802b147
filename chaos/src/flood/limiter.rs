//! What every limiter in a race is: something that hears of requests, messages and faults and admits what it likes. Owns the
//! trait; must never hold a limiter.

use super::{
    fault::Fault,
    world::{Arrival, Event, World},
};

/// A limiter on all nodes of a world.
pub(crate) trait Limiter {
    /// Its messages and timers.
    type Event;

    /// Before the first request.
    fn start(&mut self, world: &mut World<Self::Event>);

    /// A request came to a node whose process runs.
    fn arrive(&mut self, world: &mut World<Self::Event>, arrival: Arrival);

    /// A message arrived, or a timer ran out.
    fn event(&mut self, world: &mut World<Self::Event>, event: Event<Self::Event>);

    /// A fault has happened to the world.
    fn fault(&mut self, _world: &mut World<Self::Event>, _fault: &Fault) {}

    /// A millisecond has passed.
    fn look(&mut self, _world: &World<Self::Event>) {}

    /// What its logs had to carry.
    fn cost(&self) -> Cost {
        Cost::default()
    }

    /// What is wrong on the inside.
    fn complaints(&self) -> &[String] {
        &[]
    }
}

/// What logs carried over a whole run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Entries of the busiest log.
    pub(crate) commits: u64,
    /// Changes in all logs.
    pub(crate) changes: u64,
}
