//! Configuration changes through any node, signed as every client signs, and reads of what was changed.
//!
//! Sets are written by the clock, whether or not earlier writes were answered, so a few that hang hide nothing. Registers are written
//! one write after the other and read from everywhere: their history is judged as a whole.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_cli::{Client, Error};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::history::{Act, Deed};
use crate::{
    clock::{Clock, Span},
    lab::site::Site,
    limits::{IN_FLIGHT, READ_PAUSE, REASONS, REGISTER_PAUSE, WRITE},
    oracle::{Oracle, Outcome, Place},
};

/// A way to a node's control listener.
#[derive(Clone)]
pub(crate) struct Way {
    /// Its zone.
    pub(crate) site: Site,
    /// Signs and sends.
    pub(crate) client: Arc<Client>,
}

/// A write and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteRecord {
    /// From when it was due to its end.
    pub(crate) span: Span,
    /// Region of the writer.
    pub(crate) region: u8,
    /// The node it was sent to.
    pub(crate) site: Site,
    /// How it ended.
    pub(crate) end: End,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is done.
    Acknowledged,
    /// The node answered that it cannot be done now.
    Refused,
    /// The node answered that the request is wrong.
    Blamed,
    /// No answer, or none that can be understood.
    Silent,
}

/// Everything that writers and readers know, from all regions.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Account>>);

/// What a [`Ledger`] holds.
#[derive(Default)]
pub(crate) struct Account {
    /// What was acknowledged where.
    pub(crate) oracle: Oracle,
    /// Every write to a set.
    pub(crate) writes: Vec<WriteRecord>,
    /// What was done to each register.
    pub(crate) histories: BTreeMap<String, Vec<Deed>>,
    /// Reads of registers that a node did not vouch for.
    pub(crate) unvouched: u64,
    /// What writers and readers met, with how often.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// The writers and readers of one region; they belong to its clients' site.
pub(crate) struct Desk {
    /// The region.
    pub(crate) region: u8,
    /// Its nodes.
    pub(crate) ways: Vec<Way>,
    /// APIs whose resources are the elements of this region's sets, and their root resources. Several, so that writes that are under
    /// way at the same time do not change the same object.
    pub(crate) sets: Vec<(String, String)>,
    /// API whose description is this region's register.
    pub(crate) register: String,
    /// The registers of all regions, which are read here.
    pub(crate) registers: Vec<String>,
    /// Writes per second to the set.
    pub(crate) per_s: u32,
}

struct Writer {
    desk: Desk,
    clock: Clock,
    ledger: Ledger,
    turn: AtomicUsize,
    open: AtomicUsize,
}

/// Running writers and readers of a region.
pub(crate) struct Working(Arc<Writer>);

impl Ledger {
    /// Looks at what is known so far.
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn regret(&mut self, reason: String) {
        if self.reasons.len() < REASONS || self.reasons.contains_key(&reason) {
            *self.reasons.entry(reason).or_insert(0) += 1;
        }
    }
}

impl Desk {
    /// Starts to write and read until `stop` turns true; must be called within the runtime of the clients' site.
    pub(crate) fn open(self, clock: Clock, ledger: Ledger, stop: &watch::Receiver<bool>) -> Working {
        let (turn, open) = (AtomicUsize::new(usize::from(self.region)), AtomicUsize::new(0));
        let writer = Arc::new(Writer { desk: self, clock, ledger, turn, open });
        if writer.desk.per_s > 0 {
            tokio::spawn(writer.clone().fill_set(stop.clone()));
            tokio::spawn(writer.clone().set_register(stop.clone()));
            for api in writer.desk.registers.clone() {
                tokio::spawn(writer.clone().read_register(api, stop.clone()));
            }
        }
        Working(writer)
    }
}

impl Working {
    /// Waits until the last write has its end; the writers must have been stopped.
    pub(crate) async fn finish(&self) {
        while self.0.open.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(crate::limits::POLL).await;
        }
    }
}

impl Writer {
    /// The nodes in turn.
    fn way(&self) -> Way {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.desk.ways[turn % self.desk.ways.len()].clone()
    }

    async fn fill_set(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let pause = Duration::from_secs(1) / self.desk.per_s.max(1);
        let (mut due, mut value) = (Instant::now(), 0);
        while !*stop.borrow() {
            due += pause;
            sleep_until(due).await;
            value += 1;
            if self.open.fetch_add(1, Ordering::AcqRel) >= IN_FLIGHT {
                self.open.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let this = self.clone();
            tokio::spawn(async move {
                this.add_element(value).await;
                this.open.fetch_sub(1, Ordering::AcqRel);
            });
        }
    }

    async fn add_element(&self, value: u64) {
        let (way, from_us) = (self.way(), self.clock.now_us());
        let (api, root) = &self.desk.sets[value as usize % self.desk.sets.len()];
        let path = format!("/restapis/{api}/resources/{root}");
        let body = json!({ "pathPart": value.to_string() });
        let answered = timeout(WRITE, way.client.json::<Value>(Method::POST, &path, &body)).await;
        let (end, reason) = end_of(answered, |answer| answer["pathPart"] == json!(value.to_string()));
        let span = Span { from_us, to_us: self.clock.now_us() };
        let told = reason.clone().unwrap_or_default();
        let outcome = match end {
            End::Acknowledged => Outcome::Acknowledged,
            End::Blamed => Outcome::Blamed(told),
            End::Refused | End::Silent => Outcome::Uncertain(told),
        };
        let mut account = self.ledger.account();
        account.oracle.record(&Place::Set(api.clone()), value, span, outcome);
        account.writes.push(WriteRecord { span, region: self.desk.region, site: way.site, end });
        if let Some(reason) = reason {
            account.regret(format!("write through {}: {reason}", way.site));
        }
    }

    async fn set_register(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let mut value = 0;
        while !*stop.borrow() {
            let due = Instant::now() + REGISTER_PAUSE;
            value += 1;
            self.open.fetch_add(1, Ordering::AcqRel);
            self.write_value(value).await;
            self.open.fetch_sub(1, Ordering::AcqRel);
            sleep_until(due).await;
        }
    }

    async fn write_value(&self, value: u64) {
        let (way, from_us, api) = (self.way(), self.clock.now_us(), &self.desk.register);
        let operation = json!({ "op": "replace", "path": "/description", "value": value.to_string() });
        let body = json!({ "patchOperations": [operation] });
        let path = format!("/restapis/{api}");
        let answered = timeout(WRITE, way.client.json::<Value>(Method::PATCH, &path, &body)).await;
        let (end, _) = end_of(answered, |answer| answer["description"] == json!(value.to_string()));
        let to_us = (end == End::Acknowledged).then(|| self.clock.now_us());
        // A write that was refused may still have been passed on before; it is taken for one that may take effect.
        self.note(api, Deed { act: Act::Write(value), from_us, to_us });
    }

    async fn read_register(self: Arc<Self>, api: String, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let due = Instant::now() + READ_PAUSE;
            let (this, api) = (self.clone(), api.clone());
            // By the clock: a read that hangs in a node that stands still is answered when it goes on.
            self.open.fetch_add(1, Ordering::AcqRel);
            tokio::spawn(async move {
                this.read_value(&api).await;
                this.open.fetch_sub(1, Ordering::AcqRel);
            });
            sleep_until(due).await;
        }
    }

    async fn read_value(&self, api: &str) {
        let (way, from_us) = (self.way(), self.clock.now_us());
        let path = format!("/restapis/{api}");
        let Ok(Ok(reading)) = timeout(crate::limits::READ, way.client.read(&path)).await else { return };
        if reading.is_stale {
            self.ledger.account().unvouched += 1;
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(&reading.body) else { return };
        let value = answer["description"].as_str().and_then(|text| text.parse().ok());
        self.note(api, Deed { act: Act::Read(value), from_us, to_us: Some(self.clock.now_us()) });
    }

    fn note(&self, api: &str, deed: Deed) {
        self.ledger.account().histories.entry(api.to_owned()).or_default().push(deed);
    }
}

/// What an answer to a write means, and what to say of it.
pub(crate) fn end_of(
    answered: Result<Result<Value, Error>, tokio::time::error::Elapsed>,
    is_right: impl Fn(&Value) -> bool,
) -> (End, Option<String>) {
    match answered {
        Ok(Ok(answer)) if is_right(&answer) => (End::Acknowledged, None),
        Ok(Ok(answer)) => (End::Silent, Some(format!("another answer: {answer}"))),
        Ok(Err(error)) => match &error {
            Error::Answer { status, .. } if blames(*status) => (End::Blamed, Some(error.to_string())),
            Error::Answer { .. } => (End::Refused, Some(error.to_string())),
            _ => (End::Silent, Some(without_place(&error))),
        },
        Err(_) => (End::Silent, Some(format!("no answer within {} s", WRITE.as_secs()))),
    }
}

/// Whether a status says that the request itself is wrong: a client error that does not ask to try again.
fn blames(status: StatusCode) -> bool {
    status.is_client_error() && ![StatusCode::TOO_MANY_REQUESTS, StatusCode::CONFLICT].contains(&status)
}

fn without_place(error: &Error) -> String {
    match error {
        Error::Unreachable { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
