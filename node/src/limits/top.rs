//! Which limits of the region are busiest, as the control plane asks it: the leaders of all shards know what is left and who
//! holds what, every node what is offered to it. Owns the asking, off the data path; adding up and naming are its neighbours'.

mod merge;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, future::join_all};
use tidegate_cluster::{Handle, NodeId, group};
use tidegate_control::{Limits, TopQuestion};
use tidegate_gateway::{Subject, limit_subjects};
use tidegate_proto::{
    ledger::{BusyV1, MessageV1},
    limits::{LIMITS_TOP_MAX, LIMITS_TOP_TIMEOUT_MS},
    status::LimitsTop,
};
use tidegate_throttle::{LimitId, Name};

use super::Desk;
use crate::replica::Replica;
use merge::{Merged, merge};
use tell::Teller;

/// Each node and leader is asked for so many times the limits that are wanted: what is spread over many nodes is far up on none.
const SPREAD: usize = 4;
const ASKED_MIN: usize = 100;

/// The limits of this region, as `control` sees them.
pub(crate) struct RegionLimits {
    desk: Arc<Desk>,
    handle: Handle,
    replica: Replica,
    edge: tidegate_edge::Handle,
}

impl RegionLimits {
    pub(crate) fn new(
        desk: Arc<Desk>,
        handle: Handle,
        replica: Replica,
        edge: tidegate_edge::Handle,
    ) -> Self {
        Self { desk, handle, replica, edge }
    }

    async fn gather(&self, question: TopQuestion) -> LimitsTop {
        let is_filtered = question.api.is_some() || question.stage.is_some() || question.level.is_some();
        let asked = if is_filtered { LIMITS_TOP_MAX } else { (question.count * SPREAD).max(ASKED_MIN) };
        let count = asked.min(LIMITS_TOP_MAX) as u32;
        let members = self.members();
        let ledgers = self.desk.shards.iter().enumerate().filter(|(number, _)| self.desk.is_used(*number));
        let (numbers, groups): (Vec<u64>, Vec<u64>) =
            ledgers.map(|(number, shard)| (number as u64, shard.group)).unzip();
        let leaders = join_all(groups.into_iter().map(|group| self.ask_leader(group, count)));
        let nodes = join_all(members.keys().map(|node| self.ask(*node, MessageV1::TopHere { count })));
        let (leaders, nodes) = tokio::join!(leaders, nodes);
        let silent_shards = silent(&leaders, numbers);
        let silent_nodes = silent(&nodes, members.keys().copied());
        let mut merged =
            merge(leaders.into_iter().flatten().flatten(), nodes.into_iter().flatten().flatten());
        if !is_filtered {
            merged.truncate(question.count);
        }
        let subjects = self.name(&merged).await;
        let teller = Teller {
            index: self.desk.index.load_full(),
            state: self.replica.load().state.clone(),
            subjects,
            azs: members,
        };
        let told = merged.iter().map(|one| teller.tell(one)).filter(|one| tell::matches(one, &question));
        LimitsTop {
            region: self.handle.meta().region.clone(),
            answered_by: self.desk.node,
            limits: told.take(question.count).collect(),
            silent_shards,
            silent_nodes,
        }
    }

    /// Availability zones of the nodes of this region.
    fn members(&self) -> BTreeMap<NodeId, String> {
        let region = &self.handle.meta().region;
        let Ok(status) = self.handle.status(group::CONFIG) else { return BTreeMap::new() };
        let all = status.voters.into_iter().chain(status.learners);
        all.filter(|(_, meta)| meta.region == *region).map(|(node, meta)| (node, meta.az)).collect()
    }

    async fn ask_leader(&self, group: u64, count: u32) -> Option<Vec<BusyV1>> {
        let leader = self.handle.leader(group).ok().flatten()?;
        self.ask(leader, MessageV1::Top { group, count }).await
    }

    async fn ask(&self, node: NodeId, question: MessageV1) -> Option<Vec<BusyV1>> {
        let bytes = Bytes::from(question.encode().ok()?);
        let patience = Duration::from_millis(LIMITS_TOP_TIMEOUT_MS);
        let answer = self.handle.call(node, bytes, patience).await;
        let answer = answer.inspect_err(|error| tracing::debug!(node, %error, "no word of busy limits"));
        match MessageV1::decode(&answer.ok()?).ok()? {
            MessageV1::Busiest(busiest) => Some(busiest),
            _ => None,
        }
    }

    /// What the limits stand for. Hashing the names of a million keys is kept off the threads that serve sockets.
    async fn name(&self, merged: &[Merged]) -> BTreeMap<Name, Subject> {
        let names = merged.iter().filter_map(|one| LimitId::new(one.limit));
        let wanted: BTreeSet<Name> = names.map(LimitId::name).collect();
        let snapshot = self.edge.serving();
        let work = move || limit_subjects(snapshot.limits().compiled(), snapshot.stages(), wanted);
        // Nothing in there panics; without names the numbers are still told.
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }
}

impl Limits for RegionLimits {
    fn top(&self, question: TopQuestion) -> BoxFuture<'_, LimitsTop> {
        self.gather(question).boxed()
    }
}

/// Of `asked`, in the order of `answers`, those that did not answer.
fn silent<T>(answers: &[Option<T>], asked: impl IntoIterator<Item = u64>) -> Vec<u64> {
    asked.into_iter().zip(answers).filter(|(_, answer)| answer.is_none()).map(|(asked, _)| asked).collect()
}
