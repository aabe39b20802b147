//! Operations on cached answers: they are decided on the configuration and answered once the nodes serve it. Owns the wait and what a
//! caller is told when it was in vain; must never hold an answer.

use std::{sync::Arc, time::Duration};

use tidegate_proto::{
    limits::CACHE_SETTLE_TIMEOUT_MS,
    status::{CacheLook, CacheTop},
};
use tokio::time::timeout;

use crate::{
    driver::{self, Inputs, Reply},
    error::ApiError,
    operation::Operation,
    store::{BoxFuture, CacheQuestion, CacheRequest, Caches, StillServed, Store},
};

/// Backstop behind the deadline of [`Caches::settled`].
const SETTLE_TIMEOUT: Duration = Duration::from_millis(2 * CACHE_SETTLE_TIMEOUT_MS);

/// Caches that are not there, so that nothing older is served.
#[derive(Debug)]
pub(crate) struct NoCaches;

impl Caches for NoCaches {
    fn settled(&self, _: u64) -> BoxFuture<'_, Result<(), StillServed>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn top(&self, _: CacheQuestion) -> BoxFuture<'_, CacheTop> {
        Box::pin(std::future::ready(CacheTop::default()))
    }

    fn look(&self, _: CacheRequest) -> BoxFuture<'_, CacheLook> {
        Box::pin(std::future::ready(CacheLook::default()))
    }
}

/// Runs an operation and waits until every node serves what it changed.
pub(crate) async fn run(
    store: &Arc<dyn Store>,
    caches: &dyn Caches,
    operation: Operation,
    inputs: Inputs,
) -> Result<Reply, ApiError> {
    let (reply, revision) = driver::run_to(store, operation, inputs, false).await?;
    settle(caches, revision).await?;
    Ok(reply)
}

/// Waits until every node of the region serves a revision; nothing committed is served already.
///
/// # Errors
/// 503 that names the nodes which may still send what was taken out.
pub(crate) async fn settle(caches: &dyn Caches, revision: Option<u64>) -> Result<(), ApiError> {
    let Some(revision) = revision else { return Ok(()) };
    let settled = timeout(SETTLE_TIMEOUT, caches.settled(revision)).await;
    settled.unwrap_or_else(|_| Err(StillServed::default())).map_err(|still| {
        let nodes: Vec<String> = still.nodes.iter().map(u64::to_string).collect();
        let who = match nodes.as_slice() {
            [] => "not every node has".to_owned(),
            [one] => format!("node {one} has not"),
            many => format!("nodes {} have not", many.join(", ")),
        };
        ApiError::unavailable(format!(
            "The change is committed and {who} confirmed it in time: older answers may still be served there. Repeat the call to wait again."
        ))
    })
}
