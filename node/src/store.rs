//! The control plane's store: transactions go through the log, reads come from this node's replica.

use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use tidegate_cluster::{Error, Handle, group};
use tidegate_control::{Freshness, Store, StoreError};
use tidegate_proto::{
    limits::{PROPOSE_TIMEOUT_MS, PROPOSE_TIMEOUT_MS_PER_MIB, READ_TIMEOUT_MS, TRANSACTION_BYTES_MAX},
    transaction::{OutcomeV1, TransactionV1},
};
use tidegate_state::State;

use crate::replica::Replica;

/// What a caller has waited before a change is proposed, for a view to decide it on: a round trip between regions, and one more of the
/// leader's. It counts towards the time within which a caller is told something.
const DECISION_MS: u64 = 200;

/// The configuration group, as `control` sees it.
#[derive(Clone)]
pub(crate) struct ConfigStore {
    handle: Handle,
    replica: Replica,
}

impl ConfigStore {
    /// Over a running cluster service.
    pub(crate) fn new(handle: Handle, replica: Replica) -> Self {
        Self { handle, replica }
    }

    async fn propose(&self, transaction: TransactionV1) -> Result<OutcomeV1, StoreError> {
        let refused = |reason: String| StoreError::Refused(reason);
        let bytes = transaction.encode().map_err(|e| refused(e.to_string()))?;
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(refused(format!(
                "the change has {} bytes, the limit is {TRANSACTION_BYTES_MAX}",
                bytes.len()
            )));
        }
        let size_ms = PROPOSE_TIMEOUT_MS_PER_MIB * (bytes.len() as u64 >> 20);
        let deadline_ms = PROPOSE_TIMEOUT_MS - DECISION_MS + size_ms;
        let deadline = Duration::from_millis(deadline_ms);
        let applied =
            self.handle.propose(group::CONFIG, bytes.into(), deadline).await.map_err(store_error)?;
        match OutcomeV1::decode(&applied.outcome).map_err(|e| refused(e.to_string()))? {
            OutcomeV1::Refused { reason } => Err(StoreError::Refused(reason)),
            outcome => Ok(outcome),
        }
    }
}

impl Store for ConfigStore {
    fn view(&self) -> State {
        self.replica.load().state.clone()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let deadline = Duration::from_millis(READ_TIMEOUT_MS);
        async move { self.handle.barrier(group::CONFIG, deadline).await.map(|_| ()).map_err(store_error) }
            .boxed()
    }

    fn approach(&self) -> BoxFuture<'_, Result<Freshness, StoreError>> {
        let deadline = Duration::from_millis(READ_TIMEOUT_MS);
        let found = async move { self.handle.recent(group::CONFIG, deadline).await };
        found
            .map_ok(|freshness| match freshness {
                tidegate_cluster::Freshness::Confirmed => Freshness::Confirmed,
                tidegate_cluster::Freshness::Recent => Freshness::Recent,
            })
            .map_err(store_error)
            .boxed()
    }

    fn commit(&self, transaction: TransactionV1) -> BoxFuture<'_, Result<OutcomeV1, StoreError>> {
        self.propose(transaction).boxed()
    }
}

/// Whether the change may still happen is all that a caller can act on.
fn store_error(error: Error) -> StoreError {
    match error {
        Error::NoLeader { .. }
        | Error::Unreachable { .. }
        | Error::Deadline
        | Error::Fenced
        | Error::Change(_) => StoreError::NoQuorum,

        Error::NoRoom { .. } | Error::Refused { .. } => StoreError::Declined(error.to_string()),
        Error::Uncertain { .. } => StoreError::Uncertain,
        Error::Stopped | Error::Storage(_) => StoreError::Stopped,
        other => StoreError::Refused(other.to_string()),
    }
}
