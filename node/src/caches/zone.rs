//! The way of cached answers to the other nodes: messages over the cluster's transport, and who of this node's zone is there. Owns the
//! bounds on what is under way; what is asked and answered is decided in the data plane.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture, future::join_all};
use tidegate_cluster::{Handle, NodeId, group};
use tidegate_edge::{Neighbours, Reply};
use tidegate_proto::{
    cache::MessageV1,
    limits::{
        CACHE_ZONE_ASKS_MAX, CACHE_ZONE_AVOID_MS, CACHE_ZONE_FORGET_KEYS_MAX, CACHE_ZONE_FORGETS_MAX,
        CACHE_ZONE_HELLO_MS, CACHE_ZONE_HELLO_TIMEOUT_MS, CACHE_ZONE_HOLD_MS, CACHE_ZONE_PUT_MS,
        CACHE_ZONE_PUTS_MAX,
    },
};
use tokio::sync::{Semaphore, mpsc};

/// A node that missed this many times in a row to say that it is there is gone: one pause of a busy machine is none.
const MISSES_MAX: u32 = 2;

/// Takes a message of another node about cached answers in.
pub(crate) type Take =
    Arc<dyn Fn(NodeId, MessageV1) -> BoxFuture<'static, Result<MessageV1, String>> + Send + Sync>;

/// A key that is not valid any more, and a node that need not be told.
type Forgotten = (Vec<u8>, Option<NodeId>);

/// Messages of others go to `edge`.
pub(crate) fn taking(edge: tidegate_edge::Handle) -> Take {
    Arc::new(move |from, message| {
        let reply = edge.take_cache_message(from, message);
        async move { reply.await.map_err(str::to_owned) }.boxed()
    })
}

/// Joins this node's zone; what that takes goes on in tasks of this runtime.
pub(crate) fn join(handle: &Handle, edge: &tidegate_edge::Handle) {
    let (forgets, told) = mpsc::channel(CACHE_ZONE_FORGETS_MAX);
    edge.join_zone(Arc::new(Post {
        handle: handle.clone(),
        runtime: tokio::runtime::Handle::current(),
        puts: Arc::new(Semaphore::new(CACHE_ZONE_PUTS_MAX)),
        drops: Arc::new(Semaphore::new(CACHE_ZONE_ASKS_MAX)),
        forgets,
    }));
    tokio::spawn(tell_forgotten(handle.clone(), told));
    tokio::spawn(follow(handle.clone(), edge.clone()));
}

/// Carries messages.
struct Post {
    handle: Handle,
    /// Shards ask from runtimes of their own, and connections to other nodes are of this one.
    runtime: tokio::runtime::Handle,
    puts: Arc<Semaphore>,
    drops: Arc<Semaphore>,
    forgets: mpsc::Sender<Forgotten>,
}

impl Neighbours for Post {
    fn ask(&self, node: NodeId, message: MessageV1, patience: Duration) -> Reply {
        let handle = self.handle.clone();
        let task = self.runtime.spawn(async move { call(&handle, node, &message, patience).await });
        Box::pin(async move { task.await.ok()? })
    }

    fn tell(&self, node: NodeId, message: MessageV1) -> bool {
        let places = if matches!(message, MessageV1::Put { .. }) { &self.puts } else { &self.drops };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { return false };
        let handle = self.handle.clone();
        self.runtime.spawn(async move {
            call(&handle, node, &message, Duration::from_millis(CACHE_ZONE_PUT_MS)).await;
            drop(place);
        });
        true
    }

    fn forget(&self, key: Vec<u8>, except: Option<NodeId>) -> bool {
        self.forgets.try_send((key, except)).is_ok()
    }
}

/// One message and its reply.
async fn call(handle: &Handle, node: NodeId, message: &MessageV1, patience: Duration) -> Option<MessageV1> {
    let bytes = message.encode().ok()?;
    match handle.call(node, bytes.into(), patience).await {
        Ok(reply) => MessageV1::decode(&reply).ok(),
        Err(error) => {
            tracing::debug!(node, %error, "a message about cached answers was not answered");
            None
        }
    }
}

/// Keeps the data plane told of which nodes of the zone are there, until the task is dropped. Connections stay warm that way, so that a
/// question never waits for one.
async fn follow(handle: Handle, edge: tidegate_edge::Handle) {
    let own = handle.node();
    let mut misses: BTreeMap<NodeId, u32> = BTreeMap::new();
    loop {
        tokio::time::sleep(Duration::from_millis(CACHE_ZONE_HELLO_MS)).await;
        if !edge.is_caching() {
            edge.set_zone(own, &[own]);
            continue;
        }
        let asked = members(&handle, Scope::Zone).into_iter().map(|node| {
            let handle = &handle;
            async move {
                let patience = Duration::from_millis(CACHE_ZONE_HELLO_TIMEOUT_MS);
                (node, call(handle, node, &MessageV1::Hello, patience).await.is_some())
            }
        });
        let seen = join_all(asked).await;
        // A node that was never seen is not there before it says so.
        let missed = |node| misses.get(&node).map_or(MISSES_MAX, |count| count.saturating_add(1));
        misses = seen
            .into_iter()
            .map(|(node, is_there)| (node, if is_there { 0 } else { missed(node) }))
            .collect();
        let there = misses.iter().filter(|(_, count)| **count < MISSES_MAX).map(|(node, _)| *node);
        edge.set_zone(own, &there.collect::<Vec<_>>());
    }
}

/// Tells the region which keys are not valid any more, many at a time, until the task is dropped. A node that does not answer is passed over
/// for a while: it is most likely gone, and others must not wait for it.
async fn tell_forgotten(handle: Handle, mut told: mpsc::Receiver<Forgotten>) {
    let patience = Duration::from_millis(CACHE_ZONE_HOLD_MS);
    let mut silent: BTreeMap<NodeId, Instant> = BTreeMap::new();
    let mut batch: Vec<Forgotten> = Vec::new();
    while told.recv_many(&mut batch, CACHE_ZONE_FORGET_KEYS_MAX).await > 0 {
        silent.retain(|_, since| since.elapsed() < Duration::from_millis(CACHE_ZONE_AVOID_MS));
        let nodes = members(&handle, Scope::Region).into_iter().filter(|node| !silent.contains_key(node));
        let calls = nodes.filter_map(|node| {
            let keys = batch.iter().filter(|(_, except)| *except != Some(node)).map(|(key, _)| key.clone());
            let keys: Vec<Vec<u8>> = keys.collect();
            let message = (!keys.is_empty()).then_some(MessageV1::Forget { keys })?;
            let handle = &handle;
            Some(async move { call(handle, node, &message, patience).await.is_none().then_some(node) })
        });
        let failed: Vec<Option<NodeId>> = join_all(calls).await;
        silent.extend(failed.into_iter().flatten().map(|node| (node, Instant::now())));
        batch.clear();
    }
}

/// Whose members are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Zone,
    Region,
}

/// The other nodes of this one's zone or region, as the configuration's membership has them.
fn members(handle: &Handle, scope: Scope) -> Vec<NodeId> {
    let own = handle.meta();
    let Ok(status) = handle.status(group::CONFIG) else { return Vec::new() };
    let all = status.voters.into_iter().chain(status.learners);
    let is_near = |(node, meta): &(NodeId, tidegate_cluster::NodeMeta)| {
        *node != handle.node() && meta.region == own.region && (scope == Scope::Region || meta.az == own.az)
    };
    all.filter(is_near).map(|(node, _)| node).collect()
}
