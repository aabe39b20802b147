//! Open-loop clients: requests are sent when the schedule says so, whether or not earlier ones were answered, and their
//! latency counts from that moment. A stalled server therefore shows as latency and failures, never as a lower rate.

mod pool;
mod tally;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering},
};

use bytes::Bytes;
use http::StatusCode;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, sleep_until, timeout_at},
};

use crate::{
    clock::Clock,
    exchange::{Fault, get},
    limits::{IN_FLIGHT, POLL, RECONNECT_PAUSE, REQUEST},
};
use pool::Pool;
pub(crate) use tally::Tally;

/// What one stream of clients asks for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Path and query.
    pub(crate) path: String,
    /// The only right answer.
    pub(crate) answer: Bytes,
    /// Whether a request that lost its connection before an answer is sent once more, on a new connection.
    pub(crate) reconnects: bool,
}

/// When the requests of a stream are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    begin_us: u64,
    per_s: u32,
}

/// A running stream.
pub(crate) struct Stream {
    tally: Arc<Mutex<Tally>>,
    sender: JoinHandle<()>,
}

struct Clients {
    target: Target,
    clock: Clock,
    pool: Pool,
    tally: Arc<Mutex<Tally>>,
    in_flight: AtomicUsize,
}

impl Schedule {
    /// `per_s` requests a second, evenly, from `begin_us` on.
    pub(crate) fn new(begin_us: u64, per_s: u32) -> Self {
        Self { begin_us, per_s: per_s.max(1) }
    }

    /// When request `index` is due.
    pub(crate) fn due_us(self, index: u64) -> u64 {
        self.begin_us + (u128::from(index) * 1_000_000 / u128::from(self.per_s)) as u64
    }

    /// Requests due before `at_us`.
    pub(crate) fn due_before(self, at_us: u64) -> u64 {
        (u128::from(at_us.saturating_sub(self.begin_us)) * u128::from(self.per_s)).div_ceil(1_000_000) as u64
    }
}

impl Stream {
    /// Starts to send until `stop` turns true.
    pub(crate) fn start(target: Target, clock: Clock, per_s: u32, stop: watch::Receiver<bool>) -> Self {
        let tally = Arc::new(Mutex::new(Tally::new(Schedule::new(clock.now_us(), per_s))));
        let pool = Pool::new(target.address);
        let clients = Clients { target, clock, pool, tally: tally.clone(), in_flight: AtomicUsize::new(0) };
        Self { tally, sender: tokio::spawn(Arc::new(clients).send_all(stop)) }
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Waits until the last request has its outcome; `stop` must be true.
    pub(crate) async fn finish(&mut self) {
        let _ = (&mut self.sender).await;
    }
}

impl Clients {
    async fn send_all(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let schedule = lock(&self.tally).schedule;
        let mut index = 0;
        loop {
            let due_us = schedule.due_us(index);
            tokio::select! {
                () = sleep_until(self.clock.instant(due_us).into()) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.clone().send(due_us);
            index += 1;
        }
        let ended_us = self.clock.now_us();
        // A sender that was late when it was stopped still owes these.
        while schedule.due_us(index) < ended_us {
            self.clone().send(schedule.due_us(index));
            index += 1;
        }
        lock(&self.tally).ended_us = Some(ended_us);
        while self.in_flight.load(Ordering::Acquire) > 0 {
            sleep(POLL).await;
        }
    }

    fn send(self: Arc<Self>, due_us: u64) {
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= IN_FLIGHT {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            lock(&self.tally).unsent += 1;
            return;
        }
        tokio::spawn(async move {
            let deadline = self.clock.instant(due_us) + REQUEST;
            let outcome = timeout_at(deadline.into(), self.ask()).await;
            let outcome =
                outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", REQUEST.as_secs())));
            lock(&self.tally).count(due_us, self.clock.now_us(), outcome);
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        });
    }

    async fn ask(&self) -> Result<(), String> {
        match self.attempt(false).await {
            Err(Fault::Unanswered(_)) if self.target.reconnects => {
                lock(&self.tally).retries += 1;
                sleep(RECONNECT_PAUSE).await;
                self.attempt(true).await.map_err(|fault| reason(fault) + " (second try)")
            }
            outcome => outcome.map_err(reason),
        }
    }

    async fn attempt(&self, fresh: bool) -> Result<(), Fault> {
        let mut link = self.pool.take(fresh).await?;
        let (status, body) = get(&mut link.sender, self.target.address, &self.target.path).await?;
        self.pool.give_back(link);
        match status {
            StatusCode::OK if body == self.target.answer => Ok(()),
            StatusCode::OK => Err(Fault::Broken("200 with a wrong body".into())),
            status => Err(Fault::Broken(format!("status {}", status.as_u16()))),
        }
    }
}

fn reason(fault: Fault) -> String {
    match fault {
        Fault::Unanswered(reason) | Fault::Broken(reason) => reason,
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
