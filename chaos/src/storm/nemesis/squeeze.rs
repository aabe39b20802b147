//! Too little memory or processor, by a control group (version 1) around the process.

use std::{
    io,
    path::{Path, PathBuf},
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{Nemesis, names, role};
use crate::{
    lab::site::Site,
    storm::{error::StormError, fleet::Node, target::Target, world::World},
};

const GROUPS: &str = "/sys/fs/cgroup";
/// Time over which a share of a processor is counted, in microseconds.
const PERIOD_US: u64 = 100_000;

/// A limit around a process; gone at the end.
pub(super) struct Squeeze {
    target: Target,
    controller: &'static str,
    settings: Vec<(&'static str, String)>,
    told: String,
    groups: Vec<(Site, PathBuf)>,
}

impl Squeeze {
    pub(super) fn memory(target: Target, megabytes: u64) -> Self {
        let settings = vec![("memory.limit_in_bytes", (megabytes << 20).to_string())];
        let told = format!("{megabytes} MiB of memory");
        Self { target, controller: "memory", settings, told, groups: Vec::new() }
    }

    pub(super) fn cpu(target: Target, percent: u32) -> Self {
        let quota = PERIOD_US * u64::from(percent) / 100;
        let settings =
            vec![("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", quota.to_string())];
        let told = format!("{percent} % of a processor");
        Self { target, controller: "cpu", settings, told, groups: Vec::new() }
    }

    fn enclose(&self, node: &Node) -> io::Result<Option<PathBuf>> {
        let Some(pid) = node.pid() else { return Ok(None) };
        let name = format!("tidegate-storm-{}-{}", std::process::id(), node.name);
        let group = Path::new(GROUPS).join(self.controller).join(name);
        std::fs::create_dir_all(&group)?;
        for (file, value) in &self.settings {
            std::fs::write(group.join(file), value)?;
        }
        std::fs::write(group.join("cgroup.procs"), pid.as_raw_nonzero().to_string())?;
        Ok(Some(group))
    }
}

impl Nemesis for Squeeze {
    fn strike<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<String, StormError>> {
        async move {
            let nodes = world.resolve("squeeze", self.target)?;
            for node in &nodes {
                // A process that is short of everything may fail its own clients; the question is whether it takes others along.
                world.strike(node.site);
                let group = self
                    .enclose(node)
                    .map_err(StormError::system(format!("a control group for {}", node.name)))?;
                self.groups.extend(group.map(|group| (node.site, group)));
            }
            Ok(format!("{}{} left with {}", names(&nodes), role(self.target), self.told))
        }
        .boxed()
    }

    fn heal<'a>(&'a mut self, world: &'a World) -> BoxFuture<'a, Result<(), StormError>> {
        async move {
            for (site, group) in std::mem::take(&mut self.groups) {
                let all = group.parent().map(|parent| parent.join("cgroup.procs"));
                let inside = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                for (pid, all) in inside.lines().zip(std::iter::repeat(all)) {
                    let _ = all.map(|all| std::fs::write(all, pid));
                }
                let _ = std::fs::remove_dir(&group);
                if let Some(node) = world.fleet.node(site) {
                    world.revive(node).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}
