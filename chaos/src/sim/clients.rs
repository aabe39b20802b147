//! Clients of the configuration: open-loop writers of registers and of a stage, with and without preconditions, and linearizable readers,
//! each through any node. Every answer is a promise that the oracle remembers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tidegate_cluster_sim::{
    Error, Handle, NodeId, group,
    sim::{self, Task},
};
use tidegate_proto::{
    key,
    transaction::{OutcomeV1, TransactionV1},
};

use super::{
    config,
    defect::Defect,
    invariants::{Invariant, Written},
    world::World,
};
use crate::flood::Chance;

/// Clients that write registers, and that read them.
const WRITERS: u64 = 3;
const READERS: u64 = 2;
/// Mean pauses between what a client does, in milliseconds.
const WRITE_MS: f64 = 300.0;
const READ_MS: f64 = 250.0;
const STAGE_MS: f64 = 700.0;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// One client.
#[derive(Clone)]
struct Client {
    world: World,
    chance: Chance,
    ids: Vec<NodeId>,
    values: Arc<AtomicU64>,
}

/// Starts all clients; they end when the tasks are dropped.
pub(crate) fn start(world: &World) -> Vec<Task> {
    let values = Arc::new(AtomicU64::new(0));
    let client = |purpose: String| Client {
        world: world.clone(),
        chance: Chance::new(world.seed, &purpose),
        ids: world.land.ids(),
        values: values.clone(),
    };
    let mut tasks: Vec<Task> =
        (0..WRITERS).map(|number| sim::spawn_scoped(client(format!("writer {number}")).write())).collect();
    tasks.extend((0..READERS).map(|number| sim::spawn_scoped(client(format!("reader {number}")).read())));
    tasks.push(sim::spawn_scoped(client("stage".into()).change_stage()));
    tasks
}

impl Client {
    async fn pause(&mut self, mean_ms: f64) {
        sim::sleep(Duration::from_micros((self.chance.exponential(mean_ms) * 1e3) as u64)).await;
    }

    fn any(&mut self) -> NodeId {
        self.ids[self.chance.below(self.ids.len())]
    }

    /// Each write is begun when its time has come, whatever became of those before.
    async fn write(mut self) {
        loop {
            self.pause(WRITE_MS).await;
            let (node, number) = (self.any(), self.chance.below(config::REGISTERS));
            let Some(life) = self.world.life(node) else { continue };
            // What this node has applied may be old: then the precondition fails, and must.
            let revision = life.replica.load().state.revision_of(&config::register(number));
            let revision = self.chance.happens(0.5).then_some(revision);
            let value = self.values.fetch_add(1, Relaxed) + 1;
            let (world, transaction) = (self.world.clone(), config::set(number, value, revision));
            sim::spawn(async move {
                let key = config::register(number);
                {
                    let mut oracle = world.watch.lock();
                    let from_us = oracle.now_us();
                    oracle.linearizable.begins(&key, value, from_us);
                }
                // A node that does not run is asked nothing.
                let written = commit(&world, node, &transaction).await.unwrap_or(Written::No);
                let mut oracle = world.watch.lock();
                let to_us = oracle.now_us();
                oracle.linearizable.wrote(&key, value, to_us, written);
            });
        }
    }

    async fn read(mut self) {
        loop {
            self.pause(READ_MS).await;
            let (node, number) = (self.any(), self.chance.below(config::REGISTERS));
            let Some((handle, life)) = self.world.handle(node).zip(self.world.life(node)) else { continue };
            let from_us = self.world.watch.lock().now_us();
            if self.world.defect != Some(Defect::StaleRead) {
                let clock = self.world.cluster.clock(node);
                if clock.run(handle.barrier(group::CONFIG, PATIENCE)).await.is_err() {
                    continue;
                }
            }
            let applied = life.replica.load();
            let name = config::register(number);
            let value = applied.state.get(&name).and_then(|record| config::value(&record.bytes));
            let mut oracle = self.world.watch.lock();
            let span = (from_us, oracle.now_us());
            oracle.linearizable.read(&name, value, span);
        }
    }

    /// Moves a stage to another deployment, if nobody else has changed it.
    async fn change_stage(mut self) {
        let name = key::stage(config::OPEN.0, config::OPEN.1);
        loop {
            self.pause(STAGE_MS).await;
            let (node, number) = (self.any(), self.chance.below(config::DEPLOYMENTS));
            let Some(life) = self.world.life(node) else { continue };
            let stage = config::open_stage(self.world.seed, &config::deployment(number));
            let mut transaction = TransactionV1::default();
            let revision = life.replica.load().state.revision_of(&name);
            transaction.compare(name.as_str(), revision).put(name.as_str(), &stage);
            let _told = commit(&self.world, node, &transaction).await;
        }
    }
}

/// Commits through a node and tells the oracle what was promised; `None` when the node does not run.
pub(crate) async fn commit(world: &World, node: NodeId, transaction: &TransactionV1) -> Option<Written> {
    let handle = world.handle(node)?;
    let bytes = Bytes::from(transaction.encode().ok()?);
    let clock = world.cluster.clock(node);
    let answer = clock.run(handle.propose(group::CONFIG, bytes.clone(), PATIENCE)).await;
    let mut oracle = world.watch.lock();
    match answer {
        Ok(applied) => {
            let complaint = oracle.acknowledged.promised(group::CONFIG, applied.index, &bytes);
            oracle.note(Invariant::Acknowledged, complaint);
            let outcome = OutcomeV1::decode(&applied.outcome);
            let is_in = matches!(outcome, Ok(OutcomeV1::Committed { .. }));
            oracle.counts.writes += u64::from(is_in);
            oracle.counts.conflicts += u64::from(!is_in);
            Some(if is_in { Written::Yes } else { Written::No })
        }
        Err(error) => {
            oracle.counts.failed += 1;
            // A node without power tells nobody anything.
            let is_gone = world.handle(node).is_none_or(|now| !now.is(&handle));
            Some(if is_gone { Written::Perhaps } else { denied(&error) })
        }
    }
}

fn denied(error: &Error) -> Written {
    match error {
        Error::Uncertain { .. } | Error::Storage(_) | Error::Stopped => Written::Perhaps,
        _ => Written::No,
    }
}

/// Whether a node knows a majority behind it just now.
pub(crate) fn has_quorum(handle: &Handle) -> bool {
    handle.leader(group::CONFIG).is_ok_and(|leader| leader.is_some())
}
