//! Applying a transaction: total and deterministic, all or nothing.

use std::sync::Arc;

use tidegate_proto::{
    limits::{KEY_BYTES_MAX, STATE_BYTES_MAX, TRANSACTION_OPERATIONS_MAX},
    transaction::{OutcomeV1, TransactionV1},
};

use crate::{Record, State};

impl State {
    /// Applies the framed bytes of a log entry. Bytes that are not a transaction change nothing and say why.
    pub fn apply_bytes(&mut self, bytes: &[u8]) -> OutcomeV1 {
        match TransactionV1::decode(bytes) {
            Ok(transaction) => self.apply(transaction),
            Err(error) => OutcomeV1::Refused { reason: error.to_string() },
        }
    }

    /// Applies a transaction. Either every compare holds and every change is made, or nothing is.
    pub fn apply(&mut self, transaction: TransactionV1) -> OutcomeV1 {
        if let Err(reason) = check_bounds(&transaction) {
            return OutcomeV1::Refused { reason };
        }
        for compare in &transaction.compares {
            let found = self.revision_of(&compare.key);
            if found != compare.revision {
                return OutcomeV1::Conflict { key: compare.key.clone(), found };
            }
        }
        let added: usize = transaction.puts.iter().map(|put| put.key.len() + put.bytes.len()).sum();
        if added > 0 && self.bytes + added > STATE_BYTES_MAX {
            let reason = format!(
                "the configuration would have {} bytes, the limit is {STATE_BYTES_MAX}",
                self.bytes + added
            );
            return OutcomeV1::Refused { reason };
        }
        let revision = self.revision + 1;
        for prefix in &transaction.delete_prefixes {
            let keys: Vec<String> = self.prefix(prefix).map(|(key, _)| key.to_owned()).collect();
            for key in &keys {
                self.delete(key);
            }
        }
        for key in &transaction.deletes {
            self.delete(key);
        }
        for put in transaction.puts {
            self.put(Arc::from(put.key), Record { revision, bytes: Arc::from(put.bytes) });
        }
        self.revision = revision;
        OutcomeV1::Committed { revision }
    }
}

fn check_bounds(transaction: &TransactionV1) -> Result<(), String> {
    let operations = transaction.compares.len()
        + transaction.puts.len()
        + transaction.deletes.len()
        + transaction.delete_prefixes.len();
    if operations > TRANSACTION_OPERATIONS_MAX {
        return Err(format!(
            "transaction has {operations} operations, the limit is {TRANSACTION_OPERATIONS_MAX}"
        ));
    }
    if transaction.delete_prefixes.iter().any(String::is_empty) {
        return Err("an empty delete prefix would remove every record".into());
    }
    match transaction.puts.iter().find(|put| put.key.is_empty() || put.key.len() > KEY_BYTES_MAX) {
        Some(put) => Err(format!("record key of {} bytes, allowed are 1 to {KEY_BYTES_MAX}", put.key.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
