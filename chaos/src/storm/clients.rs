//! Open-loop clients of one region: a request is sent when the schedule says so, whether or not earlier ones were answered, and its
//! latency counts from that moment. Each carries a token that has to come back. A client tries the next address of its region when
//! it gets no connection, and never repeats what it has sent.

mod link;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout_at},
};

use super::record::{Book, Class, Outcome, Record};
use crate::{
    clock::{Clock, Span},
    lab::site::Site,
    limits::{IN_FLIGHT, POLL, REQUEST},
};
use link::{Broken, Doors};

/// How often a stream that sends nothing looks whether it is to.
const RESTING_PER_S: u32 = 20;

/// What one stream of clients asks for, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// Kind of its requests.
    pub(crate) class: Class,
    /// Region of the clients.
    pub(crate) region: u8,
    /// The zones of the region, in the order in which the name resolves.
    pub(crate) doors: Vec<(Site, SocketAddr)>,
    /// Path of the API.
    pub(crate) path: String,
    /// Of a hundred requests, those that are POST.
    pub(crate) post_percent: u32,
    /// Requests per second at the beginning.
    pub(crate) per_s: u32,
}

/// A running stream.
#[derive(Clone)]
pub(crate) struct Stream {
    planned: u32,
    per_s: Arc<AtomicU32>,
    open: Arc<AtomicUsize>,
}

struct Client {
    asking: Asking,
    clock: Clock,
    doors: Doors,
    book: Book,
    open: Arc<AtomicUsize>,
    tokens: AtomicU64,
}

/// Checks an answer of the churn: the two halves of its body are one revision, and no older one than this door has shown.
pub(crate) fn revision_of(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let (one, other) = text.trim().split_once('|')?;
    (one == other).then(|| one.parse().ok()).flatten()
}

impl Stream {
    /// Sends until `stop` turns true; must be called within the runtime of the clients' site.
    pub(crate) fn start(asking: Asking, clock: Clock, book: Book, stop: watch::Receiver<bool>) -> Self {
        let planned = asking.per_s;
        // A flood waits until a fault lets it loose.
        let per_s = Arc::new(AtomicU32::new(if asking.class == Class::Flood { 0 } else { planned }));
        let open = Arc::new(AtomicUsize::new(0));
        let doors = Doors::new(asking.doors.clone());
        let client =
            Arc::new(Client { asking, clock, doors, book, open: open.clone(), tokens: AtomicU64::new(1) });
        tokio::spawn(client.send_all(per_s.clone(), stop));
        Self { planned, per_s, open }
    }

    /// The requests per second it was planned with.
    pub(crate) fn planned(&self) -> u32 {
        self.planned
    }

    /// Sends so many requests per second from now on.
    pub(crate) fn set_rate(&self, per_s: u32) {
        self.per_s.store(per_s, Ordering::Relaxed);
    }

    /// Waits until the last request has its outcome; the stream must have been stopped.
    pub(crate) async fn finish(&self) {
        while self.open.load(Ordering::Acquire) > 0 {
            sleep(POLL).await;
        }
    }
}

impl Client {
    async fn send_all(self: Arc<Self>, per_s: Arc<AtomicU32>, mut stop: watch::Receiver<bool>) {
        let (mut due_us, mut index) = (self.clock.now_us(), 0u64);
        loop {
            let rate = per_s.load(Ordering::Relaxed);
            due_us += 1_000_000 / u64::from(if rate == 0 { RESTING_PER_S } else { rate });
            tokio::select! {
                () = sleep_until(self.clock.instant(due_us).into()) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if rate > 0 {
                self.clone().send(due_us, index);
            }
            index += 1;
        }
    }

    fn send(self: Arc<Self>, due_us: u64, index: u64) {
        // Spread evenly, so that a second holds its share of them.
        let is_post = index * u64::from(self.asking.post_percent) % 100 < u64::from(self.asking.post_percent);
        let class = if is_post && self.asking.post_percent > 0 { Class::Post } else { self.asking.class };
        let end = |entry, outcome| {
            let span = Span { from_us: due_us, to_us: self.clock.now_us() };
            Record { span, class, region: self.asking.region, entry, outcome }
        };
        if self.open.fetch_add(1, Ordering::AcqRel) >= IN_FLIGHT {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return self.book.add(end(None, Outcome::Unsent), Some("too many requests open".into()));
        }
        let this = self.clone();
        tokio::spawn(async move {
            let deadline = this.clock.instant(due_us) + REQUEST;
            let mut entry = None;
            let asked = timeout_at(deadline.into(), this.ask(class, index, &mut entry)).await;
            let silent = || (Outcome::Silent, Some(format!("no answer within {} s", REQUEST.as_secs())));
            let (outcome, reason) = asked.unwrap_or_else(|_| silent());
            let span = Span { from_us: due_us, to_us: this.clock.now_us() };
            let reason = reason.map(|reason| match entry {
                Some(site) => format!("{} at {site}: {reason}", class.name()),
                None => format!("{}: {reason}", class.name()),
            });
            this.book.add(Record { span, class, region: this.asking.region, entry, outcome }, reason);
            this.open.fetch_sub(1, Ordering::AcqRel);
        });
    }

    async fn ask(&self, class: Class, index: u64, entry: &mut Option<Site>) -> (Outcome, Option<String>) {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let token = format!("{}-{}-{number}", self.asking.region, class.name());
        let mut reason = String::new();
        for turn in 0..self.doors.count() {
            let (door, site) = self.doors.door(index as usize + turn);
            let request = self.request(class, &token, door.address);
            match door.exchange(request, || *entry = Some(site)).await {
                Ok((status, body)) => return self.judge(class, &token, status, &body, door),
                // Nothing was sent: the next address may be tried.
                Err(Broken::Unconnected(told)) => reason = told,
                Err(Broken::Lost(told)) => return (Outcome::Reset, Some(told)),
            }
        }
        (Outcome::Unconnected, Some(reason))
    }

    fn judge(
        &self,
        class: Class,
        token: &str,
        status: u16,
        body: &[u8],
        door: &link::Door,
    ) -> (Outcome, Option<String>) {
        match (class, status) {
            (Class::Churn, 200) => match revision_of(body).map(|revision| door.sees(revision)) {
                Some(true) => (Outcome::Right, None),
                Some(false) => (Outcome::Wrong, Some("an older revision than before".into())),
                None => (Outcome::Wrong, Some(format!("two revisions: {}", String::from_utf8_lossy(body)))),
            },
            (_, 200) if body == token.as_bytes() => (Outcome::Right, None),
            (_, 200) => (Outcome::Wrong, Some("the answer to another request".into())),
            (Class::Limited | Class::Flood, 429 | 503) => (Outcome::Shed, None),
            (_, status) => (Outcome::Gateway(status), Some(format!("status {status}"))),
        }
    }

    fn request(&self, class: Class, token: &str, host: SocketAddr) -> Request<Full<Bytes>> {
        let (method, body) = match class {
            Class::Post => (Method::POST, Bytes::copy_from_slice(token.as_bytes())),
            _ => (Method::GET, Bytes::new()),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.asking.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        for (name, value) in [("host", host.to_string()), ("x-storm-token", token.to_owned())] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        request
    }
}

#[cfg(test)]
mod tests;
