//! The state machine of a ledger shard, as the log drives it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tidegate_cluster::{Encode, Machine, MachineError};
use tidegate_edge::boot_ns;
use tidegate_proto::ledger::{ChangeV1, CommandV1};
use tidegate_throttle::Ledger;

use super::{figures::Applied, lock};

/// Applies commands to a ledger that others read.
pub(super) struct LedgerMachine {
    ledger: Arc<Mutex<Ledger>>,
    applied: Arc<Applied>,
}

impl LedgerMachine {
    pub(super) fn new(ledger: Arc<Mutex<Ledger>>, applied: Arc<Applied>) -> Self {
        Self { ledger, applied }
    }
}

impl Machine for LedgerMachine {
    fn apply(&mut self, index: u64, command: &[u8]) -> Bytes {
        match CommandV1::decode(command) {
            Ok(command) => {
                let skipped = lock(&self.ledger).apply(&command);
                self.applied.count(command.changes.len(), skipped);
                if command.changes.iter().any(|change| matches!(change, ChangeV1::Level { .. })) {
                    self.applied.note_levels(boot_ns());
                }
                if skipped > 0 {
                    tracing::debug!(index, skipped, "changes of the ledger that break a rule were skipped");
                }
            }
            // The same bytes are refused by every node of this version, so all copies stay equal.
            Err(error) => {
                tracing::error!(index, %error, "an entry of the ledger cannot be read and changes nothing")
            }
        }
        Bytes::new()
    }

    fn checkpoint(&self) -> Encode {
        let ledger = lock(&self.ledger).clone();
        Box::new(move || match ledger.encode() {
            Ok(bytes) => bytes,
            // The bounds on limits keep the ledger below the frame limit. A checkpoint that cannot be read back would forget
            // what was granted, so stopping is the only honest answer.
            Err(error) => panic!("the ledger does not encode: {error}"),
        })
    }

    fn restore(&mut self, _index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        *lock(&self.ledger) = Ledger::decode(bytes).map_err(|error| MachineError(error.to_string()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_rebuilds_the_ledger_and_junk_changes_nothing() {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut machine = LedgerMachine::new(ledger.clone(), Arc::default());
        let open = ChangeV1::Open { holder: 3, incarnation: 1, replaces: 0, unit: 5 };
        machine.apply(1, &CommandV1 { changes: vec![open] }.encode().unwrap());
        machine.apply(2, b"junk");
        assert_eq!(lock(&ledger).sessions().count(), 1);
        let bytes = machine.checkpoint()();
        let other = Arc::new(Mutex::new(Ledger::default()));
        LedgerMachine::new(other.clone(), Arc::default()).restore(2, &bytes).unwrap();
        assert_eq!(*lock(&other), *lock(&ledger));
        assert!(LedgerMachine::new(other, Arc::default()).restore(2, b"junk").is_err());
    }
}
