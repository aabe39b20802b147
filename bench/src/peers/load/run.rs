//! The course of one run: what is due, what counts, when it ends. Knows no sockets.

use std::{collections::VecDeque, time::Instant};

use crate::peers::{
    limits::{DRAIN, OPENING_MAX, OVERDUE_MAX, SETTLE},
    load::{client::Dialer, message::Message, tally::Tally},
    order::{Order, Outcome, Pace},
    processes,
};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Answers do not count yet.
    WarmUp,
    /// Answers count.
    Measure,
    /// No more requests; owed answers are waited for.
    Drain,
}

/// One run.
pub(crate) struct Run<'a> {
    /// What was ordered.
    pub(crate) order: &'a Order,
    /// Makes its connections.
    pub(crate) dialer: Dialer,
    /// What it has seen.
    pub(crate) tally: Tally,
    /// Room for the answers of one read.
    pub(crate) answers: Vec<(Message, u64)>,
    /// Connections without a request in flight, in open pace.
    pub(crate) resting: Vec<usize>,
    /// Connections opened so far; gives each one its API key.
    pub(crate) opened: usize,
    /// Answers so far, right or wrong.
    pub(crate) heard: usize,
    /// Requests that the origin has seen.
    pub(crate) origin_requests: u64,
    stage: Stage,
    began: Instant,
    /// When the stage ends.
    until_ns: u64,
    overdue: VecDeque<u64>,
    next_due_ns: u64,
    at_start: Reading,
    outcome: Outcome,
}

#[derive(Clone, Copy, Default)]
struct Reading {
    at_ns: u64,
    gateway_ns: u64,
    busy_ns: u64,
}

impl<'a> Run<'a> {
    /// Begins now.
    pub(crate) fn new(order: &'a Order) -> Result<Self, String> {
        if order.connections == 0 || order.streams == 0 {
            return Err("an order needs connections and streams".into());
        }
        let warm_up_ns = if order.pace == Pace::Idle {
            SETTLE.as_nanos() as u64 * 30
        } else {
            order.warm_up_ms * 1_000_000
        };
        let mut outcome = Outcome::default();
        if let (Pace::Idle, Some(pid)) = (order.pace, order.gateway_pid) {
            outcome.memory_before_bytes = processes::memory_bytes(pid);
        }
        Ok(Self {
            dialer: Dialer::new(order)?,
            tally: Tally::new(order.expected_body_bytes)?,
            order,
            answers: Vec::new(),
            resting: Vec::new(),
            opened: 0,
            heard: 0,
            origin_requests: 0,
            stage: Stage::WarmUp,
            began: Instant::now(),
            until_ns: warm_up_ns,
            overdue: VecDeque::new(),
            next_due_ns: 0,
            at_start: Reading::default(),
            outcome,
        })
    }

    /// Nanoseconds since the run began.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// How many connections there shall be now.
    pub(crate) fn connections_due(&self) -> usize {
        match self.order.pace {
            Pace::Idle => self.order.connections.min(self.heard + OPENING_MAX),
            // What the first one leaves in the cache is there for all others.
            Pace::Closed | Pace::Open(_) if self.order.is_cached && self.heard == 0 => 1,
            Pace::Closed | Pace::Open(_) => self.order.connections,
        }
    }

    /// Whether new requests are made.
    pub(crate) fn is_sending(&self) -> bool {
        self.stage != Stage::Drain
    }

    /// Moves on to the stage of this moment; `true` when the run is over, as `in_flight` says or time does.
    pub(crate) fn advance(&mut self, in_flight: impl Fn() -> usize) -> bool {
        let now_ns = self.now_ns();
        let settled = self.order.pace == Pace::Idle && self.heard >= self.order.connections;
        // A crowd with a gap will not be complete, however long one waits.
        let hopeless = self.tally.is_hopeless() || (self.order.pace == Pace::Idle && self.tally.has_errors());
        match self.stage {
            Stage::WarmUp if hopeless || settled || now_ns >= self.until_ns => self.begin_measure(now_ns),
            Stage::Measure if hopeless || now_ns >= self.until_ns => self.begin_drain(now_ns),
            Stage::Drain => {
                let owed = in_flight();
                if owed > 0 && now_ns >= self.until_ns {
                    self.tally.error("no answer", || format!("{owed} requests at the end of the run"));
                }
                return owed == 0 || now_ns >= self.until_ns;
            }
            Stage::WarmUp | Stage::Measure => {}
        }
        false
    }

    /// Times at which requests were due and have not been made, oldest first.
    pub(crate) fn next_overdue(&mut self) -> Option<u64> {
        self.overdue.pop_front()
    }

    /// Notes which requests of an open pace have become due; whether there are any.
    pub(crate) fn become_due(&mut self) -> bool {
        let Pace::Open(per_second) = self.order.pace else { return false };
        if !self.is_sending() {
            self.overdue.clear();
            return false;
        }
        let (now_ns, interval_ns) = (self.now_ns(), 1_000_000_000 / u64::from(per_second.max(1)));
        while self.next_due_ns <= now_ns && self.overdue.len() < OVERDUE_MAX {
            self.overdue.push_back(self.next_due_ns);
            self.next_due_ns += interval_ns;
        }
        !self.overdue.is_empty()
    }

    /// What the run brought.
    pub(crate) fn finish(mut self) -> Outcome {
        let asked = self.origin_requests;
        if self.order.is_cached && asked != 1 {
            self.tally
                .error("not from the cache", || format!("the origin saw {asked} requests instead of 1"));
        }
        let (p50_us, p99_us) = (self.tally.latency_us(0.5), self.tally.latency_us(0.99));
        let answered = self.tally.answered();
        let (errors, first_error) = self.tally.into_errors();
        Outcome { answered, p50_us, p99_us, errors, first_error, ..self.outcome }
    }

    fn begin_measure(&mut self, now_ns: u64) {
        if self.order.pace == Pace::Idle && self.heard < self.order.connections {
            let (heard, wanted) = (self.heard, self.order.connections);
            self.tally.error("too slow", || format!("{heard} of {wanted} connections were answered"));
        }
        self.stage = Stage::Measure;
        self.at_start = self.read();
        self.tally.start();
        let measure_ns = match self.order.pace {
            Pace::Idle => SETTLE.as_nanos() as u64,
            Pace::Closed | Pace::Open(_) => self.order.measure_ms * 1_000_000,
        };
        self.until_ns = now_ns + measure_ns;
    }

    fn begin_drain(&mut self, now_ns: u64) {
        let (start, end) = (self.at_start, self.read());
        self.tally.stop();
        self.outcome.measured_ns = end.at_ns - start.at_ns;
        self.outcome.gateway_cpu_ns = end.gateway_ns.saturating_sub(start.gateway_ns);
        let others = (end.busy_ns - start.busy_ns).saturating_sub(self.outcome.gateway_cpu_ns);
        self.outcome.disturbance = others as f64 / self.outcome.measured_ns.max(1) as f64;
        if let (Pace::Idle, Some(pid)) = (self.order.pace, self.order.gateway_pid) {
            self.outcome.memory_idle_bytes = processes::memory_bytes(pid);
        }
        self.stage = Stage::Drain;
        self.until_ns = now_ns + DRAIN.as_nanos() as u64;
    }

    fn read(&self) -> Reading {
        Reading {
            gateway_ns: self.order.gateway_pid.map_or(0, processes::cpu_ns),
            busy_ns: self.order.gateway_processor.map_or(0, processes::busy_ns),
            at_ns: self.now_ns(),
        }
    }
}
