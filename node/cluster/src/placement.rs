//! Which nodes should vote: no availability zone, and with three regions no region, may hold more voters than the
//! group can lose. Pure: a function of the nodes and the present voters, one safe step at a time.

#[cfg(test)]
mod tests;

use crate::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A node as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub id: NodeId,
    /// Its region.
    pub region: String,
    /// Its availability zone; zones of equal name in two regions are different zones.
    pub az: String,
    /// It has answered recently.
    pub live: bool,
    /// Its log is nearly complete.
    pub caught_up: bool,
}

/// One change of the voters. Both lists empty: nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Learners that become voters: one, or two where one would leave an even number.
    pub add: Vec<NodeId>,
    /// A voter that becomes a learner in the same step.
    pub remove: Vec<NodeId>,
}

/// What can fail now without losing the quorum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerance {
    /// A majority of voters is live.
    pub quorum: bool,
    /// Any this many further nodes may fail.
    pub nodes: usize,
    /// Any this many whole availability zones may fail.
    pub azs: usize,
    /// Any this many whole regions may fail.
    pub regions: usize,
}

impl Plan {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// The next step towards a good set of voters: fill open seats, replace a dead voter by a live node of its own zone,
/// or move one seat when that spreads the voters better. A dead voter otherwise keeps its seat.
pub fn voters(nodes: &[Candidate], current_voters: &BTreeSet<NodeId>) -> Plan {
    let by_id: BTreeMap<NodeId, &Candidate> = nodes.iter().map(|n| (n.id, n)).collect();
    let seated: Vec<&Candidate> = current_voters.iter().filter_map(|id| by_id.get(id).copied()).collect();
    let free: Vec<&Candidate> = by_id
        .values()
        .copied()
        .filter(|n| !current_voters.contains(&n.id) && n.live && n.caught_up)
        .collect();
    let wide = distinct(nodes.iter().map(|n| n.region.as_str())) >= 3;
    let target = seats(nodes, wide);
    let grown = grow(&seated, &free, target, wide);
    if !grown.is_empty() {
        return Plan { add: grown, remove: Vec::new() };
    }
    replace(&seated, &free, wide).unwrap_or_default()
}

/// The voters that stand in the zone whose turn it is: the zones are sorted by name, and `turn` counts them round. All
/// voters are of one region.
pub fn zone_of_turn(voters: &[(NodeId, &str)], turn: usize) -> BTreeSet<NodeId> {
    let zones: BTreeSet<&str> = voters.iter().map(|(_, az)| *az).collect();
    let zone = turn.checked_rem(zones.len()).and_then(|position| zones.iter().nth(position));
    voters.iter().filter(|(_, az)| Some(az) == zone).map(|(id, _)| *id).collect()
}

/// What the voters can lose now. `voters` are the voters of the membership with their present state.
pub fn tolerance(voters: &[Candidate]) -> Tolerance {
    let majority = voters.len() / 2 + 1;
    let live: Vec<&Candidate> = voters.iter().filter(|v| v.live).collect();
    if voters.is_empty() || live.len() < majority {
        return Tolerance::default();
    }
    let spare = live.len() - majority;
    Tolerance {
        quorum: true,
        nodes: spare,
        azs: droppable(counts(live.iter().map(|v| (v.region.as_str(), v.az.as_str()))), spare),
        regions: droppable(counts(live.iter().map(|v| v.region.as_str())), spare),
    }
}

/// How many voters these nodes should have: 5 over three regions, else 3, else 1.
fn seats(nodes: &[Candidate], wide: bool) -> usize {
    if wide {
        // Two per region at most, so that a lost region leaves three of five.
        let regions = counts(nodes.iter().map(|n| n.region.as_str()));
        let usable: usize = regions.values().map(|count| (*count).min(2)).sum();
        return if usable >= 5 { 5 } else { 3 };
    }
    if nodes.len() >= 3 { 3 } else { 1 }
}

/// Learners to promote so that the number of voters becomes odd again or reaches the target; all or nothing.
fn grow(seated: &[&Candidate], free: &[&Candidate], target: usize, wide: bool) -> Vec<NodeId> {
    if seated.is_empty() || seated.len() >= target {
        return Vec::new();
    }
    let wanted = if seated.len().is_multiple_of(2) { 1 } else { 2 };
    let mut set = seated.to_vec();
    let mut added = Vec::new();
    for _ in 0..wanted {
        let open = free.iter().filter(|n| !added.contains(&n.id));
        let best = open.min_by_key(|n| {
            let mut with = set.clone();
            with.push(n);
            (crowding(&with, wide), n.id)
        });
        let Some(best) = best else { return Vec::new() };
        set.push(best);
        added.push(best.id);
    }
    // Growing into a set that no longer survives what the smaller one survived would be a step back.
    let before = crowding_excess(seated, wide);
    if crowding_excess(&set, wide) > before && wide { Vec::new() } else { added }
}

/// One voter for one learner: a dead one within its zone, or any when the spread becomes strictly better.
fn replace(seated: &[&Candidate], free: &[&Candidate], wide: bool) -> Option<Plan> {
    let swap = |out: &Candidate, into: &Candidate| Plan { add: vec![into.id], remove: vec![out.id] };
    for dead in seated.iter().filter(|v| !v.live) {
        if let Some(heir) = free.iter().find(|n| n.region == dead.region && n.az == dead.az) {
            return Some(swap(dead, heir));
        }
    }
    let now = crowding(seated, wide);
    let mut best = None;
    for (position, out) in seated.iter().enumerate().filter(|(_, v)| v.live) {
        for into in free {
            let mut after = seated.to_vec();
            if let Some(seat) = after.get_mut(position) {
                *seat = into;
            }
            let score = crowding(&after, wide);
            let better = best.as_ref().is_none_or(|(old, _)| score < *old);
            if score < now && better {
                best = Some((score, swap(out, into)));
            }
        }
    }
    best.map(|(_, plan)| plan)
}

/// How unevenly voters are spread; smaller is better. Regions only count when a majority can span three of them.
fn crowding(voters: &[&Candidate], wide: bool) -> (usize, usize, usize, usize) {
    let spread = |counts: Vec<usize>| {
        (counts.iter().copied().max().unwrap_or(0), counts.iter().map(|count| count * count).sum::<usize>())
    };
    let regions = spread(counts(voters.iter().map(|v| v.region.as_str())).into_values().collect());
    let azs =
        spread(counts(voters.iter().map(|v| (v.region.as_str(), v.az.as_str()))).into_values().collect());
    if wide { (regions.0, regions.1, azs.0, azs.1) } else { (0, 0, azs.0, azs.1) }
}

/// Voters by which the fullest domain exceeds what the set can lose.
fn crowding_excess(voters: &[&Candidate], wide: bool) -> usize {
    let losable = voters.len().saturating_sub(1) / 2;
    let (region, _, az, _) = crowding(voters, wide);
    region.max(az).saturating_sub(losable)
}

/// How many of the fullest domains can go before `spare` is used up.
fn droppable<K: Ord>(counts: BTreeMap<K, usize>, spare: usize) -> usize {
    let mut sizes: Vec<usize> = counts.into_values().collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut lost = 0;
    sizes
        .into_iter()
        .take_while(|size| {
            lost += size;
            lost <= spare
        })
        .count()
}

fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

fn distinct<'a>(keys: impl Iterator<Item = &'a str>) -> usize {
    keys.collect::<BTreeSet<_>>().len()
}
