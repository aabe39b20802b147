//! Open-loop clients of one limit in one zone: requests are sent when the schedule says so, whether or not earlier ones were
//! answered. Owns what became of each; never repeats one.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{sleep, sleep_until, timeout_at},
};

use super::{
    upstream::{MARK, Mark},
    wire,
};
use crate::{
    clock::{Clock, Span},
    limits::{FAILURES, OPEN_REQUESTS, POLL, REQUEST},
    load::Schedule,
};

/// Whom to ask for what, and how often.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    /// Place of the limit in the plan.
    pub(super) limit: usize,
    /// Place of the zone in the region.
    pub(super) az: usize,
    /// Data plane of the zone's node.
    pub(super) address: SocketAddr,
    /// Path behind it.
    pub(super) path: String,
    /// API key, where one is needed.
    pub(super) api_key: Option<String>,
    /// Requests per second.
    pub(super) per_s: u32,
}

/// What became of the requests of a stream. All times are microseconds of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// When those were sent that were answered with 200.
    pub(super) admitted_us: Vec<u64>,
    /// When those were sent that were answered with 429.
    pub(super) refused_us: Vec<u64>,
    /// Everything else: from the sending to the end of patience, and why.
    pub(super) unanswered: Vec<(Span, String)>,
    /// Requests that were due and not sent because too many were open.
    pub(super) unsent: u64,
    /// The longest that a request was sent after it was due, in microseconds.
    pub(super) late_us: u64,
}

/// A running stream.
pub(super) struct Stream {
    pub(super) asking: Asking,
    tally: Arc<Mutex<Tally>>,
    sender: JoinHandle<()>,
}

struct Clients {
    number: u32,
    asking: Asking,
    clock: Clock,
    idle: Mutex<Vec<TcpStream>>,
    tally: Arc<Mutex<Tally>>,
    open: AtomicUsize,
}

impl Stream {
    /// Starts to send until `stop` turns true. No two streams of a run have the same number.
    pub(super) fn start(number: u32, asking: Asking, clock: Clock, stop: watch::Receiver<bool>) -> Self {
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let (idle, open) = (Mutex::default(), AtomicUsize::new(0));
        let clients = Clients { number, asking: asking.clone(), clock, idle, tally: tally.clone(), open };
        Self { asking, tally, sender: tokio::spawn(Arc::new(clients).send_all(stop)) }
    }

    /// What became of the requests so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Waits until the last request has its outcome; `stop` must be true. May be asked again.
    pub(super) async fn finish(&mut self) {
        if !self.sender.is_finished() {
            let _ = (&mut self.sender).await;
        }
    }
}

impl Clients {
    async fn send_all(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let schedule = Schedule::new(self.clock.now_us(), self.asking.per_s);
        let mut number = 0;
        loop {
            let due_us = schedule.due_us(number);
            tokio::select! {
                () = sleep_until(self.clock.instant(due_us).into()) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let late_us = self.clock.now_us().saturating_sub(due_us);
            {
                let mut tally = lock(&self.tally);
                tally.late_us = tally.late_us.max(late_us);
            }
            if self.open.fetch_add(1, Ordering::AcqRel) < OPEN_REQUESTS {
                tokio::spawn(self.clone().send(number));
            } else {
                self.open.fetch_sub(1, Ordering::AcqRel);
                lock(&self.tally).unsent += 1;
            }
            number += 1;
        }
        while self.open.load(Ordering::Acquire) > 0 {
            sleep(POLL).await;
        }
    }

    async fn send(self: Arc<Self>, number: u64) {
        let sent_us = self.clock.now_us();
        let deadline = self.clock.instant(sent_us) + REQUEST;
        let outcome = timeout_at(deadline.into(), self.ask(number, sent_us)).await;
        {
            let mut tally = lock(&self.tally);
            let why = match outcome {
                Ok(Ok(200)) => {
                    tally.admitted_us.push(sent_us);
                    None
                }
                Ok(Ok(429)) => {
                    tally.refused_us.push(sent_us);
                    None
                }
                Ok(Ok(status)) => Some(format!("status {status}")),
                Ok(Err(error)) => Some(error.kind().to_string()),
                Err(_) => Some(format!("no answer within {} s", REQUEST.as_secs())),
            };
            if let Some(why) = why.filter(|_| tally.unanswered.len() < FAILURES) {
                let span = Span { from_us: sent_us, to_us: self.clock.now_us() };
                tally.unanswered.push((span, why));
            }
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    async fn ask(&self, number: u64, sent_us: u64) -> std::io::Result<u16> {
        let mut stream = match self.rested() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.asking.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let Asking { path, address, api_key, .. } = &self.asking;
        let mark = Mark { stream: self.number, number, sent_us };
        let key = api_key.as_ref().map_or(String::new(), |key| format!("x-api-key: {key}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{MARK}: {mark}\r\n{key}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let (status, stays) = wire::read_answer(&mut stream).await?;
        if stays {
            lock(&self.idle).push(stream);
        }
        Ok(status)
    }

    /// A connection that was used before and is still open: nothing can be read from it, not even its end.
    fn rested(&self) -> Option<TcpStream> {
        let mut idle = lock(&self.idle);
        loop {
            let stream = idle.pop()?;
            let read = stream.try_read(&mut [0]);
            if read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                return Some(stream);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{super::upstream::Upstream, *};

    #[tokio::test]
    async fn what_is_admitted_arrives_after_it_was_sent() {
        let clock = Clock::start();
        let upstream = Upstream::start(clock, vec!["one".into()]).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let asking = Asking {
            limit: 0,
            az: 0,
            address: upstream.address,
            path: "/one".into(),
            api_key: Some("k".into()),
            per_s: 500,
        };
        let mut stream = Stream::start(3, asking, clock, stopped);
        let deadline = Instant::now() + Duration::from_secs(10);
        while upstream.count(0) < 50 && Instant::now() < deadline {
            sleep(POLL).await;
        }
        stop.send_replace(true);
        stream.finish().await;
        let (tally, admitted) = (stream.tally(), upstream.admitted().swap_remove(0));
        assert!(admitted.len() >= 50 && tally.admitted_us.len() == admitted.len(), "{tally:?}");
        assert!(admitted.iter().all(|one| one.sent_us <= one.arrived_us));
        assert_eq!((tally.unanswered.len(), tally.refused_us.len(), upstream.strange()), (0, 0, 0));
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let asking = Asking { limit: 0, az: 0, address: gone, path: "/".into(), api_key: None, per_s: 100 };
        let mut stream = Stream::start(1, asking, Clock::start(), stopped);
        let deadline = Instant::now() + Duration::from_secs(10);
        while stream.tally().unanswered.is_empty() && Instant::now() < deadline {
            sleep(POLL).await;
        }
        stop.send_replace(true);
        stream.finish().await;
        assert_eq!(stream.tally().unanswered[0].1, "connection refused");
    }
}
