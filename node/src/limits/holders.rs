//! How many nodes share the limits of the region, as the configuration's membership has it.

use std::time::Duration;

use tidegate_cluster::{Handle, group};
use tidegate_gateway::Snapshot;
use tokio::sync::watch;

/// How often the members of the region are counted: until then a node that has just joined cuts small limits another way than
/// the others.
const EVERY: Duration = Duration::from_millis(100);

/// The number to begin with: what this node knows, or knew when it wrote its snapshot.
pub(crate) fn begin(handle: &Handle, first: &Snapshot) -> watch::Sender<usize> {
    watch::Sender::new(count(handle).max(first.limits().compiled().holders as usize))
}

/// Follows the number until the task is dropped.
pub(super) async fn follow(handle: Handle, holders: watch::Sender<usize>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = count(&handle);
        holders.send_if_modified(|known| std::mem::replace(known, now) != now);
    }
}

fn count(handle: &Handle) -> usize {
    let region = &handle.meta().region;
    let Ok(status) = handle.status(group::CONFIG) else { return 1 };
    let nodes = status.voters.iter().chain(&status.learners);
    nodes.filter(|(_, meta)| meta.region == *region).count().max(1)
}
