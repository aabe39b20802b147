//! The decision: whether a request fits into every limit that applies to it, all or nothing. Shared by all threads of a node,
//! without locks, system calls or allocations. Owns the order and the undoing; must never speak with the ledger.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use arrayvec::ArrayVec;
use tidegate_proto::limits::{LIMIT_SPECS_MAX, LIMITS_MAX, MANAGED_LIMITS_MAX};

use crate::{
    cell::{Cell, OwnTerms, Step, flag},
    limit::{Kind, LEDGERS, Spec},
    page::{Mark, Pages},
    terms::{TICKS_PER_NS, Terms},
};

/// Marks a side of a limit that does not apply.
pub const NONE: u32 = u32::MAX;
/// Most limits of one request: a method of a plan, the plan's quota, a method, the stage, the account.
pub const LIMITS_PER_REQUEST_MAX: usize = 5;

/// One entry of a request's list of limits: where its state is, and which rate and which quota it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRef {
    /// The cell.
    pub cell: u32,
    /// Specification of the rate, or [`NONE`].
    pub rate: u32,
    /// Specification of the quota, or [`NONE`].
    pub quota: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits into every limit and was counted everywhere.
    Admitted,
    /// It does not fit and was counted nowhere.
    Refused(Refusal),
}

/// The limit that a request did not fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Place in the list of limits.
    pub at: usize,
    /// Whether it was the quota.
    pub is_quota: bool,
    /// Why.
    pub reason: Reason,
}

/// Why a limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The limit as a whole is used up.
    Exhausted,
    /// This node's share is used up, and more has been asked for: an answer is milliseconds away.
    Starved,
    /// Without contact to the ledger nothing more may be admitted.
    Isolated,
    /// The limit lets nothing pass.
    Blocked,
}

/// A node's session with the shard of the ledger that keeps a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// What was granted may be used.
    Held,
    /// The ledger answers, and a session is being opened.
    Opening,
    /// The ledger does not answer: what holds without contact holds.
    Isolated,
}

/// The state of all limits of a node.
#[derive(Debug)]
pub struct Bank {
    pub(crate) cells: Pages<Cell>,
    pub(crate) specs: Pages<SpecCell>,
    pub(crate) own: Pages<OwnTerms>,
    leases: [Lease; LEDGERS],
}

/// What is known of the node's session with a shard.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lease {
    /// End of the lease, in nanoseconds of the clock that also counts while a machine sleeps.
    until_ns: AtomicU64,
    /// Whether the ledger answers.
    is_connected: AtomicU32,
}

/// A specification as the decision needs it.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(crate) struct SpecCell {
    cost: AtomicU64,
    tolerance: AtomicU64,
    /// No bucket counts as booked for less than this, in ticks: after a new session buckets start empty.
    floor: AtomicU64,
    mode: AtomicU32,
}

/// How the decision treats a specification: a code in the low bits, the shard above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Blocked,
    Bucket,
    Leased,
    Counted,
    Singles,
    Chunk,
}

const MODES: [Mode; 6] =
    [Mode::Blocked, Mode::Bucket, Mode::Leased, Mode::Counted, Mode::Singles, Mode::Chunk];

/// How one entry of a request's list is admitted: worked out for all entries before any of it is made, so that a processor can work
/// on them at the same time and a request that does not fit mostly changes nothing.
#[derive(Clone, Copy)]
struct Plan<'b> {
    cell: &'b Cell,
    rate: Step,
    chunk: Step,
    /// Of the rate; `None` where it is not held against one.
    mode: Option<Mode>,
    has_chunk: bool,
}

impl Bank {
    /// A node's bank without limits.
    pub fn new() -> Self {
        Self {
            cells: Pages::new(LIMITS_MAX),
            specs: Pages::new(LIMIT_SPECS_MAX),
            own: Pages::new(MANAGED_LIMITS_MAX),
            leases: Default::default(),
        }
    }

    /// Decides about one request at `now_ns`. `boot_ns` reads the clock that leases are measured by, and is asked only where a
    /// lease matters.
    #[inline]
    pub fn decide(&self, limits: &[LimitRef], now_ns: u64, boot_ns: impl Fn() -> u64) -> Verdict {
        let now = now_ns.saturating_mul(TICKS_PER_NS);
        let mut plans = ArrayVec::<Plan<'_>, LIMITS_PER_REQUEST_MAX>::new();
        for (at, limit) in limits.iter().take(LIMITS_PER_REQUEST_MAX).enumerate() {
            match self.plan(*limit, now, &boot_ns) {
                Ok(plan) => plans.push(plan),
                Err((is_quota, reason)) => return self.refused(*limit, Refusal { at, is_quota, reason }),
            }
        }
        for (at, (limit, plan)) in limits.iter().zip(&mut plans).enumerate() {
            if let Err((is_quota, reason)) = self.make(*limit, plan, now, &boot_ns) {
                give_back(plans.get(..=at).unwrap_or_default());
                return self.refused(*limit, Refusal { at, is_quota, reason });
            }
        }
        Verdict::Admitted
    }

    /// Requests that a limit would admit here and now: of its rate and of its quota.
    pub fn left(&self, limit: LimitRef, now_ns: u64) -> (Option<u64>, Option<u64>) {
        let Some(cell) = self.cells.get(limit.cell) else { return (None, None) };
        let now = now_ns.saturating_mul(TICKS_PER_NS);
        let rate = self.specs.get(limit.rate).map(|spec| match spec.mode().0 {
            Mode::Blocked | Mode::Chunk => 0,
            Mode::Singles => cell.singles(),
            Mode::Bucket | Mode::Leased | Mode::Counted => {
                let own = |place: u32| self.own.get(place.wrapping_sub(1));
                cell.left(now, || spec.terms(), spec.floor.load(Relaxed), own)
            }
        });
        (rate, (limit.quota != NONE).then(|| cell.chunk()))
    }

    /// The session that a limit's rate, or its quota, is used under.
    pub fn lease(&self, limit: LimitRef, is_quota: bool, boot_ns: u64) -> LeaseState {
        let spec = self.specs.get(if is_quota { limit.quota } else { limit.rate });
        let lease = spec.and_then(|spec| self.leases.get(spec.mode().1));
        let is_held = |lease: &Lease| boot_ns < lease.until_ns.load(Acquire);
        match lease {
            Some(lease) if is_held(lease) => LeaseState::Held,
            Some(lease) if lease.is_connected.load(Acquire) != 0 => LeaseState::Opening,
            Some(_) | None => LeaseState::Isolated,
        }
    }

    /// Counts a refusal. What lets nothing pass is not reported, so it is not counted.
    #[cold]
    fn refused(&self, limit: LimitRef, refusal: Refusal) -> Verdict {
        if let Some(cell) = self.cells.get(limit.cell) {
            match self.specs.get(limit.rate).map(|spec| spec.mode().0) {
                _ if refusal.is_quota => cell.refuse_chunk(),
                Some(Mode::Counted) => cell.refuse(true),
                Some(Mode::Bucket | Mode::Leased | Mode::Singles) => cell.refuse(false),
                Some(Mode::Blocked | Mode::Chunk) | None => {}
            }
        }
        Verdict::Refused(refusal)
    }

    #[inline]
    fn plan(
        &self,
        limit: LimitRef,
        now: u64,
        boot_ns: &impl Fn() -> u64,
    ) -> Result<Plan<'_>, (bool, Reason)> {
        let cell = self.cells.get(limit.cell).ok_or((false, Reason::Blocked))?;
        if cell.flags() & flag::TOUCHED == 0 {
            self.touch(limit.cell, cell);
        }
        cell.offer();
        let (mut rate, mut chunk, mut mode) = (Step::default(), Step::default(), None);
        if limit.rate != NONE {
            let planned = self.plan_rate(limit, cell, now, boot_ns).map_err(|reason| (false, reason))?;
            (mode, rate) = (Some(planned.0), planned.1);
        }
        let has_chunk = limit.quota != NONE;
        if has_chunk {
            chunk = self.plan_chunk(limit, cell).map_err(|reason| (true, reason))?;
        }
        Ok(Plan { cell, rate, chunk, mode, has_chunk })
    }

    #[inline]
    fn plan_rate(
        &self,
        limit: LimitRef,
        cell: &Cell,
        now: u64,
        boot_ns: &impl Fn() -> u64,
    ) -> Result<(Mode, Step), Reason> {
        let spec = self.specs.get(limit.rate).ok_or(Reason::Blocked)?;
        let (mode, shard) = spec.mode();
        match mode {
            Mode::Bucket | Mode::Counted => {}
            Mode::Leased | Mode::Singles => self.check_lease(shard, boot_ns)?,
            Mode::Blocked | Mode::Chunk => return Err(Reason::Blocked),
        }
        let step = if mode == Mode::Singles {
            cell.plan_single()
        } else {
            let own = |place: u32| self.own.get(place.wrapping_sub(1));
            cell.plan(now, || spec.terms(), spec.floor.load(Relaxed), own)
        };
        step.map(|step| (mode, step)).ok_or_else(|| self.refuse_rate(limit.cell, cell, mode, shard))
    }

    #[inline]
    fn plan_chunk(&self, limit: LimitRef, cell: &Cell) -> Result<Step, Reason> {
        let (mode, shard) = self.specs.get(limit.quota).ok_or(Reason::Blocked)?.mode();
        if mode != Mode::Chunk {
            return Err(Reason::Blocked);
        }
        cell.plan_chunk().ok_or_else(|| {
            let reason = self.refuse(limit.cell, cell, shard);
            // Others may have given something back, so the agent was called all the same.
            if cell.flags() & flag::EXHAUSTED == 0 { reason } else { Reason::Exhausted }
        })
    }

    /// Makes what was planned. Where another thread was faster it is planned again; a side that does not fit any more is not made,
    /// nor is any after it.
    #[inline]
    fn make(
        &self,
        limit: LimitRef,
        plan: &mut Plan<'_>,
        now: u64,
        boot_ns: &impl Fn() -> u64,
    ) -> Result<(), (bool, Reason)> {
        let cell = plan.cell;
        if let Some(mode) = plan.mode {
            while !cell.step(&plan.rate) {
                match self.plan_rate(limit, cell, now, boot_ns) {
                    Ok((_, again)) => plan.rate = again,
                    Err(reason) => {
                        (plan.mode, plan.has_chunk) = (None, false);
                        return Err((false, reason));
                    }
                }
            }
            if mode == Mode::Counted {
                cell.spend();
            }
            if plan.rate.is_low() && mode != Mode::Singles && cell.flags() & flag::URGENT == 0 {
                self.call(limit.cell, cell, flag::URGENT);
            }
        }
        if plan.has_chunk {
            while !cell.step_chunk(&plan.chunk) {
                match self.plan_chunk(limit, cell) {
                    Ok(again) => plan.chunk = again,
                    Err(reason) => {
                        plan.has_chunk = false;
                        return Err((true, reason));
                    }
                }
            }
            if plan.chunk.is_low() && cell.flags() & (flag::URGENT | flag::EXHAUSTED) == 0 {
                self.call(limit.cell, cell, flag::URGENT);
            }
        }
        Ok(())
    }

    #[inline]
    fn check_lease(&self, shard: usize, boot_ns: &impl Fn() -> u64) -> Result<(), Reason> {
        let Some(lease) = self.leases.get(shard) else { return Err(Reason::Blocked) };
        if boot_ns() < lease.until_ns.load(Acquire) { Ok(()) } else { Err(self.out_of_contact(lease)) }
    }

    fn out_of_contact(&self, lease: &Lease) -> Reason {
        if lease.is_connected.load(Acquire) == 0 { Reason::Isolated } else { Reason::Starved }
    }

    #[cold]
    fn refuse_rate(&self, index: u32, cell: &Cell, mode: Mode, shard: usize) -> Reason {
        let reason = self.refuse(index, cell, shard);
        // A counted limit is an estimate of the whole bucket once there is a session: nothing could be granted.
        let is_short = mode == Mode::Counted && reason == Reason::Starved && self.has_lease(shard);
        if is_short { Reason::Exhausted } else { reason }
    }

    /// Calls for more, and says whether that can help.
    fn refuse(&self, index: u32, cell: &Cell, shard: usize) -> Reason {
        let flags = cell.flags();
        if flags & (flag::URGENT | flag::REJECTED) != flag::URGENT | flag::REJECTED {
            self.call(index, cell, flag::URGENT | flag::REJECTED);
        }
        match self.leases.get(shard) {
            _ if flags & flag::CONTENDED != 0 => Reason::Exhausted,
            Some(lease) if lease.is_connected.load(Acquire) == 0 => Reason::Isolated,
            _ => Reason::Starved,
        }
    }

    fn has_lease(&self, shard: usize) -> bool {
        self.leases.get(shard).is_some_and(|lease| lease.until_ns.load(Relaxed) != 0)
    }

    #[cold]
    fn touch(&self, index: u32, cell: &Cell) {
        if cell.set(flag::TOUCHED) & flag::TOUCHED == 0 {
            self.cells.mark(index, Mark::Touched);
        }
    }

    #[cold]
    fn call(&self, index: u32, cell: &Cell, flags: u32) {
        if cell.set(flags) & flag::URGENT == 0 {
            self.cells.mark(index, Mark::Urgent);
        }
    }

    /// Until when leases of a shard hold.
    pub(crate) fn extend(&self, shard: usize, until_ns: u64) {
        if let Some(lease) = self.leases.get(shard) {
            lease.until_ns.store(until_ns, Release);
        }
    }

    /// Whether a shard answers, so that waiting for it makes sense.
    pub(crate) fn connect(&self, shard: usize, is_connected: bool) {
        if let Some(lease) = self.leases.get(shard) {
            lease.is_connected.store(u32::from(is_connected), Release);
        }
    }

    /// Writes a specification; `terms` are those of a cell that has none of its own.
    pub(crate) fn describe(&self, index: u32, spec: &Spec, shard: usize, terms: Terms) -> bool {
        if !self.specs.ensure(index) {
            return false;
        }
        if let Some(cell) = self.specs.get(index) {
            cell.set_terms(terms);
            let mode = match spec.kind {
                _ if spec.is_blocked() => Mode::Blocked,
                Kind::Slice if spec.needs_lease() => Mode::Leased,
                Kind::Slice => Mode::Bucket,
                Kind::StrictSlice => Mode::Leased,
                Kind::Count => Mode::Counted,
                Kind::Pool => Mode::Singles,
                Kind::Quota(_) => Mode::Chunk,
            };
            cell.mode.store(mode as u32 | (shard as u32) << 8, Release);
        }
        true
    }
}

impl Default for Bank {
    fn default() -> Self {
        Self::new()
    }
}

/// Undoes the sides that were made.
#[cold]
fn give_back(plans: &[Plan<'_>]) {
    for plan in plans.iter().rev() {
        if plan.has_chunk {
            plan.cell.give_chunk_back(&plan.chunk);
        }
        match plan.mode {
            Some(Mode::Singles) => plan.cell.give_single_back(&plan.rate),
            Some(mode) => {
                plan.cell.give_back(&plan.rate);
                if mode == Mode::Counted {
                    plan.cell.unspend();
                }
            }
            None => {}
        }
    }
}

impl SpecCell {
    #[inline]
    fn mode(&self) -> (Mode, usize) {
        let mode = self.mode.load(Relaxed);
        (MODES.get((mode & 0xff) as usize).copied().unwrap_or(Mode::Blocked), (mode >> 8) as usize)
    }

    #[inline]
    fn terms(&self) -> Terms {
        Terms { cost: self.cost.load(Relaxed), tolerance: self.tolerance.load(Relaxed) }
    }

    pub(crate) fn set_terms(&self, terms: Terms) {
        // The dearer of old and new cost first, so that no reader pairs a low cost with a high tolerance.
        if terms.tolerance < self.tolerance.load(Relaxed) {
            self.tolerance.store(terms.tolerance, Release);
            self.cost.store(terms.cost, Release);
        } else {
            self.cost.store(terms.cost, Release);
            self.tolerance.store(terms.tolerance, Release);
        }
    }

    /// Buckets without terms of their own count as booked until `ticks` at least.
    pub(crate) fn set_floor(&self, ticks: u64) {
        self.floor.store(ticks, Release);
    }
}
