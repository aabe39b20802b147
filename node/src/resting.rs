//! Who rests: drained nodes, and the nodes of zones that are shifted away. They say that they are not ready, ask their clients to go
//! elsewhere, and hand leadership over; upstreams in a shifted zone are used last.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tidegate_cluster::{Handle, NodeId, group};
use tidegate_proto::{
    document::{Document, Drain, ZonalShift, Zone},
    key,
};
use tidegate_state::State;

use crate::{members::epoch_s, replica::Replica};

/// How often time is looked at: a shift ends by itself.
const EVERY: Duration = Duration::from_secs(1);
/// Balancers see a red readiness check for so long before clients are asked to leave, and again and again, as some come late.
const SHED_EVERY: Duration = Duration::from_secs(5);

/// Zones that are shifted away at `now_s`.
pub(crate) fn shifted(state: &State, now_s: i64) -> Vec<Zone> {
    let records = state.prefix(key::ZONAL_SHIFT_PREFIX);
    let shifts = records.filter_map(|(_, record)| ZonalShift::decode(&record.bytes).ok());
    let current = shifts.filter(|shift| shift.expires > now_s);
    current.map(|ZonalShift { region, az, .. }| Zone { region, az }).collect()
}

/// Why a node rests, if it does.
pub(crate) fn reason(state: &State, node: NodeId, zone: &Zone, now_s: i64) -> Option<&'static str> {
    if state.get(&key::drain(node)).is_some() {
        return Some("the node is drained");
    }
    shifted(state, now_s).contains(zone).then_some("the availability zone is shifted away")
}

/// Follows the records until the task is dropped.
pub(crate) async fn keep(replica: Replica, edge: tidegate_edge::Handle, handle: Handle) {
    let mut changes = replica.changes();
    let own = Zone { region: handle.meta().region.clone(), az: handle.meta().az.clone() };
    let mut shed_at: Option<Instant> = None;
    loop {
        changes.borrow_and_update();
        let (applied, now_s) = (replica.load(), epoch_s());
        let shifted = shifted(&applied.state, now_s);
        handle.set_resting(nodes(&applied.state, &handle, &shifted));
        let here = shifted.iter().filter(|zone| zone.region == own.region);
        edge.avoid(&here.map(|zone| zone.az.as_str()).collect::<Vec<_>>());
        if reason(&applied.state, handle.node(), &own, now_s).is_none() {
            shed_at = None;
        } else {
            let due = *shed_at.get_or_insert_with(|| Instant::now() + EVERY);
            if Instant::now() >= due {
                edge.shed();
                shed_at = Some(Instant::now() + SHED_EVERY);
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// All nodes that rest.
fn nodes(state: &State, handle: &Handle, shifted: &[Zone]) -> BTreeSet<NodeId> {
    let Ok(status) = handle.status(group::CONFIG) else { return BTreeSet::new() };
    let members = status.voters.iter().chain(&status.learners);
    let is_shifted = |meta: &tidegate_cluster::NodeMeta| {
        shifted.iter().any(|zone| zone.region == meta.region && zone.az == meta.az)
    };
    let is_drained = |node: NodeId| state.read::<Drain>(&key::drain(node)).is_ok_and(|found| found.is_some());
    members.filter(|(node, meta)| is_shifted(meta) || is_drained(*node)).map(|(node, _)| *node).collect()
}
