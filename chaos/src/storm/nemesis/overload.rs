//! More requests than can be served, in every region.

use futures_util::{FutureExt, future::BoxFuture};

use super::Nemesis;
use crate::storm::{error::StormError, world::World};

/// Faster clients; as before at the end.
pub(super) struct Overload {
    times: u32,
}

impl Overload {
    pub(super) fn new(times: u32) -> Self {
        Self { times }
    }

    fn set(world: &World, factor: u32) {
        let floods = world.floods.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        floods.iter().for_each(|stream| stream.set_rate(stream.planned() * factor));
    }
}

impl Nemesis for Overload {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            Self::set(world, self.times);
            Ok(format!("{} times the requests that are allowed", self.times))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            Self::set(world, 0);
            Ok(())
        }
        .boxed()
    }
}
