//! Looks into nodes and ledgers of a moment and adds up what they may use: never more than there is. Sees what no client can see
//! yet, because a share that exists twice need not be spent twice. Owns these sums; must never change what it looks at.

use std::collections::HashMap;

use tidegate_proto::ledger::WHOLE;
use tidegate_throttle::{GLOBAL, Kind, Ledger, LimitId, PART};

use super::{
    Event,
    catalog::FIRST_DAY,
    layout::{self, Layout},
    node::Node,
    node::moment,
    raft::Voter,
};
use crate::flood::{moment::seconds, world::World};

/// Complaints kept.
const COMPLAINTS_MAX: usize = 8;
/// Indexes whose state is remembered per shard.
const REMEMBERED_MAX: usize = 256;

/// What was found wrong.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) complaints: Vec<String>,
    /// By site: the encoded ledger at an index.
    states: Vec<HashMap<u64, Vec<u8>>>,
}

impl Oracle {
    /// Nothing is wrong with so many ledgers.
    pub(super) fn new(sites: usize) -> Self {
        Self { complaints: Vec::new(), states: vec![HashMap::new(); sites] }
    }

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

    /// Looks at everything; `newest` is the ledger of each site that has applied most.
    pub(super) fn look(
        &mut self,
        world: &World<Event>,
        nodes: &[Option<Node>],
        layout: &Layout,
        newest: &[&Ledger],
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
            let sight = Sight { world, nodes, layout, newest };
            let complaint = match limit.kind() {
                Kind::Slice | Kind::StrictSlice => {
                    sight.slices(number, *limit).or_else(|| sight.wholes(*limit))
                }
                Kind::Quota(_) => sight.chunks(*limit),
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

/// Everything of a moment.
#[derive(Clone, Copy)]
struct Sight<'a> {
    world: &'a World<Event>,
    nodes: &'a [Option<Node>],
    layout: &'a Layout,
    newest: &'a [&'a Ledger],
}

impl Sight<'_> {
    /// The ledger that a node has a limit from.
    fn ledger(&self, node: usize, limit: LimitId) -> Option<&Ledger> {
        self.layout.site(node, limit.ledger()).and_then(|at| self.newest.get(at).copied())
    }

    /// The ledger of all regions.
    fn top(&self) -> Option<&Ledger> {
        self.layout.site(0, GLOBAL).and_then(|at| self.newest.get(at).copied())
    }

    /// No node uses more than its ledger knows of, all together no more than there is, and no node anything that its region has
    /// lost.
    fn slices(&self, number: usize, limit: LimitId) -> Option<String> {
        let mut sum = 0;
        for (at, node) in self.nodes.iter().enumerate() {
            // A node that keeps the limit in another way, because its configuration is older, uses nothing of this one.
            let Some(node) = node.as_ref().filter(|node| node.catalog().ids().get(number) == Some(&limit))
            else {
                continue;
            };
            let share = node.agent.share(limit, moment(self.world, at));
            let committed = self.ledger(at, limit)?.committed(limit, at as u64 + 1);
            if share > committed {
                return Some(format!("node {at} uses {share} of {WHOLE}, the ledger knows of {committed}"));
            }
            let region = self.layout.region_of(at);
            if limit.ledger() == PART && share > 0 && !self.has_session(region) {
                return Some(format!("node {at} uses {share} of {WHOLE}, region {region} has no session"));
            }
            sum += u64::from(share);
        }
        (sum > u64::from(WHOLE)).then(|| format!("nodes use {sum} of {WHOLE}"))
    }

    fn has_session(&self, region: usize) -> bool {
        let part = self.layout.sites.iter().position(|site| site.number == PART && site.region == region);
        let epoch = part.and_then(|at| self.newest.get(at)).map_or(0, |ledger| ledger.upstream().0);
        let is_it = |holder: u64, known: u64| holder == layout::holder(region) && known == epoch;
        self.top().is_some_and(|top| top.sessions().any(|session| is_it(session.holder, session.epoch)))
    }

    /// No region deals out more than the ledger of all regions knows of, as long as it has a session.
    fn wholes(&self, limit: LimitId) -> Option<String> {
        if limit.ledger() != PART {
            return None;
        }
        let top = self.top()?;
        for (at, site) in self.layout.sites.iter().enumerate().filter(|(_, site)| site.number == PART) {
            let whole = self.newest.get(at)?.whole(limit.number());
            let committed = top.committed(limit, layout::holder(site.region));
            if whole > committed && self.has_session(site.region) {
                let region = site.region;
                return Some(format!("region {region} has {whole}, the ledger of all knows of {committed}"));
            }
        }
        None
    }

    fn chunks(&self, limit: LimitId) -> Option<String> {
        let ledger = self.ledger(0, limit)?;
        // After midnight nodes may hold some of the day before.
        let row = ledger.quota(limit).filter(|_| ledger.day() == FIRST_DAY)?;
        let held: u64 = self.nodes.iter().flatten().map(|node| node.agent.tokens(limit)).sum();
        let out: u64 = row.chunks.iter().map(|chunk| u64::from(chunk.outstanding())).sum();
        (held > out && held > u64::from(row.size))
            .then(|| format!("nodes hold {held}, the ledger knows of {out}"))
    }
}
