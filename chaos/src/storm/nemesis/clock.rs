//! Wall clocks that jump; monotonic clocks go on.

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep};

use super::{Nemesis, names, role};
use crate::{
    lab::site::Site,
    storm::{error::StormError, target::Target, world::World},
};

/// Between two swings.
const SWING: Duration = Duration::from_secs(1);

/// Clocks that are wrong; right again at the end.
pub(super) struct Jump {
    target: Target,
    offset_s: i64,
    swings: bool,
    for_s: f64,
    sites: Vec<Site>,
}

impl Jump {
    pub(super) fn new(target: Target, offset_s: i64, swings: bool, for_s: f64) -> Self {
        Self { target, offset_s, swings, for_s, sites: Vec::new() }
    }

    fn set(&self, world: &World, offset_s: i64) -> Result<(), StormError> {
        let absent =
            || StormError::Target { fault: "clock-jump", reason: "the clock library is not there".into() };
        let clocks = world.clocks.as_ref().ok_or_else(absent)?;
        for site in &self.sites {
            clocks.set(*site, offset_s).map_err(StormError::system("a clock's offset"))?;
        }
        Ok(())
    }
}

impl Nemesis for Jump {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("clock-jump", self.target)?;
            self.sites = nodes.iter().map(|node| node.site).collect();
            let who = format!("{}{}", names(&nodes), role(self.target));
            self.set(world, self.offset_s)?;
            if !self.swings {
                return Ok(format!("wall clock of {who} off by {} s", self.offset_s));
            }
            let deadline = Instant::now() + Duration::from_secs_f64(self.for_s);
            let mut sign = -1;
            while Instant::now() < deadline {
                sleep(SWING).await;
                self.set(world, self.offset_s * sign)?;
                sign = -sign;
            }
            Ok(format!("wall clock of {who} swung by {} s each second", self.offset_s))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move { if self.sites.is_empty() { Ok(()) } else { self.set(world, 0) } }.boxed()
    }
}
