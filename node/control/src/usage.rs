//! Operations on what was counted: they are decided on the configuration and answered by the counters. Owns the way between the two;
//! must never decide or print.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    answer::Answer,
    driver::{Inputs, Reply, barrier},
    error::ApiError,
    operation::Metered,
    rest::usage,
    store::{BoxFuture, KeyUsage, Store, Usage, UsageError},
};

/// How long the counters may take before the caller is told that they are out of reach.
const USAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Counters that are not there.
#[derive(Debug)]
pub(crate) struct NoUsage;

impl Usage for NoUsage {
    fn usage(
        &self,
        _: &str,
        _: Vec<String>,
        _: i32,
        _: i32,
    ) -> BoxFuture<'_, Result<Vec<KeyUsage>, UsageError>> {
        Box::pin(std::future::ready(Err(UsageError::Unavailable)))
    }

    fn set_remaining(&self, _: &str, _: &str, _: u64) -> BoxFuture<'_, Result<(), UsageError>> {
        Box::pin(std::future::ready(Err(UsageError::Unavailable)))
    }
}

/// Runs an operation on the counters.
pub(crate) async fn run(
    store: &Arc<dyn Store>,
    counters: &dyn Usage,
    operation: Metered,
    inputs: &Inputs,
) -> Result<Reply, ApiError> {
    let (asked, stale) = match operation {
        Metered::GetUsage => {
            let stale = barrier(store).await.is_err();
            (inputs.decide(&store.view(), usage::get)??, stale)
        }
        Metered::UpdateUsage => {
            barrier(store).await?;
            let (asked, remaining) = inputs.decide(&store.view(), usage::update)??;
            for key in &asked.keys {
                in_time(counters.set_remaining(&asked.plan, key, remaining)).await?;
            }
            (asked, false)
        }
    };
    let found = match asked.keys.is_empty() {
        true => Vec::new(),
        false => {
            let keys = asked.keys.clone();
            in_time(counters.usage(&asked.plan, keys, asked.first_day, asked.last_day)).await?
        }
    };
    Ok(Reply { answer: Answer::ok(usage::printed(&asked, &found)), stale })
}

async fn in_time<T>(counting: BoxFuture<'_, Result<T, UsageError>>) -> Result<T, ApiError> {
    let result = timeout(USAGE_TIMEOUT, counting).await.unwrap_or(Err(UsageError::Unknown));
    result.map_err(|error| match error {
        UsageError::Unavailable => ApiError::unavailable(
            "The counters of the cluster are out of reach right now; nothing was changed. Traffic is served.",
        ),
        UsageError::Unknown => ApiError::unavailable(
            "The counters of the cluster did not answer in time: a change may or may not be applied. Read before you repeat it.",
        ),
    })
}
