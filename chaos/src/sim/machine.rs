//! The machines of a run: the node's own for the configuration, and a ledger's, with an oracle that sees everything they do.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use tidegate_cluster_sim::{Encode, GroupId, Machine, MachineError, NodeId, group};
use tidegate_proto::{
    document::Stage,
    key,
    ledger::{ChangeV1, CommandV1},
    transaction::TransactionV1,
};
use tidegate_state::State;
use tidegate_throttle::Ledger;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    clock::Clock,
    config,
    defect::Defect,
    invariants::Invariant,
    oracle::{Oracle, Watch},
    replica::{ConfigMachine, Replica},
};

/// A node's configuration.
pub(crate) struct Watched {
    pub(crate) node: NodeId,
    pub(crate) machine: ConfigMachine,
    pub(crate) replica: Replica,
    pub(crate) watch: Watch,
    pub(crate) defect: Option<Defect>,
}

impl Machine for Watched {
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes {
        let altered = self.altered(index, command);
        let outcome = self.machine.apply(index, altered.as_deref().unwrap_or(command));
        let applied = self.replica.load();
        let mut oracle = self.watch.lock();
        let complaint = oracle.acknowledged.applied(group::CONFIG, self.node, index, command);
        oracle.note(Invariant::Acknowledged, complaint);
        agree(&mut oracle, &applied.state);
        let complaint = oracle.states.see(group::CONFIG, self.node, index, applied.state.hash());
        oracle.note(Invariant::StateHash, complaint);
        outcome
    }

    fn checkpoint(&self) -> Encode {
        self.machine.checkpoint()
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let altered = self.lossy(bytes);
        self.machine.restore(index, altered.as_deref().unwrap_or(bytes))?;
        let state = self.replica.load().state.hash();
        self.watch.lock().restored(group::CONFIG, self.node, index, state);
        Ok(())
    }
}

impl Watched {
    /// The defect of a meaning that depends on the node.
    fn altered(&self, index: u64, command: &[u8]) -> Option<Vec<u8>> {
        if self.defect != Some(Defect::NodeInApply) || self.node != 2 || !index.is_multiple_of(16) {
            return None;
        }
        let mut transaction = TransactionV1::decode(command).ok()?;
        transaction.puts.pop()?;
        transaction.encode().ok()
    }

    /// The defect of a restore that loses something.
    fn lossy(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut state = State::decode(bytes).ok().filter(|_| self.defect == Some(Defect::LossyRestore))?;
        let mut loss = TransactionV1::default();
        loss.delete(config::register(0));
        state.apply(loss);
        state.encode().ok()
    }
}

/// Notes what the watched stage serves from now on.
fn agree(oracle: &mut Oracle, state: &State) {
    let name = key::stage(config::OPEN.0, config::OPEN.1);
    if state.get(&name).is_some_and(|record| record.revision == state.revision())
        && let Ok(Some(stage)) = state.read::<Stage>(&name)
    {
        oracle.served.agreed(state.revision(), &stage.document.deployment_id);
    }
}

/// A node's copy of a shard of its region's ledger, of the region's part of what spans regions, or of the ledger of all.
pub(crate) struct LedgerMachine {
    pub(crate) node: NodeId,
    pub(crate) group: GroupId,
    /// Where quotas are counted by its day.
    pub(crate) days_of: Option<&'static str>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) levels_ns: Arc<AtomicU64>,
    pub(crate) watch: Watch,
}

impl LedgerMachine {
    fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Machine for LedgerMachine {
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes {
        let decoded = CommandV1::decode(command);
        let (day, check, hash) = self.with(|ledger| {
            if let Ok(decoded) = &decoded {
                ledger.apply(decoded);
            }
            (ledger.day(), ledger.check(), hash_of(ledger))
        });
        let has_level = |command: &CommandV1| {
            command.changes.iter().any(|change| matches!(change, ChangeV1::Level { .. }))
        };
        if decoded.as_ref().is_ok_and(has_level) {
            self.levels_ns.store(self.clock.now().boot_ns, Relaxed);
        }
        let mut oracle = self.watch.lock();
        let complaint = oracle.acknowledged.applied(self.group, self.node, index, command);
        oracle.note(Invariant::Acknowledged, complaint);
        if let Some(place) = self.days_of {
            oracle.throttle.day(place, day);
        }
        oracle.note(Invariant::ThrottleBounds, check.err());
        let complaint = oracle.states.see(self.group, self.node, index, hash);
        oracle.note(Invariant::StateHash, complaint);
        Bytes::new()
    }

    fn checkpoint(&self) -> Encode {
        let encoded = self.with(|ledger| ledger.encode());
        Box::new(move || encoded.unwrap_or_default())
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let restored = Ledger::decode(bytes).map_err(|error| MachineError(error.to_string()))?;
        let hash = self.with(|ledger| {
            *ledger = restored;
            hash_of(ledger)
        });
        self.watch.lock().restored(self.group, self.node, index, hash);
        Ok(())
    }
}

fn hash_of(ledger: &Ledger) -> u128 {
    ledger.encode().map_or(0, |bytes| xxh3_128(&bytes))
}

impl Oracle {
    fn restored(&mut self, group: GroupId, node: NodeId, index: u64, hash: u128) {
        self.acknowledged.restored(group, node, index);
        let complaint = self.restore.see(&self.states, (group, node), index, hash);
        self.note(Invariant::Restore, complaint);
    }
}
