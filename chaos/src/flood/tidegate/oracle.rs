//! Looks into nodes and ledgers of a moment and adds up what they may use: never more than there is. Sees what no client can see
//! yet, because a share that exists twice need not be spent twice. Owns these sums; must never change what it looks at.

use std::collections::HashMap;

use tidegate_proto::ledger::WHOLE;
use tidegate_throttle::{Kind, Ledger, LimitId, SHARDS};

use super::{Event, catalog::FIRST_DAY, node::Node, node::moment, raft::Voter};
use crate::flood::{moment::seconds, world::World};

/// Complaints kept.
const COMPLAINTS_MAX: usize = 8;
/// Indexes whose state is remembered per shard.
const REMEMBERED_MAX: usize = 256;

/// What was found wrong.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) complaints: Vec<String>,
    /// By shard: the encoded ledger at an index.
    states: [HashMap<u64, Vec<u8>>; SHARDS],
}

impl Oracle {
    /// A voter has applied more: its ledger must be what it was elsewhere at that index.
    pub(super) fn compare(&mut self, shard: usize, voter: &Voter) {
        let Ok(state) = voter.ledger().encode() else { return };
        let Some(states) = self.states.get_mut(shard) else { return };
        if states.len() > REMEMBERED_MAX {
            let newest = states.keys().max().copied().unwrap_or_default();
            states.retain(|index, _| index + REMEMBERED_MAX as u64 / 2 > newest);
        }
        let index = voter.applied();
        let known = states.entry(index).or_insert_with(|| state.clone());
        if *known != state {
            self.complain(format!("shard {shard}: replicas differ at index {index}"));
        }
    }

    /// Looks at everything; `newest` is the ledger of each shard that has applied most.
    pub(super) fn look(
        &mut self,
        world: &World<Event>,
        nodes: &[Option<Node>],
        newest: [&Ledger; SHARDS],
        limits: &[LimitId],
    ) {
        let at = seconds(world.now);
        for (shard, ledger) in newest.iter().enumerate() {
            // A pool whose limit was cut has more out than its size, until that is used.
            if let Err(reason) =
                ledger.check().or_else(|e| if e.starts_with("pool ") { Ok(()) } else { Err(e) })
            {
                self.complain(format!("{at:.3} s, shard {shard}: {reason}"));
            }
        }
        for (number, limit) in limits.iter().enumerate() {
            let Some(ledger) = newest.get(limit.name().shard()) else { continue };
            let complaint = match limit.kind() {
                Kind::Slice | Kind::StrictSlice => slices(world, nodes, ledger, number, *limit),
                // After midnight nodes may hold some of the day before.
                Kind::Quota(_) if ledger.day() == FIRST_DAY => chunks(nodes, ledger, *limit),
                Kind::Quota(_) => None,
                Kind::Pool | Kind::Count => None,
            };
            if let Some(complaint) = complaint {
                self.complain(format!("{at:.3} s, limit {number} ({:?}): {complaint}", limit.kind()));
            }
        }
    }

    /// Keeps a complaint, unless there are enough.
    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint);
        }
    }
}

fn slices(
    world: &World<Event>,
    nodes: &[Option<Node>],
    ledger: &Ledger,
    number: usize,
    limit: LimitId,
) -> Option<String> {
    let mut sum = 0;
    for (at, node) in nodes.iter().enumerate() {
        // A node that keeps the limit in another way, because its configuration is older, uses nothing of this one.
        let Some(node) = node.as_ref().filter(|node| node.catalog().ids().get(number) == Some(&limit)) else {
            continue;
        };
        let share = node.agent.share(limit, moment(world, at));
        let committed = ledger.committed(limit, at as u64 + 1);
        if share > committed {
            return Some(format!("node {at} uses {share} of {WHOLE}, the ledger knows of {committed}"));
        }
        sum += u64::from(share);
    }
    (sum > u64::from(WHOLE)).then(|| format!("nodes use {sum} of {WHOLE}"))
}

fn chunks(nodes: &[Option<Node>], ledger: &Ledger, limit: LimitId) -> Option<String> {
    let row = ledger.quota(limit)?;
    let held: u64 = nodes.iter().flatten().map(|node| node.agent.tokens(limit)).sum();
    let out: u64 = row.chunks.iter().map(|chunk| u64::from(chunk.outstanding())).sum();
    (held > out && held > u64::from(row.size))
        .then(|| format!("nodes hold {held}, the ledger knows of {out}"))
}
