//! Does the harm and undoes it: one object per fault, which the run strikes and heals by the clock.

mod clock;
mod control;
mod disk;
mod network;
mod overload;
mod poison;
mod power;
mod process;
mod shift;
mod squeeze;
mod upgrade;

use futures_util::future::BoxFuture;

use super::{
    error::StormError,
    scenario::{Fault, Planned},
    target::Target,
    world::World,
};

/// A fault that can be done and undone.
pub(crate) trait Nemesis: Send {
    /// Does it; says what was done, for people. May take as long as the fault lasts.
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>>;

    /// Undoes it, also when it was done in part only or not at all.
    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>>;
}

/// The nemesis of a planned fault.
pub(crate) fn of(planned: &Planned) -> Box<dyn Nemesis> {
    let target = planned.target;
    match planned.fault.clone() {
        Fault::Kill => Box::new(process::Kill::new(target)),
        Fault::Pause => Box::new(process::Pause::new(target)),
        Fault::RestartAll => Box::new(process::RestartAll),
        Fault::PowerLoss { drop_unsynced, tear } => {
            Box::new(power::PowerLoss::new(target, drop_unsynced, tear))
        }
        Fault::PowerCycles { cycles, tear } => {
            Box::new(power::PowerCycles::new(target, cycles, tear, planned.for_s))
        }
        Fault::Network(fault) => Box::new(network::Trouble::new(target, fault)),
        Fault::Disk(fault) => Box::new(disk::Failing::new(target, fault)),
        Fault::ClockJump { offset_s, swings } => {
            Box::new(clock::Jump::new(target, offset_s, swings, planned.for_s))
        }
        Fault::SqueezeMemory { megabytes } => Box::new(squeeze::Squeeze::memory(target, megabytes)),
        Fault::SqueezeCpu { percent } => Box::new(squeeze::Squeeze::cpu(target, percent)),
        Fault::ControlGone => Box::new(control::ControlGone::default()),
        Fault::ZonalShift => Box::new(shift::Shift::new(target)),
        Fault::Poison => Box::new(poison::Poison::default()),
        Fault::Upgrade => Box::new(upgrade::Upgrade),
        Fault::Overload { times } => Box::new(overload::Overload::new(times)),
    }
}

/// Names of nodes, for people.
fn names(nodes: &[&super::fleet::Node]) -> String {
    nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether a target was chosen by who leads, for people.
fn role(target: Target) -> &'static str {
    match target {
        Target::Leader => " (leader)",
        Target::Follower => " (follower)",
        _ => "",
    }
}
