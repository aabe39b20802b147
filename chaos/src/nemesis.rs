//! Does the harm and undoes it: one type per fault.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tidegate_proto::status::{ClusterStatus, NodeStatus};
use tokio::time::sleep;

use crate::{
    clock::Clock,
    limits::{CATCH_UP, POLL},
    region::{Region, RegionError},
};

/// Power loss of one availability zone: SIGKILL to its node, no goodbye.
pub(crate) struct AzPowerLoss {
    az: String,
    /// When the signal was sent.
    pub(crate) killed_us: u64,
}

/// A node that came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaughtUp {
    /// When it was seen ready.
    pub(crate) ready_us: u64,
    /// From the start of the process until it served what the others served when it came up.
    pub(crate) took_ms: u64,
}

impl AzPowerLoss {
    /// Kills the node of `az`.
    pub(crate) async fn strike(region: &Region, az: &str, clock: Clock) -> Result<Self, RegionError> {
        let pid = await_node(region, az, |pid| pid != 0).await?;
        let killed_us = clock.now_us();
        let system = |reason| RegionError::System { what: format!("kill -9 {pid} ({az})"), reason };
        let target = Pid::from_raw(pid as i32).ok_or_else(|| system(std::io::ErrorKind::NotFound.into()))?;
        kill_process(target, Signal::KILL).map_err(|e| system(e.into()))?;
        Ok(Self { az: az.to_owned(), killed_us })
    }

    /// Starts the node again and waits until it is ready and serves the revision the others have by then.
    ///
    /// `see` is shown every cluster status on the way.
    pub(crate) async fn heal(
        self,
        region: &Region,
        clock: Clock,
        mut see: impl FnMut(&ClusterStatus),
    ) -> Result<CaughtUp, RegionError> {
        await_node(region, &self.az, |pid| pid == 0).await?;
        let started_us = clock.now_us();
        let mut verb = region.verb("start-az", &self.az)?;
        let deadline = Instant::now() + CATCH_UP;
        let (mut target, mut ready_us, mut seen) = (None, None, "no answer".to_owned());
        while Instant::now() < deadline {
            if let Some(status) = region.status(Some(&self.az)).await {
                see(&status);
                let node = status.nodes.iter().find(|node| node.az == self.az && node.live);
                seen = node.map_or("not live".into(), describe);
                if let Some(node) = node {
                    let target = *target.get_or_insert(status.revision);
                    if node.ready {
                        ready_us.get_or_insert(clock.now_us());
                    }
                    if let Some(ready_us) = ready_us
                        && node.serving_revision >= target
                    {
                        let took_ms = (clock.now_us() - started_us) / 1_000;
                        let _ = verb.wait().await;
                        return Ok(CaughtUp { ready_us, took_ms });
                    }
                }
            }
            sleep(POLL).await;
        }
        let what = format!("the restart of {}", self.az);
        Err(RegionError::Slow { what, seconds: CATCH_UP.as_secs(), seen })
    }
}

fn describe(node: &NodeStatus) -> String {
    format!("ready {}, serves revision {}", node.ready, node.serving_revision)
}

/// Waits until `dev.json` shows a process id of `az` that `wanted` takes, and returns it.
async fn await_node(region: &Region, az: &str, wanted: impl Fn(u32) -> bool) -> Result<u32, RegionError> {
    let deadline = Instant::now() + CATCH_UP;
    while Instant::now() < deadline {
        match region.node(az) {
            Some(node) if wanted(node.pid) => return Ok(node.pid),
            _ => sleep(POLL).await,
        }
    }
    let what = format!("the process of {az} in dev.json");
    Err(RegionError::Slow { what, seconds: CATCH_UP.as_secs(), seen: "unchanged".into() })
}
