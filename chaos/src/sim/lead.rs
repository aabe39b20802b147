//! Leads a shard of the ledger while its node does: ticks its keeper, has each tick agreed on, and sends the answers, as `limits::lead` of
//! the node does it. The oracle sees who is in office.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use tidegate_cluster_sim::{Error, GroupId, Handle, NodeId, sim};
use tidegate_proto::ledger::CommandV1;
use tidegate_throttle::{GLOBAL, Keeper, PART, Tick};

use super::{
    desk::{Desk, Shard, lock},
    invariants::Invariant,
    oracle::Watch,
};

/// Pause between ticks while there is something to decide, and while there is not.
const TICK: Duration = Duration::from_millis(20);
const CALM: Duration = Duration::from_millis(100);
/// A tick that is not agreed on within this time ends the leader's work.
const PATIENCE: Duration = Duration::from_millis(1_000);
const RETRY: Duration = Duration::from_millis(50);

/// Tells the oracle whenever the node comes into the office of `group`, for as long as it lives.
pub(crate) async fn look(node: NodeId, group: GroupId, handle: Handle, watch: Watch) {
    let Ok(mut terms) = handle.leadership(group) else { return };
    loop {
        let term = *terms.borrow_and_update();
        if let Some(term) = term {
            let mut oracle = watch.lock();
            let now_ns = oracle.now_ns();
            let complaint = oracle.leaders.enters(group, term, node, now_ns);
            oracle.note(Invariant::Leaders, complaint);
        }
        if terms.changed().await.is_err() {
            return;
        }
    }
}

/// Runs for as long as the node lives.
pub(crate) async fn run(desk: Arc<Desk>, handle: Handle, watch: Watch, number: usize) {
    let Some(shard) = desk.shards.get(number) else { return };
    let Ok(mut terms) = handle.leadership(shard.group) else { return };
    let mut earlier = None;
    loop {
        let term = *terms.borrow_and_update();
        let Some(term) = term else {
            if terms.changed().await.is_err() {
                return;
            }
            continue;
        };
        let office = Office { desk: &desk, handle: &handle, watch: &watch, shard, number, term };
        let led = match select(
            std::pin::pin!(office.lead(&mut earlier)),
            std::pin::pin!(terms.wait_for(|now| *now != Some(term))),
        )
        .await
        {
            Either::Left((led, _)) => led,
            Either::Right((Ok(_), _)) => Ok(()),
            Either::Right((Err(_), _)) => return,
        };
        earlier = lock(&shard.keeper).take().or(earlier);
        if led.is_err() {
            sim::sleep(RETRY).await;
        }
    }
}

/// A time in office.
struct Office<'a> {
    desk: &'a Arc<Desk>,
    handle: &'a Handle,
    watch: &'a Watch,
    shard: &'a Shard,
    number: usize,
    term: u64,
}

impl Office<'_> {
    /// Leads until the first tick that is not agreed on.
    async fn lead(&self, earlier: &mut Option<Keeper>) -> Result<(), Error> {
        {
            let mut oracle = self.watch.lock();
            let now_ns = oracle.now_ns();
            let complaint = oracle.leaders.enters(self.shard.group, self.term, self.desk.node, now_ns);
            oracle.note(Invariant::Leaders, complaint);
        }
        // Everything that this node proposed before is applied when an entry after it is.
        self.propose(&CommandV1::default()).await?;
        let keeper = {
            let (ledger, now_ns) = (lock(&self.shard.ledger), self.boot_ns());
            let (term, timing) = (self.term, self.desk.timing);
            match self.number {
                PART => Keeper::of_part(self.desk.region, term, &ledger, now_ns, timing),
                number => Keeper::new(number, term, &ledger, now_ns, timing)
                    .with_levels_since(self.shard.levels_ns.load(Relaxed)),
            }
        };
        *lock(&self.shard.keeper) = Some(match earlier.take() {
            Some(mut earlier) => keeper.after(&mut earlier),
            None => keeper,
        });
        while let Some(Tick { command, confirm }) = self.tick() {
            let is_agreed_on = command.is_some() || confirm;
            if let Some(command) = command {
                self.propose(&command).await?;
            } else if confirm {
                self.confirm().await?;
            }
            if is_agreed_on {
                self.answer();
            }
            if self.number == PART {
                self.speak();
            }
            self.rest().await;
        }
        Ok(())
    }

    fn tick(&self) -> Option<Tick> {
        let (index, today) = (self.desk.index(), self.desk.clock.today());
        let mut keeper = lock(&self.shard.keeper);
        let ledger = lock(&self.shard.ledger);
        keeper.as_mut().map(|keeper| keeper.tick(self.boot_ns(), &ledger, &index, today))
    }

    async fn propose(&self, command: &CommandV1) -> Result<(), Error> {
        let bytes = command.encode().map_err(|error| Error::Change(error.to_string()))?;
        let bytes = Bytes::from(bytes);
        let group = self.shard.group;
        let applied = self.handle.propose_as_leader(group, self.term, bytes.clone(), PATIENCE).await?;
        let mut oracle = self.watch.lock();
        let complaint = oracle.acknowledged.promised(group, applied.index, &bytes);
        oracle.note(Invariant::Acknowledged, complaint);
        let complaint = oracle.leaders.proposed(group, self.term, applied.index);
        oracle.note(Invariant::Leaders, complaint);
        Ok(())
    }

    async fn confirm(&self) -> Result<(), Error> {
        let began_ns = self.watch.lock().now_ns();
        self.handle.confirm(self.shard.group, self.term, PATIENCE).await?;
        let mut oracle = self.watch.lock();
        let complaint = oracle.leaders.confirmed(self.shard.group, self.term, began_ns);
        oracle.note(Invariant::Leaders, complaint);
        Ok(())
    }

    fn answer(&self) {
        let answers = {
            let mut keeper = lock(&self.shard.keeper);
            let ledger = lock(&self.shard.ledger);
            keeper.as_mut().map(|keeper| keeper.answers(self.boot_ns(), &ledger)).unwrap_or_default()
        };
        for (holder, grant) in answers {
            self.desk.send_grant(self.handle, self.number, holder, grant);
        }
    }

    /// Tells the ledger of all regions what the region needs.
    fn speak(&self) {
        let index = self.desk.index();
        let report = {
            let mut keeper = lock(&self.shard.keeper);
            let ledger = lock(&self.shard.ledger);
            keeper.as_mut().and_then(|keeper| keeper.report(self.boot_ns(), &ledger, &index))
        };
        let Some(report) = report else { return };
        self.desk.send_report(self.handle, GLOBAL, report, |desk| {
            if let Some(part) = desk.shards.get(PART)
                && let Some(keeper) = lock(&part.keeper).as_mut()
            {
                keeper.lost();
            }
        });
    }

    /// Until the next tick. A shard that nobody reports to sleeps.
    async fn rest(&self) {
        sim::sleep(TICK).await;
        let is_busy = lock(&self.shard.keeper).as_ref().is_some_and(Keeper::is_busy);
        if is_busy {
            return;
        }
        let has_sessions = lock(&self.shard.ledger).sessions().next().is_some();
        if has_sessions {
            let _reported = sim::timeout(CALM, self.shard.reported.notified()).await;
        } else {
            self.shard.reported.notified().await;
        }
    }

    fn boot_ns(&self) -> u64 {
        self.desk.clock.now().boot_ns
    }
}
