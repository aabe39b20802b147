//! From a decided change to a committed one. Owns retries and time limits; must never decide an operation.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use rand::{TryRngCore, rngs::OsRng};
use tidegate_proto::{
    limits::{
        COMMIT_ATTEMPTS_MAX, PROPOSE_TIMEOUT_MS, PROPOSE_TIMEOUT_MS_PER_MIB, READ_TIMEOUT_MS,
        TRANSACTION_BYTES_MAX,
    },
    transaction::{OutcomeV1, TransactionV1},
};
use tidegate_state::State;
use tidegate_telemetry::panics;
use tokio::time::timeout;

use crate::{
    answer::Answer,
    call::{Call, Outcome, Site},
    error::ApiError,
    operation::{Operation, Params},
    query::Query,
    rest,
    stamps::Stamps,
    store::{Freshness, Store, StoreError},
};

/// Backstop of [`barrier`] behind the store's own deadline.
const BARRIER_TIMEOUT: Duration = Duration::from_millis(2 * READ_TIMEOUT_MS);
/// Backstop of [`commit`] behind the store's own deadline, which grows with the transaction.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(
    PROPOSE_TIMEOUT_MS + PROPOSE_TIMEOUT_MS_PER_MIB * (TRANSACTION_BYTES_MAX as u64 >> 20) + READ_TIMEOUT_MS,
);

/// All inputs of an operation but the view.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// Named parts of the path.
    pub params: Params,
    /// Query parameters.
    pub query: Query,
    /// The raw body.
    pub body: Bytes,
    /// The `Accept` header.
    pub accept: String,
    /// Where the control plane stands.
    pub site: Site,
    /// Time and seed of the ids; every attempt draws the same sequence.
    pub stamps: (i64, u64),
}

/// An answer, and whether it was read without the cluster's word that it is current.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Whether it may be old.
    pub stale: bool,
}

impl Inputs {
    /// Decides on a view. Every decision has secrets of its own, so that a nonce is never used for two values.
    pub(crate) fn decide<T>(&self, view: &State, decide: impl FnOnce(&Call<'_>) -> T) -> Result<T, ApiError> {
        let mut secret = [0; 32];
        let drawn = OsRng.try_fill_bytes(&mut secret);
        drawn.map_err(|fault| ApiError::internal(format!("no randomness from the system: {fault}")))?;
        let stamps = Stamps::new(self.stamps.0, self.stamps.1, secret);
        let call = Call {
            view,
            site: &self.site,
            params: &self.params,
            query: &self.query,
            body: &self.body,
            accept: &self.accept,
            stamps: &stamps,
        };
        Ok(decide(&call))
    }
}

/// Runs an operation until it is committed, refused, or has met too many other writers.
pub(crate) async fn run(
    store: &Arc<dyn Store>,
    operation: Operation,
    inputs: Inputs,
    is_read: bool,
) -> Result<Reply, ApiError> {
    let (reply, _) = run_to(store, operation, inputs, is_read).await?;
    Ok(reply)
}

/// As [`run`], with the revision of what was committed, if anything.
pub(crate) async fn run_to(
    store: &Arc<dyn Store>,
    operation: Operation,
    inputs: Inputs,
    is_read: bool,
) -> Result<(Reply, Option<u64>), ApiError> {
    let (freshness, stale) = if is_read {
        (Freshness::Confirmed, barrier(store).await.is_err())
    } else {
        (approach(store).await?, false)
    };
    let inputs = Arc::new(inputs);
    let (answer, revision) = retry_from(store, freshness, || decide(store, operation, &inputs)).await?;
    Ok((Reply { answer, stale }, revision))
}

/// Commits what `decide` decides on the current view, deciding again on a newer one after every conflict.
pub(crate) async fn retry<F>(store: &Arc<dyn Store>, decide: impl Fn() -> F) -> Result<Answer, ApiError>
where
    F: Future<Output = Outcome>,
{
    let (answer, _) = retry_to(store, decide).await?;
    Ok(answer)
}

/// As [`retry`], with the revision of what was committed, if anything.
pub(crate) async fn retry_to<F>(
    store: &Arc<dyn Store>,
    decide: impl Fn() -> F,
) -> Result<(Answer, Option<u64>), ApiError>
where
    F: Future<Output = Outcome>,
{
    retry_from(store, Freshness::Confirmed, decide).await
}

/// As [`retry_to`], on a view that may not be current yet. What commits nothing is decided again on one that is.
async fn retry_from<F>(
    store: &Arc<dyn Store>,
    mut freshness: Freshness,
    decide: impl Fn() -> F,
) -> Result<(Answer, Option<u64>), ApiError>
where
    F: Future<Output = Outcome>,
{
    for _ in 0..COMMIT_ATTEMPTS_MAX {
        let decided = decide().await;
        let commits = decided.as_ref().is_ok_and(|(transaction, _)| !transaction.is_empty());
        if !commits && freshness == Freshness::Recent {
            barrier(store).await?;
            freshness = Freshness::Confirmed;
            continue;
        }
        let (transaction, answer) = decided?;
        if !commits {
            return Ok((answer, None));
        }
        match commit(store, transaction).await? {
            OutcomeV1::Committed { revision } => return Ok((answer, Some(revision))),
            OutcomeV1::Conflict { .. } => {
                barrier(store).await?;
                freshness = Freshness::Confirmed;
            }
            OutcomeV1::Refused { reason } => return Err(ApiError::bad_request(reason)),
        }
    }
    Err(ApiError::contended())
}

/// Waits until the view is current. Nothing has been proposed yet, so running out of time is harmless.
pub(crate) async fn barrier(store: &Arc<dyn Store>) -> Result<(), ApiError> {
    match timeout(BARRIER_TIMEOUT, store.barrier()).await {
        Ok(result) => result.map_err(from_store),
        Err(_) => Err(from_store(StoreError::NoQuorum)),
    }
}

/// Waits until the view is good enough to decide a change on.
async fn approach(store: &Arc<dyn Store>) -> Result<Freshness, ApiError> {
    match timeout(BARRIER_TIMEOUT, store.approach()).await {
        Ok(result) => result.map_err(from_store),
        Err(_) => Err(from_store(StoreError::NoQuorum)),
    }
}

/// Proposes a transaction within the time a caller is kept waiting.
pub(crate) async fn commit(
    store: &Arc<dyn Store>,
    transaction: TransactionV1,
) -> Result<OutcomeV1, ApiError> {
    match timeout(COMMIT_TIMEOUT, store.commit(transaction)).await {
        Ok(result) => result.map_err(from_store),
        Err(_) => Err(from_store(StoreError::Uncertain)),
    }
}

/// What a caller is told when the store has no outcome.
pub(crate) fn from_store(error: StoreError) -> ApiError {
    match error {
        StoreError::NoQuorum => ApiError::unavailable(
            "The cluster has no quorum right now; nothing was changed. Reads and traffic are served.",
        ),
        StoreError::Uncertain => ApiError::unavailable(
            "The change was proposed and its outcome is unknown: it may or may not be applied. Read before you repeat it.",
        ),
        StoreError::Declined(reason) => {
            ApiError::unavailable(format!("Nothing was changed: {reason}. Reads and traffic are served."))
        }
        StoreError::Stopped => {
            ApiError::unavailable("This node is stopping; nothing was changed. Ask another node.")
        }
        StoreError::Refused(reason) => ApiError::bad_request(reason),
    }
}

/// Importing and compiling a large API takes long enough to be kept off the threads that serve sockets.
async fn decide(store: &Arc<dyn Store>, operation: Operation, inputs: &Arc<Inputs>) -> Outcome {
    let (view, inputs) = (store.view(), Arc::clone(inputs));
    let work = move || inputs.decide(&view, |call| rest::run(operation, call))?;
    match tokio::task::spawn_blocking(|| panics::contained(work)).await {
        Ok(outcome) => outcome,
        Err(fault) => {
            tracing::error!(%fault, "a control operation did not end");
            Err(ApiError::internal("the operation did not end; the node's log says why"))
        }
    }
}
