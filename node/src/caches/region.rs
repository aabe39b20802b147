//! What the nodes of the region have cached, and whether all of them serve a flush, as the control plane asks it. Owns the asking, off
//! the data path; adding up is its neighbour's.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture, future::join_all};
use tidegate_cluster::{Handle, NodeId, group};
use tidegate_control::{CacheQuestion, CacheRequest, Caches, StillServed};
use tidegate_proto::{
    limits::{
        CACHE_CURRENT_MARGIN_MS, CACHE_CURRENT_MS, CACHE_SETTLE_POLL_MS, CACHE_SETTLE_TIMEOUT_MS,
        CACHE_TOP_COUNT_MAX, CACHE_TOP_TIMEOUT_MS, DESCRIBE_TIMEOUT_MS,
    },
    peer::{CacheEntryV1, CacheHeldV1, CacheLookV1, CacheTopV1, MessageV1, NodeReportV1},
    status::{CacheFound, CacheLook, CacheTop},
};
use tokio::time::{Instant, sleep};

use super::merge::{self, told};
use crate::limits::Desk;

/// When a node that is out of reach certainly serves nothing any more that was flushed before the wait began.
const EXPIRED: Duration = Duration::from_millis(CACHE_CURRENT_MS + CACHE_CURRENT_MARGIN_MS);
const PATIENCE: Duration = Duration::from_millis(CACHE_SETTLE_TIMEOUT_MS);
/// Each node is asked for so many times the answers that are wanted: what is spread over many nodes is far up on none.
const SPREAD: usize = 4;

/// Answers the questions of other nodes about what is cached here; `None` for what is none.
pub(crate) type Held = Arc<dyn Fn(MessageV1) -> BoxFuture<'static, Option<MessageV1>> + Send + Sync>;

/// What this node says when it is asked.
pub(crate) fn held(edge: tidegate_edge::Handle, desk: Arc<Desk>) -> Held {
    Arc::new(move |question| {
        let (edge, now_ns) = (edge.clone(), desk.limiter().now_ns());
        // Every stored answer is looked at: kept off the threads that serve sockets.
        let look = move || match question {
            MessageV1::CacheTop(question) => Some(MessageV1::CacheHeld(edge.cache_top(&question, now_ns))),
            MessageV1::CacheLook(question) => Some(MessageV1::CacheFound(edge.cache_look(&question, now_ns))),
            MessageV1::Describe
            | MessageV1::Description(_)
            | MessageV1::CacheHeld(_)
            | MessageV1::CacheFound(_)
            | MessageV1::StageCounts(_)
            | MessageV1::StageCounted(_) => None,
        };
        tokio::task::spawn_blocking(look).map(|answer| answer.ok().flatten()).boxed()
    })
}

/// The cached answers of this region, as `control` sees them.
pub(crate) struct RegionCaches {
    handle: Handle,
}

impl RegionCaches {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    async fn settle(&self, revision: u64) -> Result<(), StillServed> {
        let began = Instant::now();
        let asked = self.members().into_iter().map(|node| async move {
            let is_settled = self.is_settled(node, revision, began).await;
            (!is_settled).then_some(node)
        });
        let nodes: Vec<NodeId> = join_all(asked).await.into_iter().flatten().collect();
        if nodes.is_empty() { Ok(()) } else { Err(StillServed { nodes }) }
    }

    /// Waits until a node serves a revision, or certainly nothing older from its cache.
    async fn is_settled(&self, node: NodeId, revision: u64, began: Instant) -> bool {
        let [mut pause_ms, pause_ms_max] = CACHE_SETTLE_POLL_MS;
        loop {
            match self.describe(node).await {
                // A node that has nothing to serve yet, as one that has just joined, begins with what is newest.
                Some(report) if report.serving_revision == 0 || report.serving_revision >= revision => {
                    return true;
                }
                None if began.elapsed() > EXPIRED => return true,
                Some(_) | None if began.elapsed() > PATIENCE => return false,
                Some(_) | None => {}
            }
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(pause_ms_max);
        }
    }

    async fn gather(&self, question: CacheQuestion) -> CacheTop {
        let CacheQuestion { count, api, stage } = question;
        let asked = (count * SPREAD).min(CACHE_TOP_COUNT_MAX);
        let message = MessageV1::CacheTop(CacheTopV1 {
            count: u32::try_from(asked).unwrap_or(u32::MAX),
            api: api.unwrap_or_default(),
            stage: stage.unwrap_or_default(),
        });
        let (answers, silent) = self.ask_all(&message).await;
        let held = answers.into_iter().filter_map(|(_, answer)| match answer {
            MessageV1::CacheHeld(held) => Some(held),
            _ => None,
        });
        let (stages, mut entries) = merge::merge(held.collect::<Vec<CacheHeldV1>>());
        entries.truncate(count);
        CacheTop { stages, entries, silent }
    }

    async fn find(&self, request: CacheRequest) -> CacheLook {
        let CacheRequest { api, stage, path, query } = request;
        let message = MessageV1::CacheLook(CacheLookV1 { api, stage, path, query });
        let (answers, silent) = self.ask_all(&message).await;
        let found = |(node, answer): (NodeId, MessageV1)| {
            let entries = match answer {
                MessageV1::CacheFound(entries) => entries,
                _ => Vec::new(),
            };
            entries.into_iter().map(move |entry: CacheEntryV1| CacheFound { node, entry: told(entry) })
        };
        CacheLook { found: answers.into_iter().flat_map(found).collect(), silent }
    }

    /// Nodes of this region.
    fn members(&self) -> Vec<NodeId> {
        let region = &self.handle.meta().region;
        let Ok(status) = self.handle.status(group::CONFIG) else { return Vec::new() };
        let all = status.voters.into_iter().chain(status.learners);
        let mut nodes: Vec<NodeId> =
            all.filter(|(_, meta)| meta.region == *region).map(|(node, _)| node).collect();
        nodes.sort_unstable();
        nodes
    }

    async fn describe(&self, node: NodeId) -> Option<NodeReportV1> {
        match self.ask(node, &MessageV1::Describe, DESCRIBE_TIMEOUT_MS).await? {
            MessageV1::Description(report) => Some(report),
            _ => None,
        }
    }

    /// Answers by node, and the nodes that did not answer.
    async fn ask_all(&self, question: &MessageV1) -> (Vec<(NodeId, MessageV1)>, Vec<NodeId>) {
        let members = self.members();
        let asked = members.iter().map(|node| self.ask(*node, question, CACHE_TOP_TIMEOUT_MS));
        let (mut answers, mut silent) = (Vec::new(), Vec::new());
        for (node, answer) in members.iter().zip(join_all(asked).await) {
            match answer {
                Some(answer) => answers.push((*node, answer)),
                None => silent.push(*node),
            }
        }
        (answers, silent)
    }

    async fn ask(&self, node: NodeId, question: &MessageV1, patience_ms: u64) -> Option<MessageV1> {
        let bytes = question.encode().ok()?.into();
        let answer = self.handle.call(node, bytes, Duration::from_millis(patience_ms)).await;
        let answer = answer.inspect_err(|error| tracing::debug!(node, %error, "no word of its cache"));
        MessageV1::decode(&answer.ok()?).ok()
    }
}

impl Caches for RegionCaches {
    fn settled(&self, revision: u64) -> BoxFuture<'_, Result<(), StillServed>> {
        self.settle(revision).boxed()
    }

    fn top(&self, question: CacheQuestion) -> BoxFuture<'_, CacheTop> {
        self.gather(question).boxed()
    }

    fn look(&self, request: CacheRequest) -> BoxFuture<'_, CacheLook> {
        self.find(request).boxed()
    }
}
