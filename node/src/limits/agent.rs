//! Runs the agent of this node: polls it, carries its reports to whoever leads, and takes messages of other nodes in.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidegate_cluster::{Handle, NodeId};
use tidegate_edge::boot_ns;
use tidegate_proto::{
    ledger::{CommandV1, MessageV1, ReportV1},
    limits::{LEDGER_MESSAGE_TIMEOUT_MS, LEDGER_MESSAGES_MAX, LIMITS_TOP_MAX},
};
use tidegate_throttle::Holders;
use tokio::sync::{Semaphore, watch};

use super::{Desk, found, holders, lead, lock};
use crate::{shutdown::Shutdown, store::ConfigStore};

/// Pauses between polls: while limits are in use, and while none is.
const BUSY: Duration = Duration::from_millis(10);
const CALM: Duration = Duration::from_millis(100);
/// How long the ledger waits for the data plane of a node that stops.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for the last reports of a node that stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Carries messages, a bounded number at a time.
#[derive(Clone)]
pub(super) struct Post {
    handle: Handle,
    places: Arc<Semaphore>,
}

/// Runs the agent and the leaders of all shards, founds ledgers where that falls to this node, and counts the nodes
/// that share its limits, until the task is dropped.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    handle: Handle,
    store: ConfigStore,
    region: String,
    holders: watch::Sender<Holders>,
) {
    let founding = found::found(handle.clone(), store.clone(), region.clone());
    let spanning = found::found_wide(handle.clone(), store, region, desk.spans.subscribe());
    let counting = holders::follow(handle.clone(), holders);
    let post = Post { handle, places: Arc::new(Semaphore::new(LEDGER_MESSAGES_MAX)) };
    let leaders = (0..desk.shards.len()).map(|shard| lead::run(desk.clone(), post.clone(), shard));
    let leaders = futures_util::future::join_all(leaders);
    tokio::join!(founding, spanning, counting, leaders, run(&desk, &post));
}

/// Resolves when the cluster service may stop after `asked`: what this node was granted and has not used goes back once it admits
/// nothing more, which `served` tells.
pub(crate) async fn last_words(
    asked: impl Future<Output = ()> + Send,
    served: Shutdown,
    desk: Arc<Desk>,
    handle: Handle,
) {
    asked.await;
    // A data plane that takes longer finishes with what it has.
    let _ended = tokio::time::timeout(SERVED_WITHIN, served.asked()).await;
    desk.retire(&handle).await;
}

async fn run(desk: &Arc<Desk>, post: &Post) {
    loop {
        let (reports, pause) = {
            let mut agent = desk.agent();
            let reports = agent.poll(desk.now());
            let pause = if agent.is_busy() { BUSY } else { CALM };
            (reports, agent.is_needed().then_some(pause))
        };
        for (shard, report) in reports {
            post.report(desk, shard, report, move |desk| desk.agent().lost(shard));
        }
        let rest = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = rest => {}
            () = desk.news.notified() => {}
            () = desk.limiter.wanted() => {}
        }
    }
}

impl Desk {
    /// Gives back what this node holds, before it stops.
    async fn retire(&self, handle: &Handle) {
        let reports = self.agent().retire(self.now());
        let calls = reports.into_iter().map(|(number, report)| async move {
            let Some(shard) = self.shards.get(number) else { return };
            match handle.leader(shard.group) {
                Ok(Some(leader)) if leader == self.node => self.take_report(shard, &report),
                Ok(Some(leader)) => {
                    let message = MessageV1::Report { group: shard.group, report };
                    if let Ok(bytes) = message.encode() {
                        // What does not arrive counts as used.
                        let _arrived = handle.call(leader, bytes.into(), FAREWELL).await;
                    }
                }
                Ok(None) | Err(_) => {}
            }
        });
        futures_util::future::join_all(calls).await;
    }

    /// Takes a message of another node in.
    ///
    /// # Errors
    /// A message that is not for this node, or an answer without a question.
    pub(crate) fn take_message(&self, message: MessageV1) -> Result<MessageV1, String> {
        let shard =
            |group| self.shard_of(group).ok_or_else(|| format!("group {group} is not of this region"));
        match message {
            MessageV1::Report { group, report } => {
                self.take_report(shard(group)?.1, &report);
                Ok(MessageV1::Taken)
            }
            MessageV1::Grant { group, grant } => {
                self.take_grant(shard(group)?.0, &grant);
                Ok(MessageV1::Taken)
            }
            MessageV1::Usage { group, limits, first_day, last_day } => {
                let used = self.used(shard(group)?.1, &limits, first_day, last_day);
                used.map(MessageV1::Used).ok_or_else(|| "this node does not lead the ledger".to_owned())
            }
            MessageV1::Settle { group, limit } => {
                let changes = self.unsettled(shard(group)?.1, limit);
                let changes = changes.ok_or("this node does not lead the ledger")?;
                Ok(MessageV1::Unsettled(CommandV1 { changes }))
            }
            MessageV1::Top { group, count } => {
                let shard = shard(group)?.1;
                let keeper = lock(&shard.keeper);
                let keeper = keeper.as_ref().ok_or("this node does not lead the ledger")?;
                let count = (count as usize).min(LIMITS_TOP_MAX);
                let index = self.index.load();
                Ok(MessageV1::Busiest(keeper.busiest(boot_ns(), &lock(&shard.ledger), &index, count)))
            }
            MessageV1::TopHere { count } => {
                let count = (count as usize).min(LIMITS_TOP_MAX);
                Ok(MessageV1::Busiest(self.agent().busiest(self.now(), count)))
            }
            MessageV1::Taken | MessageV1::Used(_) | MessageV1::Unsettled(_) | MessageV1::Busiest(_) => {
                Err("an answer belongs to a question".to_owned())
            }
        }
    }
}

impl Post {
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Carries a report to the leader of a shard; `lost` is called when it did not arrive.
    pub(super) fn report(
        &self,
        desk: &Arc<Desk>,
        number: usize,
        report: ReportV1,
        lost: impl FnOnce(&Desk) + Send + 'static,
    ) {
        let Some(shard) = desk.shards.get(number) else { return };
        match self.handle.leader(shard.group) {
            Ok(Some(leader)) if leader == desk.node => {
                desk.messages.report(true);
                desk.take_report(shard, &report);
            }
            Ok(Some(leader)) => {
                let (desk, message) = (desk.clone(), MessageV1::Report { group: shard.group, report });
                self.send(leader, &message, move |arrived| {
                    desk.messages.report(arrived);
                    if !arrived {
                        lost(&desk);
                    }
                });
            }
            Ok(None) | Err(_) => {
                desk.messages.report(false);
                lost(desk);
            }
        }
    }

    /// Sends a message; `ended` learns whether it arrived.
    pub(super) fn send(&self, to: NodeId, message: &MessageV1, ended: impl FnOnce(bool) + Send + 'static) {
        let place = self.places.clone().try_acquire_owned();
        let (Ok(place), Ok(bytes)) = (place, message.encode()) else { return ended(false) };
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let patience = Duration::from_millis(LEDGER_MESSAGE_TIMEOUT_MS);
            let arrived = handle.call(to, Bytes::from(bytes), patience).await;
            if let Err(error) = &arrived {
                tracing::debug!(to, %error, "a message about limits did not arrive");
            }
            ended(arrived.is_ok());
            drop(place);
        });
    }
}
