//! Limits on the data plane: the bank that all shards share, the clocks it is asked with, and the short wait for a share that is
//! on its way. Owns that wait and its bounds; must never grant anything.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_gateway::{Admitted, Authorized, Level, Rejection, Shortage, Turnstile, throttle};
use tidegate_proto::limits::{LIMIT_WAIT_MS_MAX, LIMIT_WAITS_MAX};
use tidegate_telemetry::metrics::{Counter, Registry};
use tidegate_throttle::{Bank, Bucket, Reason};
use tokio::sync::Notify;

/// The limits of a node, shared by its shards and by the one that speaks with the ledger.
#[derive(Clone, Debug)]
pub struct Limiter {
    bank: Arc<Bank>,
    /// Origin of the clock of all decisions.
    origin: Instant,
    /// Told when something was granted.
    granted: Arc<Notify>,
    /// Told when a request waits for a grant.
    wanted: Arc<Notify>,
}

impl Limiter {
    /// A limiter whose clock begins now.
    pub fn new(bank: Arc<Bank>) -> Self {
        Self { bank, origin: Instant::now(), granted: Arc::default(), wanted: Arc::default() }
    }

    /// The state of all limits.
    pub fn bank(&self) -> &Arc<Bank> {
        &self.bank
    }

    /// Origin of the clock of all decisions.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Now, on that clock, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets requests that wait try again.
    pub fn granted(&self) {
        self.granted.notify_waiters();
    }

    /// Resolves when a request waits for a grant.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

/// Now on the clock that counts while the machine sleeps, in nanoseconds: leases are measured by it, so that none is alive after
/// a long sleep.
pub fn boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A shard's way to the limits.
pub(crate) struct Admission {
    limiter: Limiter,
    ceiling: Option<Arc<Bucket>>,
    waiting: Cell<usize>,
    refusals: Vec<((Level, Reason), Counter)>,
    waits: Counter,
}

impl Admission {
    pub(crate) fn new(limiter: Limiter, ceiling: Option<Arc<Bucket>>, registry: &Registry) -> Self {
        let reasons = [Reason::Exhausted, Reason::Starved, Reason::Isolated, Reason::Blocked];
        let all = Level::ALL.iter().flat_map(|level| reasons.map(|reason| (*level, reason)));
        let refusals = all.map(|(level, reason)| {
            let shortage = Shortage { level, reason, lease: None };
            let labels = [("limit", shortage.level.name()), ("reason", shortage.reason_name())];
            let help = "Requests answered 429, by the limit that refused and why";
            ((level, reason), registry.counter("limit_refusals", help, &labels))
        });
        let waits = "Requests that waited for a larger share of a limit before they were decided";
        Self {
            limiter,
            ceiling,
            waiting: Cell::new(0),
            refusals: refusals.collect(),
            waits: registry.counter("limit_waits", waits, &[]),
        }
    }

    pub(crate) fn bank(&self) -> &Bank {
        self.limiter.bank()
    }

    /// Decides at once, at `now_ns`.
    #[inline]
    pub(crate) fn pass<'s>(
        &self,
        authorized: Authorized<'s>,
        now_ns: u64,
    ) -> Result<Admitted<'s>, Rejection> {
        let (bank, ceiling) = (self.limiter.bank(), self.ceiling.as_deref());
        throttle(authorized, &Turnstile { bank, ceiling, now_ns, boot_ns })
    }

    /// Decides, and where this node's share has run out and more is on its way, waits for it: a client whose limit is not used
    /// up is not refused because its requests happened to arrive here.
    pub(crate) async fn wait<'s>(
        &self,
        authorized: Authorized<'s>,
        arrived_ns: u64,
    ) -> Result<Admitted<'s>, Rejection> {
        let first = self.pass(authorized, arrived_ns);
        if !first.as_ref().is_err_and(is_starved) || self.waiting.get() >= LIMIT_WAITS_MAX {
            return first;
        }
        self.waits.increment();
        let _place = Place::take(&self.waiting);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(LIMIT_WAIT_MS_MAX);
        loop {
            let mut granted = std::pin::pin!(self.limiter.granted.notified());
            // From here on a grant is not missed, so the second look comes after this.
            granted.as_mut().enable();
            self.limiter.wanted.notify_one();
            let again = self.pass(authorized, self.limiter.now_ns());
            if !again.as_ref().is_err_and(is_starved)
                || tokio::time::timeout_at(deadline, granted).await.is_err()
            {
                return again;
            }
        }
    }

    /// Counts a refusal.
    pub(crate) fn note(&self, rejection: &Rejection) {
        let shortage = rejection.shortage().map(|shortage| (shortage.level, shortage.reason));
        let known = shortage.and_then(|shortage| self.refusals.iter().find(|(known, _)| *known == shortage));
        if let Some((_, counter)) = known {
            counter.increment();
        }
    }
}

/// Whether a little patience may help.
pub(crate) fn is_starved(rejection: &Rejection) -> bool {
    rejection.shortage().is_some_and(|shortage| shortage.reason == Reason::Starved)
}

/// A place among those who wait.
struct Place<'a>(&'a Cell<usize>);

impl<'a> Place<'a> {
    fn take(waiting: &'a Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
