//! How many nodes share limits, as the configuration's membership has it.

use std::{collections::BTreeSet, time::Duration};

use tidegate_cluster::{Handle, group};
use tidegate_gateway::Snapshot;
use tidegate_throttle::Holders;
use tokio::sync::watch;

/// How often the members of the region are counted: until then a node that has just joined cuts small limits another way than
/// the others.
const EVERY: Duration = Duration::from_millis(100);

/// The numbers to begin with: what this node knows, or knew when it wrote its snapshot.
pub(crate) fn begin(handle: &Handle, first: &Snapshot) -> watch::Sender<Holders> {
    let (now, before) = (count(handle), tidegate_gateway::holders(first.limits().compiled()));
    watch::Sender::new(Holders {
        region: now.region.max(before.region),
        all: now.all.max(before.all),
        regions: now.regions.max(before.regions),
    })
}

/// Follows the numbers until the task is dropped.
pub(super) async fn follow(handle: Handle, holders: watch::Sender<Holders>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = count(&handle);
        holders.send_if_modified(|known| std::mem::replace(known, now) != now);
    }
}

fn count(handle: &Handle) -> Holders {
    let own = &handle.meta().region;
    let Ok(status) = handle.status(group::CONFIG) else { return Holders::default() };
    let nodes: Vec<&str> =
        status.voters.iter().chain(&status.learners).map(|(_, meta)| meta.region.as_str()).collect();
    let regions: BTreeSet<&str> = nodes.iter().copied().collect();
    Holders {
        region: nodes.iter().filter(|region| *region == own).count().max(1),
        all: nodes.len().max(1),
        regions: regions.len().max(1),
    }
}
