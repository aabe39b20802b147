//! Writes to the control plane all the time, through its balancer, and tells the oracle what came of each write.
//!
//! A register is written write by write, as its values are ordered. A set is written by the clock, whether or not earlier
//! writes were answered: a few writes that hang then do not hide that the next one would succeed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_cli::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    clock::{Clock, Span},
    limits::{PAGE, WRITE, WRITE_PAUSE, WRITERS_PER_KIND, WRITES_IN_FLIGHT},
    oracle::{Held, Oracle, Outcome, Place},
    region::{Region, RegionError},
};

/// The writers of a run.
pub(crate) struct Writers {
    oracle: Arc<Mutex<Oracle>>,
    tasks: Vec<JoinHandle<()>>,
    roots: Roots,
}

/// Root resource of the API behind each place.
type Roots = std::collections::BTreeMap<Place, String>;

struct Writer {
    client: Client,
    place: Place,
    root: String,
    clock: Clock,
    oracle: Arc<Mutex<Oracle>>,
}

impl Writers {
    /// Creates the objects to write to and starts to write until `stop` turns true.
    pub(crate) async fn start(
        region: &Region,
        clock: Clock,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, RegionError> {
        let oracle = Arc::new(Mutex::new(Oracle::default()));
        let (mut tasks, mut roots) = (Vec::new(), Roots::new());
        for number in 0..2 * WRITERS_PER_KIND {
            let client = region.client(&region.dev.control);
            let (api, root) = create_api(&client, &format!("storm-{number}")).await?;
            let place = if number % 2 == 0 { Place::Register(api) } else { Place::Set(api) };
            roots.insert(place.clone(), root.clone());
            let writer = Arc::new(Writer { client, place, root, clock, oracle: oracle.clone() });
            tasks.push(tokio::spawn(writer.write_all(stop.clone())));
        }
        Ok(Self { oracle, tasks, roots })
    }

    /// What was written so far.
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    /// Waits until the last write has its outcome; `stop` must be true.
    pub(crate) async fn finish(&mut self) {
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }

    /// Reads what the node behind `client` holds at `place`; a control read is linearizable.
    pub(crate) async fn read(&self, client: &Client, place: &Place) -> Result<Held, tidegate_cli::Error> {
        match place {
            Place::Register(api) => {
                let answer: Value =
                    client.json(Method::GET, &format!("/restapis/{api}"), &Value::Null).await?;
                Ok(number(&answer["description"]).into_iter().collect())
            }
            Place::Set(api) => read_set(client, api, self.roots.get(place)).await,
        }
    }
}

impl Writer {
    async fn write_all(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let open = Arc::new(Semaphore::new(WRITES_IN_FLIGHT as usize));
        let mut value = 0;
        while !*stop.borrow() {
            value += 1;
            let (due, this) = (Instant::now() + WRITE_PAUSE, self.clone());
            match &self.place {
                Place::Register(_) => this.write(value).await,
                Place::Set(_) => {
                    let Ok(permit) = open.clone().acquire_owned().await else { return };
                    tokio::spawn(async move {
                        this.write(value).await;
                        drop(permit);
                    });
                }
            }
            sleep_until(due).await;
        }
        let _all_done = open.acquire_many(WRITES_IN_FLIGHT).await;
    }

    async fn write(&self, value: u64) {
        let from_us = self.clock.now_us();
        let outcome = self.ask(value).await;
        let span = Span { from_us, to_us: self.clock.now_us() };
        lock(&self.oracle).record(&self.place, value, span, outcome);
    }

    async fn ask(&self, value: u64) -> Outcome {
        let (method, path, body, field) = match &self.place {
            Place::Register(api) => {
                let operation =
                    json!({ "op": "replace", "path": "/description", "value": value.to_string() });
                let body = json!({ "patchOperations": [operation] });
                (Method::PATCH, format!("/restapis/{api}"), body, "description")
            }
            Place::Set(api) => {
                let path = format!("/restapis/{api}/resources/{}", self.root);
                (Method::POST, path, json!({ "pathPart": value.to_string() }), "pathPart")
            }
        };
        match timeout(WRITE, self.client.json::<Value>(method, &path, &body)).await {
            Ok(Ok(answer)) if number(&answer[field]) == Some(value) => Outcome::Acknowledged,
            Ok(Ok(answer)) => Outcome::Uncertain(format!("an answer with {field} {}", answer[field])),
            Ok(Err(error)) if blames(&error) => Outcome::Blamed(error.to_string()),
            Ok(Err(error)) => Outcome::Uncertain(error.to_string()),
            Err(_) => Outcome::Uncertain(format!("no answer within {} s", WRITE.as_secs())),
        }
    }
}

async fn create_api(client: &Client, name: &str) -> Result<(String, String), RegionError> {
    let failed = |reason| RegionError::Call { what: format!("creating the REST API {name}"), reason };
    let answer: Value =
        client.json(Method::POST, "/restapis", &json!({ "name": name })).await.map_err(failed)?;
    match (answer["id"].as_str(), answer["rootResourceId"].as_str()) {
        (Some(id), Some(root)) => Ok((id.to_owned(), root.to_owned())),
        _ => Err(failed(tidegate_cli::Error::Unexpected(answer.to_string()))),
    }
}

/// Follows the pages of `GetResources`; the root itself is not an element.
async fn read_set(client: &Client, api: &str, root: Option<&String>) -> Result<Held, tidegate_cli::Error> {
    let (mut held, mut position, mut seen) = (Held::new(), String::new(), BTreeSet::new());
    loop {
        let path = format!("/restapis/{api}/resources?limit={PAGE}{position}");
        let page: Value = client.json(Method::GET, &path, &Value::Null).await?;
        for item in page["item"].as_array().or_else(|| page["items"].as_array()).into_iter().flatten() {
            if item["id"].as_str() != root.map(String::as_str) {
                held.extend(number(&item["pathPart"]));
            }
        }
        match page["position"].as_str() {
            Some(next) if seen.insert(next.to_owned()) => position = format!("&position={next}"),
            _ => return Ok(held),
        }
    }
}

/// Whether the answer says that the request itself is wrong: a client error that does not ask to try again.
fn blames(error: &tidegate_cli::Error) -> bool {
    match error {
        tidegate_cli::Error::Answer { status, .. } => {
            status.is_client_error()
                && ![StatusCode::TOO_MANY_REQUESTS, StatusCode::CONFLICT].contains(status)
        }
        _ => false,
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn lock(oracle: &Mutex<Oracle>) -> MutexGuard<'_, Oracle> {
    oracle.lock().unwrap_or_else(PoisonError::into_inner)
}
