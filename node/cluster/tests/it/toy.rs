//! A machine that remembers every command it applied and a hash over their order, and an inbox that echoes.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate_cluster::{Encode, Inbox, Machine, MachineError, NodeId};

/// A machine whose first command this is takes its time to encode a checkpoint.
pub(crate) const SLOW_CHECKPOINTS: &str = "checkpoints take long";
/// How long.
pub(crate) const SLOW_CHECKPOINT: Duration = Duration::from_secs(1);

/// What a toy machine holds; shared with the test.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) commands: Vec<Bytes>,
    pub(crate) hash: u64,
}

/// An appender.
#[derive(Clone, Default)]
pub(crate) struct Toy(pub(crate) Arc<Mutex<Ledger>>);

impl Toy {
    pub(crate) fn ledger(&self) -> Ledger {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn contains(&self, command: &[u8]) -> bool {
        self.0.lock().unwrap().commands.iter().any(|c| c == command)
    }
}

impl Ledger {
    fn push(&mut self, command: Bytes) {
        for byte in command.iter() {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = self.hash.rotate_left(7) ^ command.len() as u64;
        self.commands.push(command);
    }
}

impl Machine for Toy {
    fn apply(&mut self, _index: u64, command: &[u8]) -> Bytes {
        let mut ledger = self.0.lock().unwrap();
        ledger.push(Bytes::copy_from_slice(command));
        Bytes::from(ledger.commands.len().to_string())
    }

    fn checkpoint(&self) -> Encode {
        let ledger = self.ledger();
        Box::new(move || {
            if ledger.commands.first().is_some_and(|command| command == SLOW_CHECKPOINTS) {
                std::thread::sleep(SLOW_CHECKPOINT);
            }
            let mut bytes = Vec::new();
            for command in &ledger.commands {
                bytes.extend((command.len() as u32).to_le_bytes());
                bytes.extend_from_slice(command);
            }
            bytes
        })
    }

    fn restore(&mut self, _index: u64, mut bytes: &[u8]) -> Result<(), MachineError> {
        let mut fresh = Ledger::default();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((command, rest)) = rest.split_at_checked(length) else {
                return Err(MachineError("cut".into()));
            };
            fresh.push(Bytes::copy_from_slice(command));
            bytes = rest;
        }
        *self.0.lock().unwrap() = fresh;
        Ok(())
    }
}

/// Answers `echo <from> <message>`; the message `fail` is an error.
pub(crate) struct Echo;

impl Inbox for Echo {
    fn call(&self, from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        Box::pin(async move {
            if message == "fail" {
                return Err("as you wish".to_owned());
            }
            Ok(Bytes::from(format!("echo {from} {}", String::from_utf8_lossy(&message))))
        })
    }
}
