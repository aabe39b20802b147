//! A node's part in rate limits: its bank and agent, its copies of the ledger, and keepers of the shards that it leads. What `limits` of the
//! node does with sockets and threads, on the virtual clock; everything that is decided is decided in the product.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tidegate_cluster_sim::{GroupId, Handle, Inbox, NodeId, group, sim};
use tidegate_gateway::{Limits, StageTable, holders};
use tidegate_proto::{
    compiled::limits::LimitsV1,
    ledger::{GrantV1, MessageV1, ReportV1},
};
use tidegate_throttle::{
    Agent, Bank, GLOBAL, Identity, Index, Keeper, LEDGERS, Ledger, LimitRef, PART, Region, Timing, Verdict,
    region_holder,
};
use tokio::sync::Notify;

use super::clock::Clock;

/// Pauses between polls of the agent: while limits are in use, and while none is.
const BUSY: Duration = Duration::from_millis(10);
const CALM: Duration = Duration::from_millis(100);
/// A message without an answer after this time did not arrive.
const PATIENCE: Duration = Duration::from_millis(400);

/// What the parts of a node share about limits.
pub(crate) struct Desk {
    pub(crate) node: NodeId,
    pub(crate) clock: Arc<Clock>,
    pub(crate) timing: Timing,
    /// The region, when this node speaks for it.
    pub(crate) region: Region,
    bank: Arc<Bank>,
    agent: Mutex<Agent>,
    index: Mutex<Arc<Index>>,
    pub(crate) shards: [Shard; LEDGERS],
    news: Notify,
}

/// A shard of the region's ledger, its part of what spans regions, or the ledger of all regions, as this node has it.
pub(crate) struct Shard {
    pub(crate) group: GroupId,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    /// While this node leads.
    pub(crate) keeper: Mutex<Option<Keeper>>,
    pub(crate) reported: Notify,
    /// When levels were last applied here, on the clock of leases.
    pub(crate) levels_ns: Arc<AtomicU64>,
}

impl Desk {
    /// Of a node's life number `life`, from 1.
    pub(crate) fn new(node: NodeId, region: &str, life: u64, clock: Arc<Clock>, timing: Timing) -> Arc<Self> {
        let bank = Arc::new(Bank::new());
        let identity = Identity { holder: node, incarnation: life, has_lived: life > 1 };
        let shard = |number: usize| Shard {
            group: if number == GLOBAL { group::GLOBAL_LEDGER } else { group::ledger(region, number as u8) },
            ledger: Arc::new(Mutex::new(if number == PART { Ledger::part() } else { Ledger::default() })),
            keeper: Mutex::new(None),
            reported: Notify::new(),
            levels_ns: Arc::new(AtomicU64::new(u64::MAX)),
        };
        Arc::new(Self {
            node,
            clock,
            timing,
            region: Region { holder: region_holder(region), node },
            agent: Mutex::new(Agent::new(identity, timing, bank.clone())),
            bank,
            index: Mutex::default(),
            shards: std::array::from_fn(shard),
            news: Notify::new(),
        })
    }

    /// Resolves limits for the stages of a snapshot.
    pub(crate) fn resolve(&self, compiled: LimitsV1, stages: &[Arc<StageTable>]) -> Arc<Limits> {
        let now = self.clock.now();
        let mut builder = self.index().succeed(holders(&compiled), now.boot_ns);
        let limits = Limits::build(Arc::new(compiled), stages, &mut builder);
        let index = Arc::new(builder.finish());
        lock(&self.agent).adopt(index.clone(), now);
        *lock(&self.index) = index;
        self.news.notify_one();
        Arc::new(limits)
    }

    /// The limits that are served.
    pub(crate) fn index(&self) -> Arc<Index> {
        lock(&self.index).clone()
    }

    /// Decides about a request.
    pub(crate) fn decide(&self, limits: &[LimitRef]) -> Verdict {
        let now = self.clock.now();
        self.bank.decide(limits, now.now_ns, || now.boot_ns)
    }

    /// Polls the agent for as long as the node lives.
    pub(crate) async fn run(self: Arc<Self>, handle: Handle) {
        loop {
            let (reports, pause) = {
                let mut agent = lock(&self.agent);
                let reports = agent.poll(self.clock.now());
                (reports, if agent.is_busy() { BUSY } else { CALM })
            };
            for (number, report) in reports {
                self.send_report(&handle, number, report, move |desk| lock(&desk.agent).lost(number));
            }
            let _news = sim::timeout(pause, self.news.notified()).await;
        }
    }

    /// Sends a report to the leader of a ledger; `lost` is called when it did not arrive.
    pub(crate) fn send_report(
        self: &Arc<Self>,
        handle: &Handle,
        number: usize,
        report: ReportV1,
        lost: impl FnOnce(&Self) + Send + 'static,
    ) {
        let Some(shard) = self.shards.get(number) else { return };
        match handle.leader(shard.group) {
            Ok(Some(leader)) if leader == self.node => self.take_report(shard, &report),
            Ok(Some(leader)) => {
                let desk = self.clone();
                let message = MessageV1::Report { group: shard.group, report };
                send(handle.clone(), leader, &message, move |arrived| {
                    if !arrived {
                        lost(&desk);
                    }
                });
            }
            Ok(None) | Err(_) => lost(self),
        }
    }

    /// Sends a grant to its holder, which may be this node.
    pub(crate) fn send_grant(&self, handle: &Handle, number: usize, holder: NodeId, grant: GrantV1) {
        if holder == self.node {
            return self.take_grant(number, &grant);
        }
        let Some(shard) = self.shards.get(number) else { return };
        // What does not arrive is asked for, or sent, again.
        send(handle.clone(), holder, &MessageV1::Grant { group: shard.group, grant }, |_| {});
    }

    fn take_report(&self, shard: &Shard, report: &ReportV1) {
        let index = self.index();
        if let Some(keeper) = lock(&shard.keeper).as_mut() {
            keeper.take_in(self.clock.now().boot_ns, report, &lock(&shard.ledger), &index);
            shard.reported.notify_one();
        }
    }

    /// A grant for this node, or for the region that it speaks for.
    fn take_grant(&self, number: usize, grant: &GrantV1) {
        if grant.rank > 0 {
            let Some(part) = self.shards.get(PART) else { return };
            if let Some(keeper) = lock(&part.keeper).as_mut() {
                keeper.take_grant(self.clock.now().boot_ns, grant, &lock(&part.ledger));
                part.reported.notify_one();
            }
            return;
        }
        lock(&self.agent).take_in(self.clock.now(), number, grant);
        self.news.notify_one();
    }

    fn take(&self, message: MessageV1) -> Result<MessageV1, String> {
        let find = |group| self.shards.iter().enumerate().find(|(_, shard)| shard.group == group);
        match message {
            MessageV1::Report { group, report } => {
                self.take_report(find(group).ok_or("a shard of another region")?.1, &report);
            }
            MessageV1::Grant { group, grant } => {
                self.take_grant(find(group).ok_or("a shard of another region")?.0, &grant);
            }
            other => return Err(format!("nobody asks for {other:?} here")),
        }
        Ok(MessageV1::Taken)
    }
}

impl Inbox for Desk {
    fn call(&self, _from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        let answer = MessageV1::decode(&message)
            .map_err(|error| error.to_string())
            .and_then(|message| self.take(message))
            .and_then(|answer| answer.encode().map_err(|error| error.to_string()))
            .map(Bytes::from);
        Box::pin(std::future::ready(answer))
    }
}

fn send(handle: Handle, to: NodeId, message: &MessageV1, ended: impl FnOnce(bool) + Send + 'static) {
    let Ok(bytes) = message.encode() else { return ended(false) };
    sim::spawn(async move { ended(handle.call(to, bytes.into(), PATIENCE).await.is_ok()) });
}

/// A lock that a panic elsewhere does not spoil.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
