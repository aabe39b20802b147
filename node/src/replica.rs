//! This node's copy of the replicated configuration: the state machine that the log drives, and the view that readers take.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tidegate_cluster::{Encode, Machine, MachineError};
use tidegate_proto::key;
use tidegate_state::State;
use tokio::sync::watch;

/// A whole state and the log position that made it.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Applied log index.
    pub(crate) index: u64,
    /// The state; cloning costs O(1).
    pub(crate) state: State,
}

/// What readers hold: always the newest applied state, without a lock.
#[derive(Clone)]
pub(crate) struct Replica {
    current: Arc<ArcSwap<Applied>>,
    changed: watch::Sender<u64>,
}

/// What the log drives.
pub(crate) struct ConfigMachine {
    state: State,
    replica: Replica,
}

impl Replica {
    /// An empty replica and the machine that fills it.
    pub(crate) fn new() -> (Self, ConfigMachine) {
        let replica = Self { current: Arc::default(), changed: watch::Sender::new(0) };
        (replica.clone(), ConfigMachine { state: State::default(), replica })
    }

    /// The newest applied state.
    pub(crate) fn load(&self) -> Arc<Applied> {
        self.current.load_full()
    }

    /// Wakes on every applied entry.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Resolves once the cluster has been founded, as far as this node has applied its log.
    pub(crate) async fn founded(&self) {
        let mut changes = self.changes();
        while self.load().state.get(key::AUTHORITY).is_none() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn replace(&self, index: u64, state: State) {
        self.current.store(Arc::new(Applied { index, state }));
        self.changed.send_replace(index);
    }
}

impl Machine for ConfigMachine {
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes {
        let outcome = self.state.apply_bytes(command);
        self.replica.replace(index, self.state.clone());
        // An outcome is a few dozen bytes, far below every frame limit.
        outcome.encode().unwrap_or_default().into()
    }

    fn checkpoint(&self) -> Encode {
        let state = self.state.clone();
        Box::new(move || match state.encode() {
            Ok(bytes) => bytes,
            // STATE_BYTES_MAX keeps the state below the frame limit. A checkpoint that cannot be read back would lose
            // acknowledged writes, so stopping is the only honest answer.
            Err(error) => panic!("the state does not encode: {error}"),
        })
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        self.state = State::decode(bytes).map_err(|error| MachineError(error.to_string()))?;
        self.replica.replace(index, self.state.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::transaction::{OutcomeV1, PutV1, TransactionV1};

    fn put(key: &str) -> Vec<u8> {
        let put = PutV1 { key: key.into(), bytes: b"{}".to_vec() };
        TransactionV1 { puts: vec![put], ..Default::default() }.encode().unwrap()
    }

    #[test]
    fn readers_see_what_was_applied_and_a_checkpoint_rebuilds_it() {
        let (replica, mut machine) = Replica::new();
        let outcome = machine.apply(5, &put("a"));
        assert_eq!(OutcomeV1::decode(&outcome).unwrap(), OutcomeV1::Committed { revision: 1 });
        assert_eq!((replica.load().index, replica.load().state.revision()), (5, 1));
        let checkpoint = machine.checkpoint();
        machine.apply(6, &put("b"));
        let (other, mut restored) = Replica::new();
        restored.restore(5, &checkpoint()).unwrap();
        assert_eq!((other.load().index, other.load().state.len()), (5, 1));
        assert!(restored.restore(5, b"junk").is_err());
        let outcome = restored.apply(6, b"junk");
        assert!(matches!(OutcomeV1::decode(&outcome).unwrap(), OutcomeV1::Refused { .. }));
    }
}
