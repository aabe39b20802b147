//! Rate limits and quotas on this node: the agent that keeps its bank within what the ledger granted, the ledger's shards of its
//! region, and the leaders of those it leads. Owns the messages between them; what is granted is decided in `throttle`.

mod agent;
pub(crate) mod compile;
mod figures;
mod found;
pub(crate) mod holders;
mod incarnation;
mod lead;
mod machine;
pub(crate) mod top;
pub(crate) mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tidegate_cluster::{GroupId, GroupSpec, NodeId, group};
use tidegate_edge::{Limiter, boot_ns};
use tidegate_gateway::{Limits, StageTable};
use tidegate_proto::{compiled::limits::LimitsV1, ledger::GrantV1, ledger::ReportV1};
use tidegate_throttle::{Agent, Bank, Identity, Index, Keeper, Ledger, Now, SHARDS, Timing};
use tokio::sync::Notify;

use crate::node::NodeError;
pub(crate) use agent::{last_words, serve};

/// What the parts of a node share about limits.
pub(crate) struct Desk {
    node: NodeId,
    limiter: Limiter,
    timing: Timing,
    agent: Mutex<Agent>,
    /// Of the limits that are served.
    index: ArcSwap<Index>,
    shards: [Shard; SHARDS],
    /// Something arrived that the agent should answer.
    news: Notify,
    messages: Arc<figures::Messages>,
}

/// One shard of the region's ledger, as this node has it.
struct Shard {
    group: GroupId,
    ledger: Arc<Mutex<Ledger>>,
    /// While this node leads.
    keeper: Mutex<Option<Keeper>>,
    reported: Notify,
    applied: Arc<figures::Applied>,
}

impl Desk {
    /// Before anything is limited. Counts this start of the node.
    ///
    /// # Errors
    /// The count cannot be kept in `folder`.
    pub(crate) fn new(node: NodeId, region: &str, folder: &std::path::Path) -> Result<Arc<Self>, NodeError> {
        let incarnation = incarnation::next(folder)?;
        let bank = Arc::new(Bank::new());
        let identity = Identity { holder: node, incarnation, has_lived: incarnation > 1 };
        let timing = Timing::default();
        let shard = |number: usize| Shard {
            group: group::ledger(region, number as u8),
            ledger: Arc::default(),
            keeper: Mutex::new(None),
            reported: Notify::new(),
            applied: Arc::default(),
        };
        Ok(Arc::new(Self {
            node,
            limiter: Limiter::new(bank.clone()),
            timing,
            agent: Mutex::new(Agent::new(identity, timing, bank)),
            index: ArcSwap::default(),
            shards: std::array::from_fn(shard),
            news: Notify::new(),
            messages: Arc::default(),
        }))
    }

    /// The limits as the data plane asks them.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The groups that keep the ledger of this region.
    pub(crate) fn groups(&self) -> Vec<GroupSpec> {
        let machine =
            |shard: &Shard| machine::LedgerMachine::new(shard.ledger.clone(), shard.applied.clone());
        let specs = self.shards.iter().enumerate();
        specs.map(|(spread, shard)| GroupSpec::region(shard.group, machine(shard), spread)).collect()
    }

    /// Resolves limits for the stages of a snapshot. When this returns, requests may be held against them.
    pub(crate) fn resolve(&self, compiled: LimitsV1, stages: &[Arc<StageTable>]) -> Arc<Limits> {
        let now = self.now();
        let mut builder = self.index.load().succeed(compiled.holders.max(1) as usize, now.boot_ns);
        let limits = Limits::build(Arc::new(compiled), stages, &mut builder);
        let index = Arc::new(builder.finish());
        if index.dropped() > 0 {
            tracing::error!(
                limits = index.dropped(),
                "there is no room for so many limits; some are not held"
            );
        }
        self.agent().adopt(index.clone(), now);
        self.index.store(index);
        self.news.notify_one();
        Arc::new(limits)
    }

    /// A report for the leader of a shard; nothing happens where this node is not.
    fn take_report(&self, shard: &Shard, report: &ReportV1) {
        let index = self.index.load();
        if let Some(keeper) = lock(&shard.keeper).as_mut() {
            keeper.take_in(boot_ns(), report, &lock(&shard.ledger), &index);
            shard.reported.notify_one();
        }
    }

    /// A grant for this node.
    fn take_grant(&self, shard: usize, grant: &GrantV1) {
        self.agent().take_in(self.now(), shard, grant);
        self.limiter.granted();
        self.news.notify_one();
    }

    fn shard_of(&self, group: GroupId) -> Option<(usize, &Shard)> {
        self.shards.iter().enumerate().find(|(_, shard)| shard.group == group)
    }

    fn agent(&self) -> MutexGuard<'_, Agent> {
        lock(&self.agent)
    }

    fn now(&self) -> Now {
        Now { now_ns: self.limiter.now_ns(), boot_ns: boot_ns() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Days since 1970-01-01, as this machine has it.
fn today() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 86_400).unwrap_or(u32::MAX)
}
