//! Rate limits and quotas on this node: the agent that keeps its bank within what the ledger granted, the ledger's shards of its
//! region, and the leaders of those it leads. Owns the messages between them; what is granted is decided in `throttle`.

mod agent;
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
use tidegate_gateway::{Limits, StageTable, holders};
use tidegate_proto::{compiled::limits::LimitsV1, ledger::GrantV1, ledger::ReportV1};
use tidegate_throttle::{
    Agent, Bank, GLOBAL, Identity, Index, Keeper, LEDGERS, Ledger, Now, PART, Region, SHARDS, Timing,
    region_holder,
};
use tokio::sync::{Notify, watch};

pub(crate) use agent::{last_words, serve};
use incarnation::Life;

/// What the parts of a node share about limits.
pub(crate) struct Desk {
    life: Mutex<Life>,
    node: NodeId,
    /// The region, when this node speaks for it.
    region: Region,
    limiter: Limiter,
    timing: Timing,
    agent: Mutex<Agent>,
    /// Of the limits that are served.
    index: ArcSwap<Index>,
    shards: [Shard; LEDGERS],
    /// Something arrived that the agent should answer.
    news: Notify,
    messages: Arc<figures::Messages>,
    /// Whether any limit spans regions.
    spans: watch::Sender<bool>,
}

/// One shard of the region's ledger, its part of what spans regions, or the ledger of all regions, as this node has it.
struct Shard {
    group: GroupId,
    ledger: Arc<Mutex<Ledger>>,
    /// While this node leads.
    keeper: Mutex<Option<Keeper>>,
    reported: Notify,
    applied: Arc<figures::Applied>,
}

impl Desk {
    /// Before anything is limited. Counts this start of the node in `folder`, if the disk lets it.
    pub(crate) fn new(node: NodeId, region: &str, folder: &std::path::Path) -> Arc<Self> {
        let life = Life::begin(folder);
        let bank = Arc::new(Bank::new());
        let identity = Identity { holder: node, incarnation: life.number(), has_lived: life.may_be_later() };
        let timing = Timing::default();
        let shard = |number: usize| Shard {
            group: if number == GLOBAL { group::GLOBAL_LEDGER } else { group::ledger(region, number as u8) },
            ledger: Arc::new(Mutex::new(if number == PART { Ledger::part() } else { Ledger::default() })),
            keeper: Mutex::new(None),
            reported: Notify::new(),
            applied: Arc::default(),
        };
        Arc::new(Self {
            life: Mutex::new(life),
            node,
            region: Region { holder: region_holder(region), node },
            limiter: Limiter::new(bank.clone()),
            timing,
            agent: Mutex::new(Agent::new(identity, timing, bank)),
            index: ArcSwap::default(),
            shards: std::array::from_fn(shard),
            news: Notify::new(),
            messages: Arc::default(),
            spans: watch::Sender::new(false),
        })
    }

    /// Makes sure that this start is counted on disk. Until it is, the agent may tell nobody anything, and limits as a node without
    /// contact does: what an earlier life was granted must not be taken for this one's.
    ///
    /// # Errors
    /// The disk does not take it; to be tried again. Blocking.
    pub(crate) fn count_life(&self) -> std::io::Result<()> {
        let number = lock(&self.life).count()?;
        self.agent().count_life(number);
        Ok(())
    }

    /// The limits as the data plane asks them.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The groups that keep the ledgers of this region and of all.
    pub(crate) fn groups(&self) -> Vec<GroupSpec> {
        let specs = self.shards.iter().enumerate().map(|(number, shard)| {
            let machine = machine::LedgerMachine::new(shard.ledger.clone(), shard.applied.clone());
            match number {
                GLOBAL => GroupSpec::cluster(shard.group, machine),
                spread => GroupSpec::region(shard.group, machine, spread),
            }
        });
        specs.collect()
    }

    /// Resolves limits for the stages of a snapshot. When this returns, requests may be held against them.
    pub(crate) fn resolve(&self, compiled: LimitsV1, stages: &[Arc<StageTable>]) -> Arc<Limits> {
        let now = self.now();
        let mut builder = self.index.load().succeed(holders(&compiled), now.boot_ns);
        let limits = Limits::build(Arc::new(compiled), stages, &mut builder);
        let index = Arc::new(builder.finish());
        if index.dropped() > 0 {
            tracing::error!(
                limits = index.dropped(),
                "there is no room for so many limits; some are not held"
            );
        }
        self.agent().adopt(index.clone(), now);
        let is_wide = self.spans(&index);
        self.spans.send_if_modified(|spans| !std::mem::replace(spans, is_wide) && *spans);
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

    /// A grant for this node, or for the region that it speaks for.
    fn take_grant(&self, shard: usize, grant: &GrantV1) {
        if grant.rank > 0 {
            let Some(part) = self.shards.get(PART) else { return };
            if let Some(keeper) = lock(&part.keeper).as_mut() {
                keeper.take_grant(boot_ns(), grant, &lock(&part.ledger));
                part.reported.notify_one();
            }
            return;
        }
        self.agent().take_in(self.now(), shard, grant);
        self.limiter.granted();
        self.news.notify_one();
    }

    /// Whether a ledger has anything to keep: those of limits that span regions mostly have not.
    fn is_used(&self, number: usize) -> bool {
        number < SHARDS || self.spans(&self.index.load())
    }

    fn spans(&self, index: &Index) -> bool {
        index.uses(GLOBAL) || index.uses(PART)
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
