//! Changes what the answers of one API consist of, all the time: both halves in one change, so an answer with two different ones has
//! seen two revisions of the configuration. Notes when each change was acknowledged and when every node served it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::writers::Way;
use crate::{clock::Clock, limits::WRITE};

/// The changes that were acknowledged.
#[derive(Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<Vec<Change>>>);

/// An acknowledged change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// What was written.
    pub(crate) value: u64,
    /// When it was acknowledged, in microseconds of the run.
    pub(crate) acknowledged_us: u64,
}

impl Changes {
    /// Those so far.
    pub(crate) fn all(&self) -> MutexGuard<'_, Vec<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the stage variables of `api` until `stop` turns true, one change after the other, `per_s` at most.
    pub(crate) async fn make(
        self,
        api: String,
        ways: Vec<Way>,
        per_s: u32,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) {
        let pause = Duration::from_secs(1) / per_s.max(1);
        let mut due = Instant::now();
        for value in 1u64.. {
            if *stop.borrow() {
                return;
            }
            due = (due + pause).max(Instant::now() - pause);
            sleep_until(due).await;
            let way = &ways[value as usize % ways.len()];
            let operation = |name: &str| json!({ "op": "replace", "path": format!("/variables/{name}"), "value": value.to_string() });
            let body = json!({ "patchOperations": [operation("one"), operation("other")] });
            let path = format!("/restapis/{api}/stages/{}", super::setup::STAGE);
            let answered = timeout(WRITE, way.client.json::<Value>(Method::PATCH, &path, &body)).await;
            if let Ok(Ok(_)) = answered {
                self.all().push(Change { value, acknowledged_us: clock.now_us() });
            }
        }
    }
}
