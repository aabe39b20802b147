//! Sets the stage: lab, disks, clocks, nodes, APIs. On a machine without the rights for it, what can be had, and says what cannot.

use std::path::{Path, PathBuf};

use rand::{SeedableRng, rngs::StdRng};

use super::{
    error::StormError,
    fleet::Fleet,
    scenario::{Fault, Layout, Scenario},
    setup,
    world::World,
};
use crate::{
    clock::Clock,
    clocks::WallClocks,
    disk::Disk,
    lab::{
        Lab,
        cost::{self, Cost},
        site::{Extent, Ground},
        table::Distances,
    },
};

/// How to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Decides every choice that is left to chance.
    pub(crate) seed: u64,
    /// The binary under test.
    pub(crate) program: PathBuf,
    /// The binary that an upgrade goes to and comes back from.
    pub(crate) upgrade_to: Option<PathBuf>,
    /// Where data and logs are.
    pub(crate) data: PathBuf,
    /// Whether loopback is used although there are rights for more.
    pub(crate) loopback: bool,
}

/// A stage that is set.
pub(crate) struct Stage {
    /// Everything on it.
    pub(crate) world: World,
    /// What the network costs by itself.
    pub(crate) cost: Cost,
}

impl Stage {
    /// Sets the stage for a scenario and waits until every node serves.
    pub(crate) async fn set(scenario: &Scenario, options: &Options) -> Result<Self, StormError> {
        if !options.program.is_file() {
            return Err(StormError::Absent(options.program.clone()));
        }
        let (lab, mut skipped) = open_lab(&scenario.layout, options)?;
        let cost = match lab.ground {
            Ground::Namespaces => cost::measure(&lab).await,
            Ground::Loopback => Cost::default(),
        };
        let fleet = Fleet::plan(&lab, &options.program, &options.data, &scenario.layout)?;
        let random = StdRng::seed_from_u64(options.seed);
        let mut world = World::new(lab, fleet, Clock::start(), random);
        world.upgrade_to = options.upgrade_to.clone();
        if scenario.needs_disks() {
            mount_disks(&mut world, &mut skipped);
        }
        if scenario.needs_clocks() {
            wind_clocks(&mut world, &options.data, &mut skipped)?;
        }
        // Founding is not what is rehearsed: it is done on a near network.
        world.lab.change(|_, _| true, |line| (line.delay_us, line.jitter_us) = (0, 0));
        setup::found(&world.lab, &world.fleet).await?;
        world.apis = setup::configure(&world.lab, &world.fleet, &scenario.traffic).await?;
        world.lab.mend(|_, _| true);
        if !world.apis.linked {
            skipped.push("upstreams in other zones: this build has no VPC links with targets, so each node asks its own zone".into());
        }
        world.journal().skipped = skipped;
        Ok(Self { world, cost })
    }
}

/// Whether a fault can be rehearsed on this stage; why not otherwise.
pub(crate) fn obstacle(world: &World, fault: &Fault) -> Option<&'static str> {
    let on_loopback = world.lab.ground == Ground::Loopback;
    match fault {
        Fault::Network(_) if on_loopback => Some("no network namespaces"),
        Fault::PowerLoss { drop_unsynced: true, .. } | Fault::PowerCycles { .. } | Fault::Disk(_)
            if world.disks.is_empty() =>
        {
            Some("no disks that can fail")
        }
        Fault::ClockJump { .. } if world.clocks.is_none() => Some("no clocks of the nodes' own"),
        Fault::SqueezeMemory { .. } if !Path::new("/sys/fs/cgroup/memory/cgroup.procs").exists() => {
            Some("no control groups, version 1, for memory")
        }
        Fault::SqueezeCpu { .. } if !Path::new("/sys/fs/cgroup/cpu/cgroup.procs").exists() => {
            Some("no control groups, version 1, for processors")
        }
        _ => None,
    }
}

fn open_lab(layout: &Layout, options: &Options) -> Result<(Lab, Vec<String>), StormError> {
    let extent = Extent { regions: layout.regions, azs: layout.azs };
    let distances = Distances {
        wan_rtt_us: layout.wan_rtt_ms * 1_000,
        wan_jitter_us: layout.wan_jitter_ms * 1_000,
        az_rtt_us: layout.az_rtt_ms * 1_000,
    };
    let open = |ground| Lab::open(extent, ground, distances, options.seed);
    let why = match options.loopback {
        true => "--loopback was given".to_owned(),
        false => match open(Ground::Namespaces) {
            Ok(lab) => return Ok((lab, Vec::new())),
            Err(error) => error.to_string(),
        },
    };
    let lab = open(Ground::Loopback).map_err(StormError::system("sites on loopback"))?;
    Ok((lab, vec![format!("distances and faults of the network: no network namespaces ({why})")]))
}

fn mount_disks(world: &mut World, skipped: &mut Vec<String>) {
    for node in world.fleet.nodes() {
        let place = node.folder.join("mounted");
        match Disk::mount(node.site, &node.folder.join("data"), &place) {
            Ok(disk) => {
                node.set_data(place);
                world.disks.push(disk);
            }
            Err(error) => {
                world.disks.clear();
                world.fleet.nodes().iter().for_each(|node| node.set_data(node.folder.join("data")));
                return skipped.push(format!("faults of disks: no file system of our own ({error})"));
            }
        }
    }
}

fn wind_clocks(world: &mut World, data: &Path, skipped: &mut Vec<String>) -> Result<(), StormError> {
    let Some(clocks) = WallClocks::prepare(data) else {
        let told = "wrong clocks: build the library beside this program with `cargo build --release -p tidegate-chaos-shim`";
        skipped.push(told.into());
        return Ok(());
    };
    for node in world.fleet.nodes() {
        let variables = clocks.variables(node.site).map_err(StormError::system("a clock's offset"))?;
        for (name, value) in variables {
            node.set_variable(name, value);
        }
    }
    world.clocks = Some(clocks);
    Ok(())
}
