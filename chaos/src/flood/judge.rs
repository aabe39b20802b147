//! Sees every request and every admission, in their true order over all nodes, and holds them against one central bucket on the
//! same trace. Owns what is counted; must never tell a limiter anything.

mod fairness;
mod figures;
mod story;
mod sums;

use super::{
    level::{Level, Limit},
    moment::{MS, SECOND, US, ns, seconds},
};

use fairness::Fairness;
pub(crate) use figures::{Figure, Figures};

/// Length of a bin of the time line.
const BIN_NS: u64 = 250 * MS;
/// Resolution and reach of the histogram of waits.
const WAIT_BIN_NS: u64 = 10 * US;
const WAIT_BINS: usize = 20_000;
/// Until all nodes know that a limit has changed.
const CHANGE_NS: u64 = 550 * MS;
/// Most limits whose time line is kept.
const LINED_LIMITS_MAX: usize = 5_000;

/// What a run is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The limits.
    pub(crate) limits: Vec<Limit>,
    /// Nodes.
    pub(crate) nodes: usize,
    /// How fast the fastest clock runs, as a part of true time.
    pub(crate) clock: f64,
    /// Length of the run.
    pub(crate) length_ns: u64,
    /// Requests before are not counted, only remembered.
    pub(crate) warm_ns: u64,
    /// The first fault.
    pub(crate) fault_ns: Option<u64>,
}

/// One limit.
#[derive(Clone, Copy, Debug)]
struct Book {
    limit: Limit,
    /// What must not be exceeded: with a fast clock, and after a change the larger numbers, because nodes learn late.
    allowed: Limit,
    ideal: Level,
    policed: Level,
    debt: Level,
    excess: f64,
    counts: Counts,
}

/// Requests of one limit after warming up.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    offered: u64,
    ideal: u64,
    admitted: u64,
    /// Admitted although a bucket that polices the admissions had no token.
    beyond: u64,
    /// Decided later than at once.
    waited: u64,
    /// Refused after waiting.
    in_vain: u64,
}

/// Requests of one limit in one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    ideal: u32,
    conforming: u32,
    beyond: u32,
}

/// What became of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    /// Its last rate.
    pub(crate) rate: f64,
    /// Its last burst.
    pub(crate) burst: f64,
    /// Most tokens beyond burst and rate over any window.
    pub(crate) excess: f64,
}

/// The judge of one run.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: Rules,
    books: Vec<Book>,
    /// By bin, then limit; empty where there are too many limits.
    line: Vec<Bin>,
    fairness: Fairness,
    waits: Vec<u64>,
    waited: u64,
    decisions: u64,
}

impl Judge {
    /// Nothing has happened yet.
    pub(crate) fn new(rules: Rules) -> Self {
        let books = rules.limits.iter().map(|limit| Book::new(*limit, rules.clock)).collect();
        let lined = if rules.limits.len() <= LINED_LIMITS_MAX { rules.limits.len() } else { 0 };
        let bins = (rules.length_ns / BIN_NS) as usize + 1;
        Self {
            books,
            line: vec![Bin::default(); bins * lined],
            fairness: Fairness::new(lined, rules.nodes),
            waits: vec![0; WAIT_BINS],
            waited: 0,
            decisions: 0,
            rules,
        }
    }

    /// A request came in.
    pub(crate) fn offer(&mut self, limit: usize, node: usize, now_ns: u64) {
        let is_counted = now_ns >= self.rules.warm_ns;
        let book = &mut self.books[limit];
        let passes = book.ideal.take(book.limit, now_ns);
        if is_counted {
            book.counts.offered += 1;
            book.counts.ideal += u64::from(passes);
            self.fairness.offer(limit, node, now_ns);
        }
        if let Some(bin) = self.bin(limit, now_ns) {
            bin.ideal += u32::from(passes);
        }
    }

    /// A request was admitted by `node`.
    pub(crate) fn admit(&mut self, limit: usize, node: usize, now_ns: u64) {
        let is_counted = now_ns >= self.rules.warm_ns;
        let book = &mut self.books[limit];
        let conforms = book.policed.take(book.allowed, now_ns);
        book.excess = book.excess.max(book.debt.owe(book.allowed, now_ns));
        if is_counted {
            book.counts.admitted += 1;
            book.counts.beyond += u64::from(!conforms);
            self.fairness.admit(limit, node, now_ns);
        }
        if let Some(bin) = self.bin(limit, now_ns) {
            bin.conforming += u32::from(conforms);
            bin.beyond += u32::from(!conforms);
        }
    }

    /// A request of a limit was decided so long after it came.
    pub(crate) fn wait_for(&mut self, limit: usize, wait_ns: u64, is_admitted: bool) {
        self.wait(wait_ns);
        let counts = &mut self.books[limit].counts;
        counts.waited += u64::from(wait_ns > 0);
        counts.in_vain += u64::from(wait_ns > 0 && !is_admitted);
    }

    /// A decision was there so long after the request.
    pub(crate) fn wait(&mut self, wait_ns: u64) {
        self.decisions += 1;
        self.waited += u64::from(wait_ns > 0);
        let last = self.waits.len() - 1;
        self.waits[((wait_ns / WAIT_BIN_NS) as usize).min(last)] += 1;
    }

    /// The numbers of a limit change. What is added to the burst is there at once; `is_afresh` where the
    /// limit becomes another one, whose bucket is full, while some nodes still use the old one.
    pub(crate) fn change(&mut self, limit: usize, numbers: Limit, is_afresh: bool, now_ns: u64) {
        let clock = self.rules.clock;
        let book = &mut self.books[limit];
        book.ideal.refill(book.limit, now_ns);
        book.ideal.tokens += numbers.burst - book.limit.burst;
        book.limit = numbers;
        let more = (numbers.burst - book.allowed.burst).max(0.0);
        book.allowed.rate = book.allowed.rate.max(numbers.rate * clock);
        let afresh = numbers.burst + book.allowed.rate * seconds(CHANGE_NS);
        for level in [&mut book.policed, &mut book.debt] {
            level.refill(book.allowed, now_ns);
            level.tokens += if is_afresh { afresh } else { more };
        }
        book.allowed.burst += more;
    }

    /// The limit's period is over: it starts anew, and what was left of the old may still be used up.
    pub(crate) fn start_over(&mut self, limit: usize) {
        let book = &mut self.books[limit];
        let size = book.allowed.burst;
        book.ideal.tokens = book.limit.burst;
        for level in [&mut book.policed, &mut book.debt] {
            level.tokens += size;
        }
    }

    /// What became of each limit.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        let ending =
            |book: &Book| Ending { rate: book.allowed.rate, burst: book.allowed.burst, excess: book.excess };
        self.books.iter().map(ending).collect()
    }

    fn bin(&mut self, limit: usize, now_ns: u64) -> Option<&mut Bin> {
        if self.line.is_empty() {
            return None;
        }
        self.line.get_mut((now_ns / BIN_NS) as usize * self.books.len() + limit)
    }

    /// Seconds that were counted.
    fn span_s(&self) -> f64 {
        (self.rules.length_ns - self.rules.warm_ns) as f64 / SECOND as f64
    }

    /// The bins of the window after the first fault.
    fn fault_bins(&self) -> Option<std::ops::Range<usize>> {
        let begin = self.rules.fault_ns?;
        let end = (begin + ns(20.0)).min(self.rules.length_ns.saturating_sub(ns(0.5)));
        (!self.line.is_empty()).then_some((begin / BIN_NS) as usize..(end / BIN_NS) as usize)
    }
}

impl Book {
    fn new(limit: Limit, clock: f64) -> Self {
        let full = Level::of(limit.burst);
        let allowed = Limit { rate: limit.rate * clock, ..limit };
        Self {
            limit,
            allowed,
            ideal: full,
            policed: full,
            debt: full,
            excess: 0.0,
            counts: Counts::default(),
        }
    }
}

#[cfg(test)]
mod tests;
