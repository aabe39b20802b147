//! What a node remembers of one limit: thirty-two bytes that all its threads share. Owns the lock-free steps on them; must
//! never decide which limits apply.
//!
//! A rate is one word: until when the bucket is booked, and a version that chooses between two sets of terms. New terms are
//! written beside the ones in use and become visible together with the rewritten word, so that a thread in the middle of a
//! decision either finishes before the change or starts again after it.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use crate::terms::Terms;

const VERSION_BITS: u32 = 6;
const VERSION_MASK: u64 = (1 << VERSION_BITS) - 1;
const TAG_BITS: u32 = 8;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
/// Bits of the flags; what is above counts.
const FLAG_BITS: u32 = 8;

/// Marks of a cell, for the agent.
pub(crate) mod flag {
    /// The agent knows this cell.
    pub(crate) const TOUCHED: u32 = 1;
    /// The agent should look at it soon.
    pub(crate) const URGENT: u32 = 2;
    /// A request was refused since the agent looked.
    pub(crate) const REJECTED: u32 = 4;
    /// The ledger has nothing left of the quota.
    pub(crate) const EXHAUSTED: u32 = 8;
    /// The limit as a whole is short: waiting for a larger share is in vain.
    pub(crate) const CONTENDED: u32 = 16;
    /// What its counted rate admitted was reported before: only what comes after that is new.
    pub(crate) const COUNTED: u32 = 32;
}

/// The state of one limit: a rate, a quota, or both of one API key.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(crate) struct Cell {
    /// Booked until, in ticks, above a version; single tokens of a pool above a tag.
    word: AtomicU64,
    /// Requests left of the chunk, above a tag that changes with the period.
    chunk: AtomicU64,
    /// Requests that asked the rate; statistics, so lost updates do no harm.
    offered: AtomicU32,
    /// Requests that a counted rate admitted; of every other rate those that it refused.
    spent: AtomicU32,
    /// Flags, above them the requests that the quota refused.
    flags: AtomicU32,
    /// Place of its own terms plus 1, while the version is not 0. A counted rate has no terms of its own: the requests that it
    /// refused.
    terms: AtomicU32,
}

/// Terms of a cell that has its own: two sets, of which the version's last bit names the one in use.
#[derive(Debug, Default)]
pub(crate) struct OwnTerms {
    sets: [[AtomicU64; 2]; 2],
}

/// A change of one word of a cell that is worked out and not made yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    from: u64,
    to: u64,
    /// Ticks that it books, for giving them back; the first bit says whether more than a quarter of the bucket is used then.
    cost: u64,
}

impl Step {
    const LOW: u64 = 1 << 63;

    /// Whether the agent should look at what is left.
    #[inline]
    pub(crate) fn is_low(&self) -> bool {
        self.cost & Self::LOW != 0
    }
}

impl OwnTerms {
    #[inline]
    fn load(&self, version: u64) -> Terms {
        let [even, odd] = &self.sets;
        let [cost, tolerance] = if version & 1 == 0 { even } else { odd };
        Terms { cost: cost.load(Relaxed), tolerance: tolerance.load(Relaxed) }
    }

    /// Writes both sets.
    pub(crate) fn fill(&self, terms: Terms) {
        self.store(0, terms);
        self.store(1, terms);
    }

    fn store(&self, version: u64, terms: Terms) {
        let [even, odd] = &self.sets;
        let [cost, tolerance] = if version & 1 == 0 { even } else { odd };
        cost.store(terms.cost, Relaxed);
        tolerance.store(terms.tolerance, Relaxed);
    }
}

impl Cell {
    /// Works out how a token of the rate is taken at `now`, in ticks; `None` when there is none. `shared` and `floor` are those of the
    /// specification, `own` finds terms of this cell's own.
    #[inline]
    pub(crate) fn plan<'t>(
        &self,
        now: u64,
        shared: impl Fn() -> Terms,
        floor: u64,
        own: impl Fn(u32) -> Option<&'t OwnTerms>,
    ) -> Option<Step> {
        let from = self.word.load(Acquire);
        let version = from & VERSION_MASK;
        let (terms, floor) = match version {
            0 => (shared(), floor),
            _ => (own(self.terms.load(Relaxed)).map_or(Terms::CLOSED, |own| own.load(version)), 0),
        };
        let until = (from >> VERSION_BITS).max(now).max(floor).saturating_add(terms.cost);
        let ahead = until - now;
        let fits = ahead <= terms.tolerance && until < 1 << (64 - VERSION_BITS);
        let low = if ahead > terms.tolerance / 4 { Step::LOW } else { 0 };
        fits.then_some(Step { from, to: until << VERSION_BITS | version, cost: terms.cost | low })
    }

    /// Makes a step of the rate or of single tokens; false when somebody else was faster.
    #[inline]
    pub(crate) fn step(&self, step: &Step) -> bool {
        self.word.compare_exchange(step.from, step.to, AcqRel, Relaxed).is_ok()
    }

    /// Makes a step of the chunk; false when somebody else was faster.
    #[inline]
    pub(crate) fn step_chunk(&self, step: &Step) -> bool {
        self.chunk.compare_exchange(step.from, step.to, AcqRel, Relaxed).is_ok()
    }

    /// Tokens that the rate would give at `now`.
    pub(crate) fn left<'t>(
        &self,
        now: u64,
        shared: impl Fn() -> Terms,
        floor: u64,
        own: impl Fn(u32) -> Option<&'t OwnTerms>,
    ) -> u64 {
        let word = self.word.load(Acquire);
        let version = word & VERSION_MASK;
        let (terms, floor) = match version {
            0 => (shared(), floor),
            _ => (own(self.terms.load(Relaxed)).map_or(Terms::CLOSED, |own| own.load(version)), 0),
        };
        let ahead = (word >> VERSION_BITS).max(floor).saturating_sub(now);
        terms.tolerance.saturating_sub(ahead) / terms.cost.max(1)
    }

    /// Takes a step of the rate back. Where the terms have changed since, the token is lost instead, in favour of the limit.
    pub(crate) fn give_back(&self, step: &Step) {
        let undo = |word: u64| {
            let booked = (word >> VERSION_BITS).saturating_sub(step.cost & !Step::LOW);
            (word & VERSION_MASK == step.to & VERSION_MASK)
                .then_some(booked << VERSION_BITS | word & VERSION_MASK)
        };
        // Refused where the version differs.
        let _changed = self.word.fetch_update(AcqRel, Acquire, undo);
    }

    /// Until when the rate is booked, in ticks, and whether it has terms of its own.
    pub(crate) fn booked(&self) -> (u64, bool) {
        let word = self.word.load(Acquire);
        (word >> VERSION_BITS, word & VERSION_MASK != 0)
    }

    /// Gives the rate terms of its own, or takes them away: `rebook` turns the old booking into the new one. Only one thread
    /// may call this at a time.
    pub(crate) fn rewrite(&self, own: Option<(u32, &OwnTerms, Terms)>, rebook: impl Fn(u64) -> u64) {
        let old = self.word.load(Acquire) & VERSION_MASK;
        let new = match own {
            None => 0,
            Some((place, own, terms)) => {
                // 0 is kept for the shared terms.
                let new = if old == VERSION_MASK { 2 } else { old + 1 };
                own.store(new, terms);
                self.terms.store(place, Relaxed);
                new
            }
        };
        let turn = |word: u64| Some(rebook(word >> VERSION_BITS) << VERSION_BITS | new);
        // Never refused: the closure always has an answer.
        let _before = self.word.fetch_update(AcqRel, Acquire, turn);
    }

    /// Works out how one of the single tokens that a pool handed out is taken.
    #[inline]
    pub(crate) fn plan_single(&self) -> Option<Step> {
        plan_one(&self.word)
    }

    /// Gives a single token back.
    pub(crate) fn give_single_back(&self, step: &Step) {
        give_one(&self.word, step);
    }

    /// Single tokens at hand.
    pub(crate) fn singles(&self) -> u64 {
        self.word.load(Acquire) >> TAG_BITS
    }

    /// Adds single tokens, or takes away what it can of `take`; returns how many were taken away.
    pub(crate) fn change_singles(&self, add: u64, take: u64) -> u64 {
        change(&self.word, add, take)
    }

    /// Takes all single tokens away under a new tag, so that none of the old ones comes back; returns how many there were.
    pub(crate) fn drop_singles(&self) -> u64 {
        start_over(&self.word, 0)
    }

    /// Works out how one request of the chunk is taken.
    #[inline]
    pub(crate) fn plan_chunk(&self) -> Option<Step> {
        plan_one(&self.chunk)
    }

    /// Gives a request of the chunk back.
    pub(crate) fn give_chunk_back(&self, step: &Step) {
        give_one(&self.chunk, step);
    }

    /// Requests left of the chunk.
    pub(crate) fn chunk(&self) -> u64 {
        self.chunk.load(Acquire) >> TAG_BITS
    }

    /// As [`Self::change_singles`], for the chunk.
    pub(crate) fn change_chunk(&self, add: u64, take: u64) -> u64 {
        change(&self.chunk, add, take)
    }

    /// As [`Self::drop_singles`], for the chunk.
    pub(crate) fn drop_chunk(&self) -> u64 {
        start_over(&self.chunk, 0)
    }

    /// Counts a request that asked; two threads at once may count one.
    #[inline]
    pub(crate) fn offer(&self) {
        self.offered.store(self.offered.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Requests that asked so far, wrapping.
    pub(crate) fn offered(&self) -> u32 {
        self.offered.load(Relaxed)
    }

    /// Counts an admitted request exactly.
    #[inline]
    pub(crate) fn spend(&self) {
        self.spent.fetch_add(1, Relaxed);
    }

    /// Takes the count back.
    pub(crate) fn unspend(&self) {
        self.spent.fetch_sub(1, Relaxed);
    }

    /// Requests admitted so far, wrapping.
    pub(crate) fn spent(&self) -> u32 {
        self.spent.load(Relaxed)
    }

    /// Counts a request that the rate refused.
    pub(crate) fn refuse(&self, is_counted: bool) {
        let count = if is_counted { &self.terms } else { &self.spent };
        count.fetch_add(1, Relaxed);
    }

    /// Requests that the rate refused so far, wrapping.
    pub(crate) fn refused(&self, is_counted: bool) -> u32 {
        let count = if is_counted { &self.terms } else { &self.spent };
        count.load(Relaxed)
    }

    /// Counts a request that the quota refused.
    pub(crate) fn refuse_chunk(&self) {
        self.flags.fetch_add(1 << FLAG_BITS, Relaxed);
    }

    /// Requests that the quota refused since there were `before`.
    pub(crate) fn chunk_refused(&self, before: u32) -> u32 {
        let since = (self.flags.load(Relaxed) >> FLAG_BITS).wrapping_sub(before);
        before.wrapping_add(since & (u32::MAX >> FLAG_BITS))
    }

    #[inline]
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    /// Sets flags; returns those before.
    pub(crate) fn set(&self, flags: u32) -> u32 {
        self.flags.fetch_or(flags, AcqRel)
    }

    /// Clears flags; returns those before.
    pub(crate) fn clear(&self, flags: u32) -> u32 {
        self.flags.fetch_and(!flags, AcqRel)
    }

    /// Makes the cell as new, for another limit.
    pub(crate) fn reset(&self) {
        for word in [&self.word, &self.chunk] {
            word.store(0, Release);
        }
        for word in [&self.offered, &self.spent, &self.flags, &self.terms] {
            word.store(0, Release);
        }
    }
}

#[inline]
fn plan_one(word: &AtomicU64) -> Option<Step> {
    let from = word.load(Acquire);
    let to = (from >> TAG_BITS).checked_sub(1)? << TAG_BITS | from & TAG_MASK;
    Some(Step { from, to, cost: if to >> TAG_BITS == 0 { Step::LOW } else { 0 } })
}

fn give_one(word: &AtomicU64, step: &Step) {
    let undo = |found: u64| (found & TAG_MASK == step.to & TAG_MASK).then(|| found + (1 << TAG_BITS));
    // Refused where the tokens are of another period: the one in hand is lost.
    let _changed = word.fetch_update(AcqRel, Acquire, undo);
}

fn change(word: &AtomicU64, add: u64, take: u64) -> u64 {
    let turn = |found: u64| {
        let left = found >> TAG_BITS;
        let left = (left + add) - (left + add).min(take);
        Some(left << TAG_BITS | found & TAG_MASK)
    };
    let before = word.fetch_update(AcqRel, Acquire, turn).unwrap_or_default() >> TAG_BITS;
    (before + add).min(take)
}

fn start_over(word: &AtomicU64, left: u64) -> u64 {
    let turn = |found: u64| Some(left << TAG_BITS | found.wrapping_add(1) & TAG_MASK);
    word.fetch_update(AcqRel, Acquire, turn).unwrap_or_default() >> TAG_BITS
}
